package receipt

import (
	"cmp"
	"slices"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

// bounds are those of the buckets, in milliseconds.
func bounds() []uint32 { return []uint32{10, 25, 50, 100, 250, 500, 1000, 2500, 10_000} }

// Summary is receipts in a few figures.
func Summary(all []*emergencyv1.Receipt) *emergencyv1.ReceiptSummary {
	s := &emergencyv1.ReceiptSummary{}
	for _, r := range all {
		switch r.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			s.Confirmed++
		case emergencyv1.Receipt_WAITING:
			s.Waiting++
		case emergencyv1.Receipt_UNREACHABLE:
			s.Unreachable++
		case emergencyv1.Receipt_MISSING:
			s.Missing += r.GetLacking()
		}
	}
	times := measure.TimesOf(all)
	if s.Timed = uint32(len(times)); s.Timed == 0 {
		return s
	}
	s.P50Ms, s.P90Ms, s.P99Ms, s.MaxMs = times.Within(50), times.Within(90), times.Within(99), times.Within(100)
	s.Buckets = buckets(times)
	return s
}

func buckets(times []uint32) []*emergencyv1.TimeBucket {
	var all []*emergencyv1.TimeBucket
	from := 0
	for _, bound := range bounds() {
		to, _ := slices.BinarySearch(times, bound+1)
		all = append(all, &emergencyv1.TimeBucket{UpToMs: new(bound), Count: uint32(to - from)})
		from = to
	}
	return append(all, &emergencyv1.TimeBucket{Count: uint32(len(times) - from)})
}

// Told is how many receipts and silent enforcers a watch tells of at most, each time.
const Told = 300

// First are the receipts that a watch tells of, in the order of names: of many, those that are not confirmed come first, then the
// slowest. It also answers how many it leaves out.
func First(all []*emergencyv1.Receipt) (told []*emergencyv1.Receipt, omitted uint32) {
	if len(all) <= Told {
		return all, 0
	}
	first := slices.Clone(all)
	slices.SortStableFunc(first, func(a, b *emergencyv1.Receipt) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), cmp.Compare(b.GetHeldMs(), a.GetHeldMs()))
	})
	told = first[:Told]
	slices.SortFunc(told, func(a, b *emergencyv1.Receipt) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetEnforcer(), b.GetEnforcer()))
	})
	return told, uint32(len(all) - Told)
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
