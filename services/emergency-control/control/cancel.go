package control

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// CancelFreeze lifts a freeze that is pending or on.
func (s *Service) CancelFreeze(ctx context.Context, r *emergencyv1.CancelRequest) (*emergencyv1.Emergency, error) {
	return s.cancel(ctx, r, emergencyv1.Emergency_FREEZE)
}

// CancelLockdown lifts a lockdown that is pending or on. What it has cut stays cut.
func (s *Service) CancelLockdown(ctx context.Context, r *emergencyv1.CancelRequest) (*emergencyv1.Emergency, error) {
	return s.cancel(ctx, r, emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) cancel(ctx context.Context, r *emergencyv1.CancelRequest, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeCancel, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	return s.lift(ctx, a, lifting{id: r.GetId(), kind: kind, act: approval.Cancel, edit: cancelled})
}

func cancelled(e *emergencyv1.Emergency, a asked, now time.Time) (emergencyv1.Entry_Change, error) {
	e.CancelledBy, e.CancelTime = a.caller.Actor(), timestamppb.New(now)
	e.CancelJustification, e.CancelGovernanceCode, e.CancelTicketCheck = a.justification, a.governance, a.ticket
	if e.GetStarted() {
		e.EndTime = timestamppb.New(now)
	}
	return emergencyv1.Entry_CANCELLED, nil
}

// ShortenFreeze moves the end of a freeze closer.
func (s *Service) ShortenFreeze(ctx context.Context, r *emergencyv1.ShortenRequest) (*emergencyv1.Emergency, error) {
	return s.shorten(ctx, r, emergencyv1.Emergency_FREEZE)
}

// ShortenLockdown moves the end of a lockdown closer.
func (s *Service) ShortenLockdown(ctx context.Context, r *emergencyv1.ShortenRequest) (*emergencyv1.Emergency, error) {
	return s.shorten(ctx, r, emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) shorten(ctx context.Context, r *emergencyv1.ShortenRequest, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeShorten, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	return s.lift(ctx, a, lifting{id: r.GetId(), kind: kind, act: approval.Shorten, end: r.GetEndTime(), edit: shortening(r.GetEndTime())})
}

func shortening(to *timestamppb.Timestamp) edit {
	return func(e *emergencyv1.Emergency, _ asked, now time.Time) (emergencyv1.Entry_Change, error) {
		end := to.AsTime()
		if to.CheckValid() != nil || !end.After(now) || !end.After(e.GetStartTime().AsTime()) || !end.Before(e.GetEndTime().AsTime()) {
			return 0, fault.New(fault.InvalidArgument, "endTime must lie after now and the start, and before the end so far, %s. To end it now, cancel it",
				e.GetEndTime().AsTime().Format(time.RFC3339)).With("field", "endTime")
		}
		e.EndTime, e.Duration = to, durationpb.New(end.Sub(e.GetStartTime().AsTime()))
		return emergencyv1.Entry_SHORTENED, nil
	}
}

// edit is what a change that somebody has asked for does to the record of a window.
type edit func(e *emergencyv1.Emergency, a asked, now time.Time) (emergencyv1.Entry_Change, error)

// lifting is a change that opens earlier.
type lifting struct {
	id   string
	kind emergencyv1.Emergency_Kind
	// act is what it is called.
	act  string
	end  *timestamppb.Timestamp
	edit edit
	// asked is who asks, and why.
	asked asked
	// by is who approved it, empty if nobody had to.
	by string
}

// lift writes a change that opens earlier, or asks a second administrator to approve it.
func (s *Service) lift(ctx context.Context, a asked, l lifting) (*emergencyv1.Emergency, error) {
	s.arrive(ctx, l.id)
	a, err := s.ticketed(ctx, s.approved(ctx, a), true)
	if err != nil {
		return nil, err
	}
	l.asked = a
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		if err := a.reasons(s.ledger.policy); err != nil {
			return nil, err
		}
		spare := proto.CloneOf(envelope)
		edges, lifted, err := s.lifted(l, next, envelope)
		if err != nil {
			return nil, err
		}
		want := &emergencyv1.Approval{Act: l.act, Target: l.id, EndTime: l.end, Revision: s.ledger.records[l.id].GetRevision()}
		if len(edges) > 0 {
			want.Revision = edges[0].GetEmergency().GetRevision()
		}
		asks, _, err := s.second(a, want, next+uint64(len(edges)), spare)
		switch {
		case err != nil:
			return nil, err
		case asks != nil:
			return append(edges, asks), nil
		}
		return append(edges, lifted), nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.waits(entry, a); err != nil {
		return nil, err
	}
	s.receipts.Settle(ctx, revisionOf(entry))
	return s.witnessed(s.shown(entry.GetEmergency())), nil
}

// lifted drafts the change. Whether the window had started is decided here, once, under compare-and-set: an edge STARTED
// that is missing is written before the change, all or nothing.
func (s *Service) lifted(l lifting, next uint64, envelope *emergencyv1.Entry) (edges []*emergencyv1.Entry, lifted *emergencyv1.Entry, err error) {
	now := s.now()
	before := s.ledger.records[l.id]
	if err := liftable(before, l.id, l.kind, l.act, now); err != nil {
		return nil, nil, err
	}
	e := proto.CloneOf(before)
	e.DirectorySequence = s.watch.Sequence(watch.Directory)
	if !e.GetStarted() && !now.Before(e.GetStartTime().AsTime()) {
		edges = append(edges, s.started(e, next))
		e, next = proto.CloneOf(edges[0].GetEmergency()), next+1
	}
	change, err := l.edit(e, l.asked, now)
	if err != nil {
		return nil, nil, err
	}
	e.Revision, e.ApprovedBy = s.ledger.revision(next).String(), l.by
	return edges, record(envelope, e, change), nil
}

func liftable(e *emergencyv1.Emergency, id string, kind emergencyv1.Emergency_Kind, verb string, now time.Time) error {
	if e == nil || e.GetKind() != kind {
		return unknown(id, kind)
	}
	switch status := emergency.StatusOf(e, now); status {
	case emergencyv1.Emergency_PENDING, emergencyv1.Emergency_ONGOING:
		return nil
	case emergencyv1.Emergency_CANCELLED:
		return fault.New(fault.NotCancellable, "%s was cancelled at %s by %s; there is nothing to %s", id, e.GetCancelTime().AsTime().Format(time.RFC3339), e.GetCancelledBy(), verb).With("status", status.String())
	default:
		return fault.New(fault.NotCancellable, "%s ended at %s; there is nothing to %s", id, e.GetEndTime().AsTime().Format(time.RFC3339), verb).With("status", status.String())
	}
}

func unknown(id string, kind emergencyv1.Emergency_Kind) error {
	name, ok := map[emergencyv1.Emergency_Kind]string{
		emergencyv1.Emergency_TERMINATION: "termination", emergencyv1.Emergency_FREEZE: "freeze", emergencyv1.Emergency_LOCKDOWN: "lockdown",
		emergencyv1.Emergency_LOCK: "lock",
	}[kind]
	if !ok {
		name, kind = "emergency", emergencyv1.Emergency_FREEZE
	}
	if !idPattern.MatchString(id) {
		return fault.New(fault.InvalidArgument, "%q is not the id of a %s: ids look like %s-0042", id, name, emergency.Kind(kind).Letter()).With("field", "id")
	}
	return fault.New(fault.NotFound, "There is no %s %s. List them to see which there are", name, id)
}

// started is the entry of the edge STARTED, by the clock.
func (s *Service) started(before *emergencyv1.Emergency, next uint64) *emergencyv1.Entry {
	e := proto.CloneOf(before)
	e.Started, e.Revision, e.DirectorySequence = true, s.ledger.revision(next).String(), s.watch.Sequence(watch.Directory)
	return record(&emergencyv1.Entry{Actor: clockActor}, e, emergencyv1.Entry_STARTED)
}

// ended is the entry of the edge ENDED, by the clock.
func (s *Service) ended(before *emergencyv1.Emergency, next uint64) *emergencyv1.Entry {
	e := proto.CloneOf(before)
	e.EndedRecorded, e.Revision, e.DirectorySequence = true, s.ledger.revision(next).String(), s.watch.Sequence(watch.Directory)
	return record(&emergencyv1.Entry{Actor: clockActor}, e, emergencyv1.Entry_ENDED)
}

// DecideApproval approves or denies what another administrator has asked for. What is approved is done with it, all or nothing.
func (s *Service) DecideApproval(ctx context.Context, r *emergencyv1.DecideApprovalRequest) (*emergencyv1.DecideApprovalResponse, error) {
	a, err := ask(ctx, r, purposeApprove, r.GetJustification(), "")
	if err != nil {
		return nil, err
	}
	s.arrive(ctx, r.GetId())
	notCompared, drifted := s.stillSo(ctx, r)
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		asked, err := s.decidable(r, a)
		if err := cmp.Or(err, drifted); err != nil {
			return nil, err
		}
		decided := approval.Decide(envelope, asked, r.GetDeny(), s.now())
		if r.GetDeny() {
			return []*emergencyv1.Entry{decided}, nil
		}
		if err := s.stillCoded(asked); err != nil {
			return nil, err
		}
		done, err := s.carryOut(ctx, asked, notCompared, next+1)
		return append([]*emergencyv1.Entry{decided}, done...), err
	})
	if err != nil {
		return nil, err
	}
	s.receipts.Settle(ctx, revisionOf(entry))
	return s.decided(cmp.Or(entry.GetApproval(), entry.GetApprovalRecord().GetId())), nil
}

