package text

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// ofDrill are the facts of a drill that has ended. Who answers for it is the person behind it, where the clock ended it.
func (s speech) ofDrill(facts map[string]string, d *emergencyv1.Drill) {
	r, kind := d.GetResult(), kinds[d.GetPractice().GetKind().String()]
	facts["id"], facts["kind"] = d.GetId(), s.either(kind[0], kind[1])
	facts["actor"], facts["justification"], facts["ticket"] = d.GetCreatedBy(), d.GetJustification(), d.GetGovernanceCode()
	facts["start"], facts["ended"], facts["ended_by"] = s.end(timeOf(d.GetStartTime())), s.end(timeOf(d.GetEndTime())), d.GetEndedBy()
	lacking := int64(r.GetWaiting()) + int64(r.GetUnreachable())
	facts["confirmed"] = s.number(int64(r.GetConfirmed())) + s.either(" of ", " de ") + s.number(int64(r.GetConfirmed())+lacking)
	facts["unconfirmed"] = s.unconfirmed(r, lacking)
	facts["would_refuse"], facts["would_end"] = s.number(int64(r.GetWouldRefuse())), s.number(int64(r.GetWouldEnd()))
	if r.MedianMs != nil {
		facts["median"], facts["slowest"] = s.number(int64(r.GetMedianMs()))+" ms", s.number(int64(r.GetSlowestMs()))+" ms ("+r.GetSlowest()+")"
	}
}

// unconfirmed names the first of those that did not confirm.
func (s speech) unconfirmed(r *emergencyv1.DrillResult, lacking int64) string {
	var names []string
	for _, one := range r.GetReceipts() {
		if one.GetState() != emergencyv1.Receipt_CONFIRMED && len(names) < maxNames {
			names = append(names, one.GetService()+"/"+one.GetEnforcer())
		}
	}
	if lacking == 0 {
		return s.either("none", "nenhuma")
	}
	return Counted(names, int(lacking), s.language)
}

func exampleDrill(s speech) *emergencyv1.Drill {
	median, slowest, none := uint32(12), uint32(87), uint32(0)
	return &emergencyv1.Drill{
		Id: "D-0094", CreatedBy: "helena.prado", Justification: s.either("Monthly drill", "Simulado do mês"), GovernanceCode: "CHG0031177",
		Practice:  &emergencyv1.Practice{Kind: emergencyv1.Emergency_LOCKDOWN},
		StartTime: timestamppb.New(exampleTime().Add(-time.Minute)), EndTime: timestamppb.New(exampleTime()),
		Result: &emergencyv1.DrillResult{Confirmed: 13, Unreachable: 1, MedianMs: &median, SlowestMs: &slowest, Slowest: "guard/orders-2", WouldRefuse: 1204, WouldEnd: 37,
			Receipts: []*emergencyv1.DrillReceipt{{Service: "connector", Enforcer: "bastion-9", State: emergencyv1.Receipt_UNREACHABLE, WouldEnd: &none}}},
	}
}
