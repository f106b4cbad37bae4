package receipt

import (
	"cmp"
	"slices"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Told is how many receipts and silent enforcers a watch tells of at most, each time.
const Told = 300

// First are so many receipts at most, in the order in which they came: of more, those that are not confirmed come first, then the
// slowest. It also answers how many it leaves out.
func First(all []*emergencyv1.Receipt, most int) (told []*emergencyv1.Receipt, omitted uint32) {
	return bounded(all, most, func(a, b *emergencyv1.Receipt) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), cmp.Compare(b.GetHeldMs(), a.GetHeldMs()))
	})
}

// urgency puts first what is not confirmed.
func urgency(r *emergencyv1.Receipt) int {
	switch {
	case r.GetState() == emergencyv1.Receipt_MISSING:
		return 0
	case r.GetState() == emergencyv1.Receipt_UNREACHABLE:
		return 1
	case r.GetState() == emergencyv1.Receipt_WAITING:
		return 2
	case r.GetOpenSessions() > 0:
		return 3
	}
	return 4
}

// bounded chooses so many rows by what matters more, and leaves them in their order.
func bounded[Row any](all []Row, most int, compare func(a, b Row) int) (told []Row, omitted uint32) {
	if len(all) <= most {
		return all, 0
	}
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return compare(all[a], all[b]) })
	places = places[:most]
	slices.Sort(places)
	for _, i := range places {
		told = append(told, all[i])
	}
	return told, uint32(len(all) - most)
}
