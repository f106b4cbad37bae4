package receipt

import (
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
		s.EndedSessions += r.GetEndedSessions()
		s.OpenSessions += r.GetOpenSessions()
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
