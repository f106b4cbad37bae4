package afteraction

import (
	"cmp"
	"context"
	"maps"
	"slices"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

const receiptsAtMost = 1000

// receipts says who holds it, and how long that took.
func (d *draft) receipts(ctx context.Context) error {
	all, err := d.deps.Receipts(ctx, d.report.GetEmergency().GetId())
	if err != nil {
		return err
	}
	r := receiptsOf(all)
	if r.GetEnforcers() > 0 && r.GetMeasured() == 0 {
		d.gap(auditv1.ReportGap_RECEIPTS, auditv1.ReportGap_AGED)
	}
	d.report.Receipts = r
	return nil
}

func receiptsOf(all []*emergencyv1.Receipt) *auditv1.ReportReceipts {
	all = slices.Clone(all)
	slices.SortStableFunc(all, telling)
	r := &auditv1.ReportReceipts{Receipts: all[:min(len(all), receiptsAtMost)]}
	of := map[string][]*emergencyv1.Receipt{}
	for _, one := range all {
		of[one.GetService()] = append(of[one.GetService()], one)
		r.Enforcers += doors(one)
		switch one.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			r.Confirmed++
		case emergencyv1.Receipt_UNREACHABLE, emergencyv1.Receipt_MISSING:
			r.Unreachable += doors(one)
		default:
			r.Waiting++
		}
	}
	times := measure.TimesOf(all)
	r.Measured, r.MedianMs, r.P95Ms, r.SlowestMs = uint32(len(times)), times.Within(50), times.Within(95), times.Within(100)
	for _, one := range all {
		if r.SlowestMs != nil && one.HeldMs != nil && one.GetHeldMs() == r.GetSlowestMs() {
			r.Slowest = one.GetService() + "/" + one.GetEnforcer()
			break
		}
	}
	for _, service := range slices.Sorted(maps.Keys(of)) {
		r.Services = append(r.Services, serviceOf(service, of[service]))
	}
	return r
}

func serviceOf(name string, all []*emergencyv1.Receipt) *auditv1.ReportService {
	times := measure.TimesOf(all)
	s := &auditv1.ReportService{Service: name, MedianMs: times.Within(50), SlowestMs: times.Within(100)}
	for _, one := range all {
		s.Enforcers += doors(one)
		if one.GetState() == emergencyv1.Receipt_CONFIRMED {
			s.Confirmed++
		}
		s.EndedSessions, s.OpenSessions = s.EndedSessions+one.GetEndedSessions(), s.OpenSessions+one.GetOpenSessions()
	}
	return s
}

// doors is how many a receipt is of: one, or those of a group that never came.
func doors(r *emergencyv1.Receipt) uint32 {
	if r.GetState() == emergencyv1.Receipt_MISSING {
		return max(1, r.GetLacking())
	}
	return 1
}

// telling puts those first that have not confirmed, then the slowest, and those last whose time nobody measured.
func telling(a, b *emergencyv1.Receipt) int {
	return cmp.Or(cmp.Compare(settled(a), settled(b)), cmp.Compare(held(b), held(a)))
}

func settled(r *emergencyv1.Receipt) int {
	switch r.GetState() {
	case emergencyv1.Receipt_CONFIRMED:
		return 2
	case emergencyv1.Receipt_UNREACHABLE, emergencyv1.Receipt_MISSING:
		return 0
	}
	return 1
}

func held(r *emergencyv1.Receipt) int64 {
	if r.HeldMs == nil {
		return -1
	}
	return int64(r.GetHeldMs())
}
