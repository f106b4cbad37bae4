package drill

import (
	"fmt"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/screen"
	"portcullis.dev/services/portcullis/cli/selector"
)

// shown is a result in one line.
func shown(r *emergencyv1.DrillResult) string {
	text := fmt.Sprintf("%d confirmed, %d waiting, %d unreachable", r.GetConfirmed(), r.GetWaiting(), r.GetUnreachable())
	if r.MedianMs != nil {
		text += fmt.Sprintf("; half of them within %d ms, all that were timed within %d ms", r.GetMedianMs(), r.GetSlowestMs())
	}
	return text
}

// would is what would have been.
func would(r *emergencyv1.DrillResult) string {
	return fmt.Sprintf("%s refused, %s ended", screen.Count(uint32(min(r.GetWouldRefuse(), 1<<32-1)), "request"), screen.Count(r.GetWouldEnd(), "session"))
}

func (x drills) print(d *emergencyv1.Drill) error {
	if !x.ForPeople() {
		return x.Print(d, nil)
	}
	t := screen.Pairs()
	t.Pair("id", d.GetId())
	t.Pair("status", d.GetStatus().String())
	t.Pair("practised", practiceText(d.GetPractice()))
	t.Pair("started", screen.Stamp(d.GetStartTime(), x.Zone))
	t.Pair("ends", screen.Until(d.GetEndTime(), x.Zone))
	t.Pair("ended by", d.GetEndedBy())
	t.Pair("doors", shown(d.GetResult()))
	t.Pair("would have", would(d.GetResult()))
	t.Pair("justification", d.GetJustification())
	t.Pair("ticket", d.GetGovernanceCode())
	t.Pair("by", d.GetCreatedBy())
	t.Pair("schedule", d.GetSchedule())
	if err := t.Write(x.Term.Out); err != nil {
		return err
	}
	if len(d.GetResult().GetReceipts()) == 0 {
		return nil
	}
	fmt.Fprintln(x.Term.Out)
	return x.receipts(d.GetResult()).Write(x.Term.Out)
}

func (x drills) receipts(r *emergencyv1.DrillResult) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD AFTER", "WOULD REFUSE", "WOULD END")
	for _, one := range r.GetReceipts() {
		paint, after, refuse, end := screen.Held, "", "not told", "not told"
		if one.GetState() == emergencyv1.Receipt_CONFIRMED {
			paint = screen.Sure
		}
		if one.HeldMs != nil {
			after = fmt.Sprintf("%d ms", one.GetHeldMs())
		}
		if one.WouldRefuse != nil {
			refuse, end = fmt.Sprint(one.GetWouldRefuse()), fmt.Sprint(one.GetWouldEnd())
		}
		t.Cells(screen.Plain(one.GetEnforcer()), screen.Plain(one.GetService()), screen.Painted(paint, one.GetState().String()),
			screen.Plain(after), screen.Plain(refuse), screen.Plain(end))
	}
	return t
}

func practiceText(p *emergencyv1.Practice) string {
	text := map[emergencyv1.Emergency_Kind]string{
		emergencyv1.Emergency_TERMINATION: "termination", emergencyv1.Emergency_FREEZE: "freeze", emergencyv1.Emergency_LOCKDOWN: "lockdown",
	}[p.GetKind()]
	if selects := selector.Text(p.GetSelector()); selects != "" {
		text += " of " + selects
	}
	return text
}
