package panel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) approval() *cobra.Command {
	return app.Group("approval", "what waits for a second administrator: list, approve or deny", p.listApprovals(),
		p.decide("approve", "approve what another administrator has asked for; it is done at once", false),
		p.decide("deny", "deny it, or take back what you have asked for yourself", true))
}

func (p panel) listApprovals() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list what was asked for within the last day, newest first", Args: cobra.NoArgs}
	state := command.Flags().String("state", "", "pending, approved, denied, expired or void")
	command.RunE = func(command *cobra.Command, _ []string) error {
		answer, err := p.approvals(command.Context(), *state)
		if err != nil {
			return err
		}
		return p.Print(answer, func() *screen.Table {
			t := screen.NewTable("ID", "STATE", "ASKS TO", "BY", "UNTIL", "DECIDED BY", "TICKET", "JUSTIFICATION")
			for _, a := range answer.GetApprovals() {
				t.Cells(screen.Plain(a.GetId()), screen.Painted(approvalPaint(a), a.GetState().String()), screen.Plain(p.action(a)), screen.Plain(a.GetRequestedBy()),
					screen.Plain(screen.Stamp(a.GetExpireTime(), p.Zone)), screen.Plain(a.GetDecidedBy()), screen.Plain(a.GetGovernanceCode()), screen.Plain(a.GetJustification()))
			}
			return t
		})
	}
	return command
}

func (p panel) approvals(ctx context.Context, state string) (*emergencyv1.ListApprovalsResponse, error) {
	path := "/v1/approvals"
	if state != "" {
		path += "?filter=state%3D" + strings.ToUpper(state)
	}
	if state != "" && emergencyv1.Approval_State_value[strings.ToUpper(state)] == 0 {
		return nil, app.Usagef("--state: pending, approved, denied, expired or void")
	}
	answer := new(emergencyv1.ListApprovalsResponse)
	return answer, p.Get(ctx, path, answer)
}

func approvalPaint(a *emergencyv1.Approval) screen.Paint {
	switch a.GetState() {
	case emergencyv1.Approval_PENDING:
		return screen.Held
	case emergencyv1.Approval_APPROVED:
		return screen.Sure
	}
	return screen.Dim
}

// action is what an approval lets happen.
func (p panel) action(a *emergencyv1.Approval) string {
	switch a.GetAct() {
	case "cancel":
		return "cancel " + a.GetTarget()
	case "shorten":
		return "shorten " + a.GetTarget() + " to " + screen.Stamp(a.GetEndTime(), p.Zone)
	case "apply":
		return p.forced(a.GetApplies())
	case "policy":
		return strings.TrimSuffix("loosen the policy: "+a.GetDetail(), ": ")
	}
	return "open what is closed: " + a.GetDetail()
}

// forced is what would be applied although it leaves no administrator.
func (p panel) forced(r *emergencyv1.PreviewRequest) string {
	what, start, lasts := "lockdown of everything", r.GetLockdown().GetStartTime(), r.GetLockdown().GetDuration()
	if lock := r.GetLock(); lock != nil {
		what, start, lasts = "lock of the user "+lock.GetUser(), lock.GetStartTime(), lock.GetDuration()
	}
	text := "apply a " + what + ", which leaves no administrator who could lift it,"
	if start.AsTime().After(p.Now()) {
		text += " from " + screen.Stamp(start, p.Zone) + " on"
	} else {
		text += " at once"
	}
	if lasts == nil {
		return text + " until somebody lifts it"
	}
	text += " for " + screen.Span(lasts.AsDuration())
	if through := slices.Concat(r.GetLockdown().GetBreakGlassUsers(), r.GetLockdown().GetBreakGlassTokens()); len(through) > 0 {
		text += ", and lets " + screen.List(through) + " through"
	}
	if r.GetLockdown().GetRevokeTokens() {
		text += "; program tokens stay shut after it"
	}
	return text
}

// about is an approval as it waits: whoever types a code for it has read what it is.
func (p panel) about(ctx context.Context, id string) error {
	if !p.ForPeople() {
		return nil
	}
	answer, err := p.approvals(ctx, "")
	if err != nil {
		return err
	}
	for _, a := range answer.GetApprovals() {
		if a.GetId() != id {
			continue
		}
		p.Term.Note("%s asks to %s.", screen.Clean(a.GetRequestedBy()), screen.Clean(p.action(a)))
		p.Term.Note("  because   %s", screen.Clean(a.GetJustification()))
		if a.GetGovernanceCode() != "" {
			p.Term.Note("  ticket    %s", screen.Clean(checked(a.GetGovernanceCode(), a.GetTicketCheck())))
		}
		p.Term.Note("  asked     %s, can be decided until %s", screen.Stamp(a.GetCreateTime(), p.Zone), screen.Stamp(a.GetExpireTime(), p.Zone))
		p.hitsNow(ctx, a)
	}
	return nil
}

