package record

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (r record) afterAction() *cobra.Command {
	return &cobra.Command{Use: "report ID", Short: "tell all that is known of one emergency: timeline, people, receipts, sessions, refusals, messages", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			answer := new(auditv1.Report)
			if err := r.Get(command.Context(), app.Path("emergencies", args[0], "/report"), answer); err != nil {
				return err
			}
			if !r.ForPeople() {
				return r.Print(answer, nil)
			}
			return r.tell(answer)
		}}
}

// section is a part of a report: a table, and a line where there is more than it shows, or not all is known.
type section struct {
	head  string
	part  auditv1.ReportGap_Part
	table *screen.Table
	more  string
}

func (r record) tell(of *auditv1.Report) error {
	for i, s := range []section{
		{"", 0, r.summary(of), ""},
		{"TIMELINE", auditv1.ReportGap_TIMELINE, r.entries(of.GetTimeline()), more(len(of.GetTimeline()), of.GetTimelineTotal())},
		{"PEOPLE", 0, r.people(of.GetPeople()), ""},
		{"MEANWHILE", 0, r.entries(of.GetMeanwhile()), more(len(of.GetMeanwhile()), of.GetMeanwhileTotal())},
		{"RECEIPTS", auditv1.ReportGap_RECEIPTS, receipts(of.GetReceipts()), ""},
		{"NOT CONFIRMED", 0, unconfirmed(of.GetReceipts()), ""},
		{"SESSIONS ENDED", auditv1.ReportGap_SESSIONS, r.sessions(of.GetSessions()), more(len(of.GetSessions().GetSessions()), of.GetSessions().GetTotal())},
		{"REFUSED", auditv1.ReportGap_REFUSALS, r.refusals(of.GetRefusals()), more(len(of.GetRefusals().GetRows()), of.GetRefusals().GetRowsTotal())},
		{"MESSAGES", auditv1.ReportGap_MESSAGES, messages(of.GetMessages()), ""},
		{"CHECKPOINT", auditv1.ReportGap_CHECKPOINT, app.Lines("revision", of.GetCheckpoint().GetRevision(), "hash", of.GetCheckpoint().GetHash()), ""},
	} {
		if err := r.say(of, s, i > 0); err != nil {
			return err
		}
	}
	return nil
}

func (r record) say(of *auditv1.Report, s section, headed bool) error {
	if headed {
		if _, err := fmt.Fprintf(r.Term.Out, "\n%s\n", s.head); err != nil {
			return err
		}
	}
	if err := s.table.Write(r.Term.Out); err != nil {
		return err
	}
	lines := []string{s.more}
	for _, g := range of.GetGaps() {
		if s.part != 0 && g.GetPart() == s.part {
			lines = append(lines, whys(g.GetWhy()))
		}
	}
	for _, line := range lines {
		if line == "" {
			continue
		}
		if _, err := fmt.Fprintln(r.Term.Out, line); err != nil {
			return err
		}
	}
	return nil
}

// more says how many a list leaves out.
func more(shown int, total uint32) string {
	if uint32(shown) >= total {
		return ""
	}
	return fmt.Sprintf("… and %d more", total-uint32(shown))
}

func whys(w auditv1.ReportGap_Why) string {
	switch w {
	case auditv1.ReportGap_FORBIDDEN:
		return "! You may not read this part."
	case auditv1.ReportGap_CUT:
		return "! There is more than could be read: the counts are at least what they say."
	case auditv1.ReportGap_AGED:
		return "! Some of what was known then is no longer kept."
	}
	return "! This part could not be asked for. Try again later."
}

func (r record) summary(of *auditv1.Report) *screen.Table {
	e := of.GetEmergency()
	return app.Lines("emergency", e.GetId(), "kind", e.GetKind().String(), "status", e.GetStatus().String(), "applied by", e.GetCreatedBy(),
		"applied", screen.Stamp(e.GetCreateTime(), r.Zone), "start", screen.Stamp(e.GetStartTime(), r.Zone), "end", screen.Until(e.GetEndTime(), r.Zone),
		"justification", e.GetJustification(), "ticket", e.GetGovernanceCode(), "cancelled by", e.GetCancelledBy(),
		"cancelled", screen.Stamp(e.GetCancelTime(), r.Zone), "why", e.GetCancelJustification(), "its ticket", e.GetCancelGovernanceCode(),
		"report made", screen.Stamp(of.GetTime(), r.Zone), "for", of.GetMadeFor(),
		"meanwhile", screen.Stamp(of.GetFromTime(), r.Zone)+" to "+screen.Stamp(of.GetUntilTime(), r.Zone))
}

