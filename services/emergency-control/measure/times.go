package measure

import (
	"slices"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Times are how long enforcers took to hold what they have confirmed, in milliseconds, the shortest first.
type Times []uint32

// TimesOf are those that were measured. Who came later is no slow one.
func TimesOf(all []*emergencyv1.Receipt) Times {
	var t Times
	for _, r := range all {
		if r.HeldMs != nil && !r.GetBeganAfter() {
			t = append(t, r.GetHeldMs())
		}
	}
	slices.Sort(t)
	return t
}

// Within is the time that so many of a hundred took at most: 50 is the median, 100 the slowest. It is nil of none.
func (t Times) Within(percent int) *uint32 {
	if len(t) == 0 {
		return nil
	}
	return new(t[max(0, (len(t)*percent+99)/100-1)])
}
