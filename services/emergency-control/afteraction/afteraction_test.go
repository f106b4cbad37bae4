package afteraction

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

func receipt(service, enforcer string, state emergencyv1.Receipt_State, ms int) *emergencyv1.Receipt {
	r := &emergencyv1.Receipt{Service: service, Enforcer: enforcer, State: state}
	if ms >= 0 {
		r.HeldMs = new(uint32(ms))
	}
	return r
}

func TestWhoHasNotConfirmedComesFirstThenTheSlowest(t *testing.T) {
	got := receiptsOf([]*emergencyv1.Receipt{
		receipt("gate", "g1", emergencyv1.Receipt_CONFIRMED, 10), receipt("gate", "g2", emergencyv1.Receipt_CONFIRMED, 30),
		receipt("gate", "g3", emergencyv1.Receipt_CONFIRMED, -1), receipt("connector", "c1", emergencyv1.Receipt_WAITING, -1),
		receipt("connector", "c2", emergencyv1.Receipt_UNREACHABLE, -1), receipt("connector", "c3", emergencyv1.Receipt_CONFIRMED, 20),
		{Service: "gate", Enforcer: "edge-*", State: emergencyv1.Receipt_MISSING, Lacking: 2},
	})
	var order []string
	for _, r := range got.GetReceipts() {
		order = append(order, r.GetEnforcer())
	}
	if diff := cmp.Diff([]string{"c2", "edge-*", "c1", "g2", "c3", "g1", "g3"}, order); diff != "" {
		t.Error(diff)
	}
	got.Receipts = nil
	want := &auditv1.ReportReceipts{Enforcers: 8, Confirmed: 4, Waiting: 1, Unreachable: 3, Measured: 3,
		MedianMs: new(uint32(20)), P95Ms: new(uint32(30)), SlowestMs: new(uint32(30)), Slowest: "gate/g2", Services: []*auditv1.ReportService{
			{Service: "connector", Enforcers: 3, Confirmed: 1, MedianMs: new(uint32(20)), SlowestMs: new(uint32(20))},
			{Service: "gate", Enforcers: 5, Confirmed: 3, MedianMs: new(uint32(10)), SlowestMs: new(uint32(30))},
		}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestOfNobodyOrOfThoseWhoseTimeIsNotKnownThereIsNoMedian(t *testing.T) {
	for _, all := range [][]*emergencyv1.Receipt{nil, {receipt("gate", "g1", emergencyv1.Receipt_CONFIRMED, -1)}} {
		if got := receiptsOf(all); got.MedianMs != nil || got.P95Ms != nil || got.SlowestMs != nil || got.GetSlowest() != "" || int(got.GetEnforcers()) != len(all) {
			t.Errorf("of %v: %v", all, got)
		}
	}
}

func TestNoListOfAReportGrowsWithoutBound(t *testing.T) {
	var doors []*emergencyv1.Receipt
	for i := range 10_000 {
		doors = append(doors, receipt("guard", fmt.Sprint(i), emergencyv1.Receipt_CONFIRMED, i))
	}
	if got := receiptsOf(doors); len(got.GetReceipts()) != receiptsAtMost || got.GetEnforcers() != 10_000 || got.GetMedianMs() != 4999 || got.GetP95Ms() != 9499 {
		t.Errorf("%d receipts of %d, median %d, 95 of 100 within %d", len(got.GetReceipts()), got.GetEnforcers(), got.GetMedianMs(), got.GetP95Ms())
	}
	strangers := newTally("L-0001")
	var err error
	for i := 0; err == nil && i <= 2*rowsAtMost; i++ {
		err = strangers.add(&gatev1.AttemptRecord{Id: fmt.Sprint(i), Address: fmt.Sprint(i), Emergency: "L-0001", Count: 1})
	}
	if got := strangers.sum(); len(got.GetRows()) != refusedAtMost || got.GetRowsTotal() != rowsAtMost || got.GetTotal() != rowsAtMost || err != errEnough {
		t.Errorf("%d rows of %d, %d in all, %v", len(got.GetRows()), got.GetRowsTotal(), got.GetTotal(), err)
	}
	var entries []*auditv1.AuditEntry
	for range 2 * entriesAtMost {
		entries = bounded(entries, &auditv1.AuditEntry{})
	}
	if len(entries) != entriesAtMost {
		t.Errorf("%d entries", len(entries))
	}
}