func (r record) people(all []*auditv1.ReportPerson) *screen.Table {
	t := screen.NewTable("NAME", "DID", "FROM", "SIGNED IN BY", "FIRST", "LAST")
	for _, p := range all {
		var did []string
		for _, c := range p.GetChanges() {
			did = append(did, c.String())
		}
		t.Row(p.GetName(), screen.List(did), screen.List(p.GetAddresses()), screen.List(p.GetSignInBy()), screen.Stamp(p.GetFirstTime(), r.Zone), screen.Stamp(p.GetLastTime(), r.Zone))
	}
	return t
}

func millis(of *uint32) string {
	if of == nil {
		return "–"
	}
	return fmt.Sprintf("%d ms", *of)
}

func receipts(of *auditv1.ReportReceipts) *screen.Table {
	t := screen.NewTable("SERVICE", "CONFIRMED", "MEDIAN", "SLOWEST", "ENDED", "STILL OPEN")
	for _, s := range of.GetServices() {
		t.Row(s.GetService(), fmt.Sprintf("%d of %d", s.GetConfirmed(), s.GetEnforcers()), millis(s.MedianMs), millis(s.SlowestMs), fmt.Sprint(s.GetEndedSessions()), fmt.Sprint(s.GetOpenSessions()))
	}
	if of != nil {
		t.Row("all", fmt.Sprintf("%d of %d", of.GetConfirmed(), of.GetEnforcers()), millis(of.MedianMs), strings.TrimSpace(millis(of.SlowestMs)+" "+of.GetSlowest()), "", "")
	}
	return t
}

func unconfirmed(of *auditv1.ReportReceipts) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD", "STILL OPEN")
	for _, one := range of.GetReceipts() {
		if one.GetState() != emergencyv1.Receipt_CONFIRMED {
			t.Row(one.GetEnforcer(), one.GetService(), one.GetState().String(), one.GetRevision(), fmt.Sprint(one.GetOpenSessions()))
		}
	}
	return t
}

func (r record) sessions(of *auditv1.ReportSessions) *screen.Table {
	t := screen.NewTable("USER", "DEVICE", "PROTOCOL", "CONNECTOR", "FROM", "OPENED", "ENDED", "SESSION")
	for _, s := range of.GetSessions() {
		t.Row(s.GetUser(), s.GetDevice(), s.GetProtocol(), s.GetConnector(), s.GetAddress(), screen.Stamp(s.GetStartTime(), r.Zone), screen.Stamp(s.GetEndTime(), r.Zone), s.GetId())
	}
	return t
}

func (r record) refusals(of *auditv1.ReportRefusals) *screen.Table {
	t := screen.NewTable("DOOR", "REASON", "WHO", "FROM", "DEVICE", "TIMES", "FIRST", "LAST")
	for _, one := range of.GetRows() {
		who := one.GetUser()
		switch {
		case one.GetCrowd():
			who = "(many)"
		case one.GetToken() != "":
			who = "token " + one.GetTokenName()
		}
		t.Row(one.GetDoor().String(), one.GetReason(), who, one.GetAddress(), one.GetDevice(), fmt.Sprint(one.GetCount()), screen.Stamp(one.GetFirstTime(), r.Zone), screen.Stamp(one.GetLastTime(), r.Zone))
	}
	return t
}

func messages(of *auditv1.ReportMessages) *screen.Table {
	t := screen.NewTable("METHOD", "STATE", "COUNT", "TO", "ERROR")
	for _, s := range of.GetStates() {
		t.Row(s.GetMethod().String(), s.GetState().String(), fmt.Sprint(s.GetCount()), "", "")
	}
	for _, d := range of.GetFailed() {
		t.Row(d.GetMethod().String(), d.GetState().String(), "", d.GetRecipient(), d.GetError())
	}
	return t
}
