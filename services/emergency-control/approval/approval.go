// Package approval keeps what takes two administrators: what one has asked for, what another has decided, and whether it
// can still be done. It is folded from the record like everything else, and decides nothing by a clock of its own.
package approval

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/who"
)

// Life is how long somebody else has to approve, and then whoever asked to do an act that was approved.
const Life = 30 * time.Minute

// What an approval lets happen, beside acts of other services.
const (
	Cancel  = "cancel"
	Shorten = "shorten"
	Apply   = "apply"
	Policy  = "policy"
)

// The target of a change of the policy.
const PolicyTarget = "policy"

// Book is all that was asked for. It is the ledger's, and guarded by its lock.
type Book struct {
	pages map[string]*page
	order []string
	// made says who gave whom the means to act: the role, a password, an MFA.
	made map[[2]string]time.Time
	// apart is for how long whoever gave somebody the means to act can't be approved by them.
	apart time.Duration
}

type page struct {
	asked *emergencyv1.Entry
	// decided is the record after the decision, nil before.
	decided *emergencyv1.Approval
	// denied says which.
	denied bool
	done   bool
	// made is the id of the emergency that was applied, empty if none was.
	made string
}

// NewBook answers an empty one. For as long as apart, nobody is approved by whom they gave the means to act.
func NewBook(apart time.Duration) *Book {
	return &Book{pages: map[string]*page{}, made: map[[2]string]time.Time{}, apart: apart}
}

// Put folds an entry of the record.
func (b *Book) Put(e *emergencyv1.Entry) {
	switch e.GetChange() {
	case emergencyv1.Entry_APPROVAL_REQUESTED:
		id := e.GetApprovalRecord().GetId()
		b.pages[id] = &page{asked: e}
		b.order = append(b.order, id)
	case emergencyv1.Entry_APPROVAL_GRANTED, emergencyv1.Entry_APPROVAL_DENIED:
		if p := b.pages[e.GetApprovalRecord().GetId()]; p != nil {
			p.decided, p.denied = e.GetApprovalRecord(), e.GetChange() == emergencyv1.Entry_APPROVAL_DENIED
		}
	case emergencyv1.Entry_ACT:
		b.tie(e)
	}
	if p := b.pages[e.GetApproval()]; p != nil {
		p.done = true
		if p.asked.GetApprovalRecord().GetAct() == Apply {
			p.made = e.GetEmergency().GetId()
		}
	}
}

// tie notes who has given somebody the means to act: whoever makes an administrator, and those who had done so before, of whom
// only the act that makes one says anything.
func (b *Book) tie(e *emergencyv1.Entry) {
	act, at := e.GetAct(), e.GetTime().AsTime()
	if !slices.Contains(enabling(), act.GetKind()) {
		return
	}
	if !byGroups(e) {
		b.made[[2]string{e.GetActor(), act.GetTarget()}] = at
	}
	for _, hand := range act.GetHands() {
		b.made[[2]string{hand, act.GetTarget()}] = at
	}
}

// byGroups reports whether groups at the OpenID provider have made an administrator, which is nobody's gift: no person signed in for it.
func byGroups(e *emergencyv1.Entry) bool {
	return e.GetSignIn() == "" && e.GetSignInBy() == who.ByProvider
}

// enabling are the acts by which one person gets the means to act as another.
func enabling() []string {
	return []string{"user.grant-administrator", "user.enable-administrator", "user.set-password", "user.add-key", "user.reset-mfa", "user.link"}
}

// Present is what an approval is judged by.
type Present struct {
	Now time.Time
	// Revision is that of what an approval is about, empty where there is none.
	Revision func(a *emergencyv1.Approval) string
	// May reports whether whoever asked may still do it.
	May func(a *emergencyv1.Approval) bool
}

