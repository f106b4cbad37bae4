package approval

import (
	"fmt"
	"strings"
	"time"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Required is the refusal of what waits for somebody else, or of what somebody else has asked for already. otherwise
// says what happens without an approval.
func Required(a *emergencyv1.Approval, caller, otherwise string) error {
	who := "Another System Administrator"
	if others := others(a, caller); len(others) > 0 && len(others) <= 5 {
		who = strings.Join(others, " or ")
	}
	text := fmt.Sprintf("This takes a second administrator. It is on record as %s, and nothing is done yet. %s can approve it until %s, in the console or with: portcullis approval approve %s.",
		a.GetId(), who, moment(a.GetExpireTime().AsTime()), a.GetId())
	switch {
	case a.GetRequestedBy() != caller:
		text = fmt.Sprintf("%s has asked for the same already, as %s. If you agree, approve that, in the console or with: portcullis approval approve %s.", a.GetRequestedBy(), a.GetId(), a.GetId())
	case a.GetState() == emergencyv1.Approval_PENDING && len(a.GetApprovers()) == 0:
		text += " Who could is not known, or there is nobody: let another administrator enrol an MFA."
	}
	refusal := fault.New(fault.ApprovalRequired, "%s", strings.TrimSpace(text+" "+otherwise)).With("approval", a.GetId()).
		With("expireTime", moment(a.GetExpireTime().AsTime())).With("requestedBy", a.GetRequestedBy())
	if len(a.GetApprovers()) > 0 {
		refusal = refusal.With("approvers", strings.Join(a.GetApprovers(), ", "))
	}
	return refusal
}

func others(a *emergencyv1.Approval, caller string) []string {
	var all []string
	for _, name := range a.GetApprovers() {
		if name != caller {
			all = append(all, name)
		}
	}
	return all
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Unnamed is the refusal of a decision whose id is neither that of an approval nor of an emergency at which one thing waits.
func Unnamed(id string, waiting []*emergencyv1.Approval) error {
	if len(waiting) == 0 {
		return fault.New(fault.NotFound, "There is no approval %.40q. List the approvals to see what waits", id).With("field", "id")
	}
	var all []string
	for _, a := range waiting {
		all = append(all, fmt.Sprintf("%s (%s, asked for by %s)", a.GetId(), a.GetAct(), a.GetRequestedBy()))
	}
	return fault.New(fault.InvalidArgument, "Name the approval itself: at %s waits %s", id, strings.Join(all, ", ")).
		With("field", "id").With("approval", waiting[0].GetId())
}

// Undecidable says why an approval can't be decided any more; nil if it can.
func Undecidable(a *emergencyv1.Approval) error {
	text := ""
	switch a.GetState() {
	case emergencyv1.Approval_PENDING:
		return nil
	case emergencyv1.Approval_APPROVED:
		text = fmt.Sprintf("%s has approved it already, at %s. An approval is good once", a.GetDecidedBy(), moment(a.GetDecideTime().AsTime()))
	case emergencyv1.Approval_DENIED:
		text = fmt.Sprintf("%s has denied it, at %s", a.GetDecidedBy(), moment(a.GetDecideTime().AsTime()))
	case emergencyv1.Approval_EXPIRED:
		text = fmt.Sprintf("its time was over at %s: %s. %s may ask again", moment(a.GetExpireTime().AsTime()), a.GetWhy(), a.GetRequestedBy())
	default:
		text = fmt.Sprintf("it is void: %s. Whoever still wants it asks again", a.GetWhy())
	}
	return fault.New(fault.ApprovalClosed, "%s can't be decided any more: %s", a.GetId(), text).With("approval", a.GetId()).With("state", a.GetState().String())
}

// Denied is the refusal of a request that was denied.
func Denied(a *emergencyv1.Approval) error {
	return fault.New(fault.PermissionDenied, "%s has denied this (%s): %s", a.GetDecidedBy(), a.GetId(), a.GetDecideJustification()).
		With("approval", a.GetId()).With("rule", "denied")
}

// Concerned refuses whoever would decide about a lock of their own user: by approving it, which nobody does to themselves, or by denying
// it, which is what a lock is there to outlast.
func Concerned(a *emergencyv1.Approval, user string) error {
	if locked := a.GetApplies().GetLock().GetUser(); user == "" || locked != user {
		return nil
	}
	return fault.New(fault.PermissionDenied, "%s would lock your own user. Nobody decides about a lock of their own user. Ask another System Administrator", a.GetId()).With("rule", "ownLock")
}

// By is who decides.
type By struct {
	User string
	// Subject is who that is at the OpenID provider, in a word; empty without one.
	Subject string
}

// Independent refuses whoever is no second person: who asked, by whichever sign-in, or whom they gave the means to act.
func (b *Book) Independent(a *emergencyv1.Approval, by By, now time.Time) error {
	if by.User == "" || by.User == a.GetRequestedBy() {
		return fault.New(fault.PermissionDenied, "Nobody approves what they have asked for themselves. Ask another System Administrator").With("rule", "second")
	}
	if by.Subject != "" && by.Subject == a.GetRequesterSubject() {
		return fault.New(fault.PermissionDenied, "You and %s are the same person at the OpenID provider. Ask another System Administrator", a.GetRequestedBy()).With("rule", "second")
	}
	if until := b.MadeUntil(a.GetRequestedBy(), by.User, now); !until.IsZero() {
		return fault.New(fault.PermissionDenied, "One of %s and you has given the other the means to act (the role, a password, a key, a provider or an MFA), or somebody has given them to both, and so you don't count as somebody else until %s. Ask another System Administrator",
			a.GetRequestedBy(), moment(until)).With("rule", "second")
	}
	return nil
}
