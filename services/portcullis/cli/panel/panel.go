// Package panel is the emergency panel on the command line: terminate, freeze, lock down, lock, lift, and
// watch how far it is.
package panel

import (
	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
	"portcullis.dev/services/portcullis/cli/selector"
)

type panel struct{ *app.App }

// Commands answers the panel's commands.
func Commands(a *app.App) []*cobra.Command {
	p := panel{a}
	return []*cobra.Command{
		p.status(), p.terminate(), p.window(freezes(a)), p.window(lockdowns(a)), p.lock(), p.approval(), p.hold(),
	}
}

func paintOf(status emergencyv1.Emergency_Status) screen.Paint {
	switch status {
	case emergencyv1.Emergency_ONGOING, emergencyv1.Emergency_RUNNING:
		return screen.Closed
	case emergencyv1.Emergency_PENDING, emergencyv1.Emergency_PARTIAL:
		return screen.Held
	case emergencyv1.Emergency_DONE:
		return screen.Sure
	}
	return screen.Dim
}

func statusCell(e *emergencyv1.Emergency) screen.Cell {
	return screen.Painted(paintOf(e.GetStatus()), e.GetStatus().String())
}

// left is how long it is until the window's next edge.
func (p panel) left(e *emergencyv1.Emergency) string {
	switch e.GetStatus() {
	case emergencyv1.Emergency_PENDING:
		return "starts in " + screen.Span(e.GetStartTime().AsTime().Sub(p.Now()))
	case emergencyv1.Emergency_ONGOING:
		if e.GetEndTime() == nil {
			return "until lifted"
		}
		return screen.Span(e.GetEndTime().AsTime().Sub(p.Now())) + " left"
	}
	return ""
}

// details are what there is to know of one emergency.
func (p panel) details(e *emergencyv1.Emergency) *screen.Table {
	t := screen.Pairs()
	t.Pair("id", e.GetId())
	t.Cells(screen.Plain("status"), statusCell(e))
	t.Pair("starts", screen.Stamp(e.GetStartTime(), p.Zone))
	t.Pair("ends", screen.Until(e.GetEndTime(), p.Zone))
	t.Pair("left", p.left(e))
	t.Pair("selects", selector.Text(e.GetSelector()))
	if e.GetKind() == emergencyv1.Emergency_TERMINATION {
		t.Pair("sessions", counts(e))
	}
	t.Pair("justification", e.GetJustification())
	t.Pair("public", yes(e.GetJustificationPublic()))
	t.Pair("ticket", checked(e.GetGovernanceCode(), e.GetTicketCheck()))
	t.Pair("by", e.GetCreatedBy())
	t.Pair("applied", screen.Stamp(e.GetCreateTime(), p.Zone))
	t.Pair("ends live sessions", yes(e.GetEndLiveSessions()))
	t.Pair("lets through", screen.List(append(e.GetBreakGlassUsers(), e.GetBreakGlassTokens()...)))
	t.Pair("revokes tokens", yes(e.GetRevokeTokens()))
	t.Pair("lifted by", e.GetCancelledBy())
	t.Pair("lifted", screen.Stamp(e.GetCancelTime(), p.Zone))
	t.Pair("lifted because", e.GetCancelJustification())
	t.Pair("lifting ticket", checked(e.GetCancelGovernanceCode(), e.GetCancelTicketCheck()))
	t.Pair("forced with", e.GetForcedWith())
	t.Pair("approved by", e.GetApprovedBy())
	t.Pair("not compared with the preview", screen.List(e.GetNotCompared()))
	t.Pair("revision", e.GetRevision())
	return t
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