// Get answers an approval as it stands now, nil if there is none. It is the caller's to change.
func (b *Book) Get(id string, now Present) *emergencyv1.Approval {
	p := b.pages[id]
	if p == nil {
		return nil
	}
	a := proto.CloneOf(cmp.Or(p.decided, p.asked.GetApprovalRecord()))
	a.Done, a.Target = p.done, cmp.Or(p.made, a.GetTarget())
	a.State, a.Why = p.state(a, now)
	return a
}

func (p *page) state(a *emergencyv1.Approval, now Present) (emergencyv1.Approval_State, string) {
	late := !now.Now.Before(a.GetExpireTime().AsTime())
	switch {
	case p.denied:
		return emergencyv1.Approval_DENIED, ""
	case p.decided != nil && !p.done && late:
		return emergencyv1.Approval_EXPIRED, fmt.Sprintf("%s has approved it, and %s has not done it in time", a.GetDecidedBy(), a.GetRequestedBy())
	case p.decided != nil:
		return emergencyv1.Approval_APPROVED, ""
	case late:
		return emergencyv1.Approval_EXPIRED, "nobody has approved it in time"
	case now.Revision(a) != a.GetRevision() && a.GetAct() == Apply:
		return emergencyv1.Approval_VOID, "a lock of a user or a lockdown has come or gone since it was asked for"
	case now.Revision(a) != a.GetRevision():
		return emergencyv1.Approval_VOID, fmt.Sprintf("%s has changed since it was asked for", a.GetTarget())
	case !now.May(a):
		return emergencyv1.Approval_VOID, fmt.Sprintf("%s, who asked for it, may not do it any more", a.GetRequestedBy())
	}
	return emergencyv1.Approval_PENDING, ""
}

// Asked is the entry that asked for an approval, nil if there is none.
func (b *Book) Asked(id string) *emergencyv1.Entry {
	if p := b.pages[id]; p != nil {
		return p.asked
	}
	return nil
}

// Since answers what was asked for since a moment, the newest first.
func (b *Book) Since(at time.Time, now Present) []*emergencyv1.Approval {
	var all []*emergencyv1.Approval
	for _, id := range slices.Backward(b.order) {
		if b.pages[id].asked.GetTime().AsTime().Before(at) {
			break
		}
		all = append(all, b.Get(id, now))
	}
	return all
}

// recent is how far back what can still be approved, or done, may lie.
func (b *Book) recent(now Present) []*emergencyv1.Approval { return b.Since(now.Now.Add(-3*Life), now) }

// Pending answers what waits there, the newest first.
func (b *Book) Pending(target string, now Present) []*emergencyv1.Approval {
	return slices.DeleteFunc(b.recent(now), func(a *emergencyv1.Approval) bool {
		return a.GetTarget() != target || a.GetState() != emergencyv1.Approval_PENDING
	})
}

// Same answers the approval that lets the same happen as another one would, if it waits, or is approved and not done;
// nil if there is none.
func (b *Book) Same(want *emergencyv1.Approval, now Present) *emergencyv1.Approval {
	for _, a := range b.recent(now) {
		waits := a.GetState() == emergencyv1.Approval_PENDING
		mine := a.GetState() == emergencyv1.Approval_APPROVED && !a.GetDone() && a.GetRequestedBy() == want.GetRequestedBy()
		if (waits || mine) && same(a, want) {
			return a
		}
	}
	return nil
}

// same reports whether two let the same happen: whoever asks, and why, does not count.
func same(a, b *emergencyv1.Approval) bool {
	return a.GetAct() == b.GetAct() && a.GetTarget() == b.GetTarget() && a.GetRevision() == b.GetRevision() && a.GetAt() == b.GetAt() &&
		bytes.Equal(a.GetOpens(), b.GetOpens()) && proto.Equal(a.GetEndTime(), b.GetEndTime()) && proto.Equal(bare(a.GetPolicy()), bare(b.GetPolicy()))
}