// decidable is the approval that a request is about, if it can be decided, and by this caller. The ledger's lock is held.
func (s *Service) decidable(r *emergencyv1.DecideApprovalRequest, a asked) (*emergencyv1.Approval, error) {
	book, now := s.ledger.approvals, s.present()
	asked := book.Get(r.GetId(), now)
	if asked == nil {
		waiting := book.Pending(r.GetId(), now)
		if len(waiting) != 1 || s.ledger.records[r.GetId()] == nil { // of what is not about an emergency, the approval itself is named
			return nil, approval.Unnamed(r.GetId(), waiting)
		}
		asked = waiting[0]
	}
	if err := approval.Undecidable(asked); err != nil {
		return nil, err
	}
	if err := approval.Concerned(asked, a.caller.User); err != nil {
		return nil, err
	}
	if a.justification != "" || r.GetDeny() {
		if err := a.reasons(nil); err != nil {
			return nil, err
		}
	}
	if r.GetDeny() { // whoever asked may take it back
		return asked, nil
	}
	return asked, book.Independent(asked, approval.By{User: a.caller.User, Subject: a.caller.Entry.Subject}, now.Now)
}

// stillCoded refuses to approve what the policy would by now not take from whoever asked, for want of a governance code or for another
// one. Whether there is such a ticket was looked up when they asked. The ledger's lock is held.
func (s *Service) stillCoded(a *emergencyv1.Approval) error {
	request := s.ledger.approvals.Asked(a.GetId())
	if a.GetAct() == approval.Policy { // which takes none
		return nil
	}
	err := onRecord(request).words(s.ledger.policy)
	if err == nil {
		return nil
	}
	e := fault.From(err)
	gave := "no governance code"
	if code := request.GetGovernanceCode(); code != "" {
		gave = fmt.Sprintf("the governance code %q", code)
	}
	e.Message = fmt.Sprintf("Not approved: %s gave %s, which the policy no longer takes. %s. Deny %s, and let %s ask again with one that it takes",
		a.GetRequestedBy(), gave, e.Message, a.GetId(), a.GetRequestedBy())
	return e.With("rule", approver).With("approval", a.GetId())
}