// hitsNow says what a forced apply would hit by now. It stands in nobody's way.
func (p panel) hitsNow(ctx context.Context, a *emergencyv1.Approval) {
	answer := new(emergencyv1.PreviewResponse)
	if a.GetApplies() != nil && p.Post(ctx, "/v1/emergencies:preview", due(a.GetApplies(), p.Now()), answer) == nil {
		p.Term.Note("  would hit %s", hits(answer))
	}
}

// due is a request as an approval would carry it out: one whose start is over starts at once. As it was asked for, its preview is refused.
func due(r *emergencyv1.PreviewRequest, now time.Time) *emergencyv1.PreviewRequest {
	r = proto.CloneOf(r)
	if lockdown := r.GetLockdown(); !lockdown.GetStartTime().AsTime().After(now) && lockdown != nil {
		lockdown.StartTime = nil
	}
	if lock := r.GetLock(); !lock.GetStartTime().AsTime().After(now) && lock != nil {
		lock.StartTime = nil
	}
	return r
}

func (p panel) decide(verb, short string, deny bool) *cobra.Command {
	command := &cobra.Command{Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1), Long: strings.ToUpper(short[:1]) + short[1:] + ".\n\n" +
		"ID is that of the approval (P-0042). What it lets happen is said before it takes a code of your own MFA app.",
		Example: fmt.Sprintf("  portcullis approval %s P-0042", verb)}
	act := p.CodeFlags(command, "approve")
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := p.about(command.Context(), args[0]); err != nil {
			return err
		}
		if deny {
			if err := act.AskWhy(command.Context()); err != nil {
				return err
			}
		}
		answer := new(emergencyv1.DecideApprovalResponse)
		err := act.Do(command.Context(), func(grant string) error {
			return p.PostOnce(command.Context(), app.Path("emergencies", args[0], ":approve"), &emergencyv1.DecideApprovalRequest{
				Justification: act.Justification, Grant: grant, RequestId: act.RequestID, Deny: deny}, answer)
		})
		if err != nil {
			return err
		}
		return p.Print(answer, func() *screen.Table { return p.decided(answer) })
	}
	return command
}

func (p panel) decided(answer *emergencyv1.DecideApprovalResponse) *screen.Table {
	a := answer.GetApproval()
	t := screen.Pairs()
	t.Pair("approval", a.GetId())
	t.Cells(screen.Plain("state"), screen.Painted(approvalPaint(a), a.GetState().String()))
	t.Pair("asked to", p.action(a))
	t.Pair("asked by", a.GetRequestedBy())
	t.Pair("because", a.GetJustification())
	t.Pair("decided by", a.GetDecidedBy())
	if a.GetState() == emergencyv1.Approval_APPROVED && !a.GetDone() {
		t.Pair("to do", fmt.Sprintf("%s does the same again before %s; it takes no other code", a.GetRequestedBy(), screen.Stamp(a.GetExpireTime(), p.Zone)))
	}
	if e := answer.GetEmergency(); e != nil && a.GetDone() {
		t.Cells(screen.Plain(e.GetId()), statusCell(e))
	}
	return t
}

// waiting tells those who may know of it what waits for a second administrator.
func (p panel) waiting(ctx context.Context) {
	if !p.ForPeople() {
		return
	}
	answer, err := p.approvals(ctx, "pending")
	if err != nil {
		return
	}
	for _, a := range answer.GetApprovals() {
		fmt.Fprintf(p.Term.Out, "%s waits for a second administrator until %s: %s asks to %s.\n", screen.Held.Render(a.GetId()),
			screen.Stamp(a.GetExpireTime(), p.Zone), screen.Clean(a.GetRequestedBy()), screen.Clean(p.action(a)))
	}
}

// checked is a governance code with what the ticket system said of it.
func checked(code string, check *emergencyv1.TicketCheck) string {
	switch check.GetState() {
	case emergencyv1.TicketCheck_FOUND:
		return strings.TrimSuffix(code+": "+check.GetTitle(), ": ")
	case emergencyv1.TicketCheck_NOT_CHECKED:
		return code + " (not checked: " + check.GetWhy() + ")"
	}
	return code
}