// bare is a policy without when and by whom, and without what follows from the one before.
func bare(p *emergencyv1.Policy) *emergencyv1.Policy {
	if p == nil {
		return nil
	}
	p = proto.CloneOf(p)
	p.Revision, p.UpdatedBy, p.UpdateTime, p.Loosened = "", "", nil, nil
	return p
}

// Denied reports whether a request was denied already.
func (b *Book) Denied(requestID, requester string, now Present) *emergencyv1.Approval {
	for _, id := range slices.Backward(b.order) {
		p := b.pages[id]
		if requestID != "" && p.denied && p.asked.GetRequestId() == requestID && p.asked.GetActor() == requester {
			return b.Get(id, now)
		}
	}
	return nil
}

// MadeUntil is until when somebody can't approve what another person asks for, since one of them gave the other the means to
// act, be it by way of others; zero if they can. Who is made by one person may be that person, and who makes another, too.
func (b *Book) MadeUntil(requester, approver string, now time.Time) time.Time {
	ties := map[string]map[string]time.Time{}
	tie := func(a, b string, until time.Time) {
		if ties[a] == nil {
			ties[a] = map[string]time.Time{}
		}
		if ties[a][b].Before(until) {
			ties[a][b] = until
		}
	}
	for pair, at := range b.made {
		if until := at.Add(b.apart); now.Before(until) {
			tie(pair[0], pair[1], until)
			tie(pair[1], pair[0], until)
		}
	}
	return widest(ties, requester, approver)
}

// widest is until when two people are tied: by the way between them whose first tie to end is the last to; zero where there is none.
func widest(ties map[string]map[string]time.Time, from, to string) time.Time {
	reached, open := map[string]time.Time{}, []string{from}
	for len(open) > 0 {
		at := open[0]
		open = open[1:]
		for next, until := range ties[at] {
			if before, started := reached[at]; started && before.Before(until) {
				until = before
			}
			if next != from && reached[next].Before(until) {
				reached[next] = until
				open = append(open, next)
			}
		}
	}
	return reached[to]
}

// Ask makes an entry one that asks for an approval. The sequence is the entry's.
func Ask(e *emergencyv1.Entry, a *emergencyv1.Approval, sequence uint64, now time.Time) *emergencyv1.Entry {
	a = proto.CloneOf(a)
	a.Id = fmt.Sprintf("P-%04d", sequence)
	a.RequestedBy, a.Justification, a.GovernanceCode, a.TicketCheck = e.GetActor(), e.GetJustification(), e.GetGovernanceCode(), e.GetTicketCheck()
	a.CreateTime, a.ExpireTime = timestamppb.New(now), timestamppb.New(now.Add(Life))
	return put(e, emergencyv1.Entry_APPROVAL_REQUESTED, a)
}

// Decide makes an entry one that approves or denies.
func Decide(e *emergencyv1.Entry, a *emergencyv1.Approval, deny bool, now time.Time) *emergencyv1.Entry {
	a = proto.CloneOf(a)
	a.State, a.Why, a.Done = emergencyv1.Approval_STATE_UNSPECIFIED, "", false
	a.DecidedBy, a.DecideTime, a.DecideJustification = e.GetActor(), timestamppb.New(now), e.GetJustification()
	if deny {
		return put(e, emergencyv1.Entry_APPROVAL_DENIED, a)
	}
	a.ExpireTime = timestamppb.New(now.Add(Life))
	return put(e, emergencyv1.Entry_APPROVAL_GRANTED, a)
}

func put(e *emergencyv1.Entry, change emergencyv1.Entry_Change, a *emergencyv1.Approval) *emergencyv1.Entry {
	e.Subject, e.Change = "emergency.approval."+a.GetId(), change
	e.Record = &emergencyv1.Entry_ApprovalRecord{ApprovalRecord: a}
	return e
}

// Shown is an approval as it is answered.
func Shown(a *emergencyv1.Approval) *emergencyv1.Approval {
	a.Opens, a.At, a.RequesterSubject = nil, 0, ""
	return a
}