// carryOut drafts what was approved, in the name of whoever asked for it; nothing where that is for another service to do.
func (s *Service) carryOut(ctx context.Context, asked *emergencyv1.Approval, notCompared []string, next uint64) ([]*emergencyv1.Entry, error) {
	request := s.ledger.approvals.Asked(asked.GetId())
	envelope := &emergencyv1.Entry{
		Actor: request.GetActor(), SignIn: request.GetSignIn(), SignInBy: request.GetSignInBy(), Address: request.GetAddress(), RequestId: request.GetRequestId(),
		RequestHash: request.GetRequestHash(), Justification: request.GetJustification(), GovernanceCode: request.GetGovernanceCode(),
		TicketCheck: request.GetTicketCheck(), Approval: asked.GetId(),
	}
	if asked.GetAct() == approval.Policy {
		return []*emergencyv1.Entry{s.policyEntry(envelope, proto.CloneOf(asked.GetPolicy()), next)}, nil
	}
	if asked.GetAct() == approval.Apply {
		entry, err := s.applied(ctx, asked, envelope, notCompared, next)
		return []*emergencyv1.Entry{entry}, err
	}
	e := s.ledger.records[asked.GetTarget()]
	if asked.GetAct() != approval.Cancel && asked.GetAct() != approval.Shorten || e == nil {
		return nil, nil
	}
	l := lifting{id: e.GetId(), kind: e.GetKind(), act: asked.GetAct(), by: who.FromContext(ctx).Actor(), asked: onRecord(request), edit: shortening(asked.GetEndTime())}
	if asked.GetAct() == approval.Cancel {
		l.edit = cancelled
	}
	edges, lifted, err := s.lifted(l, next, envelope)
	switch {
	case err != nil:
		return nil, err
	case len(edges) > 0:
		asked.State, asked.Why = emergencyv1.Approval_VOID, e.GetId()+" has started since it was asked for"
		return nil, approval.Undecidable(asked)
	}
	return []*emergencyv1.Entry{lifted}, nil
}

// onRecord is a request as it was put on record.
func onRecord(e *emergencyv1.Entry) asked {
	return asked{caller: who.Caller{User: e.GetActor()}, justification: e.GetJustification(), governance: e.GetGovernanceCode(), ticket: e.GetTicketCheck()}
}

// decided is an approval, and the emergency that it is about, as they are now.
func (s *Service) decided(id string) *emergencyv1.DecideApprovalResponse {
	s.ledger.mu.Lock()
	a := approval.Shown(s.ledger.approvals.Get(id, s.present()))
	e := s.ledger.records[a.GetTarget()]
	s.ledger.mu.Unlock()
	answer := &emergencyv1.DecideApprovalResponse{Approval: a}
	if e != nil {
		answer.Emergency = s.shown(e)
	}
	return answer
}

// listedFor is for how long an approval stays in the list.
const listedFor = 24 * time.Hour

// ListApprovals answers what was asked for within the last day, the newest first.
func (s *Service) ListApprovals(_ context.Context, r *emergencyv1.ListApprovalsRequest) (*emergencyv1.ListApprovalsResponse, error) {
	wanted, err := parseFilter(r.GetFilter(), "state")
	if err != nil {
		return nil, err
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	answer := &emergencyv1.ListApprovalsResponse{}
	for _, a := range s.ledger.approvals.Since(s.now().Add(-listedFor), s.present()) {
		if state, narrowed := wanted["state"]; !narrowed || state == a.GetState().String() {
			answer.Approvals = append(answer.Approvals, approval.Shown(a))
		}
	}
	return answer, nil
}
