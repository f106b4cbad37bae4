package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/emergency-control/drift"
	"portcullis.dev/services/internal/who"
)

// named is how many names of each kind a preview carries.
const named = 100

// previewPatience bounds how long a preview waits for other services: a preview is never in the way.
const previewPatience = 2 * time.Second

// Preview says what the same request would hit, and changes nothing. Its digest binds an apply to what it says.
func (s *Service) Preview(ctx context.Context, r *emergencyv1.PreviewRequest) (*emergencyv1.PreviewResponse, error) {
	p, err := s.preview(ctx, r)
	if err != nil {
		return nil, err
	}
	seen, err := seenBy(p, r)
	if err != nil {
		return nil, err
	}
	bound := drift.BoundOf(s.ledger.policyNow())
	p.Digest = s.previews.Digest(seen)
	p.DriftBound = &emergencyv1.DriftBound{Percent: bound.Percent, Least: bound.Least, ValidFor: durationpb.New(drift.ValidFor)}
	return p, nil
}

func (s *Service) preview(ctx context.Context, r *emergencyv1.PreviewRequest) (*emergencyv1.PreviewResponse, error) {
	now := s.now()
	p := &emergencyv1.PreviewResponse{Time: timestamppb.New(now)}
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	e, err := s.checked(ctx, r, now)
	if err != nil {
		return nil, err
	}
	switch e.GetKind() {
	case emergencyv1.Emergency_TERMINATION:
		s.previewSessions(ctx, p, e.GetSelector())
	case emergencyv1.Emergency_FREEZE:
		s.previewFreeze(ctx, p, e)
	case emergencyv1.Emergency_LOCKDOWN:
		s.previewLockdown(ctx, p, e)
	default:
		s.previewLock(ctx, p, e.GetSelector())
	}
	s.previewPeople(ctx, p, r, now)
	return p, nil
}

func (s *Service) previewSessions(ctx context.Context, p *emergencyv1.PreviewResponse, sel *emergencyv1.Selector) {
	counted, err := s.sessions.CountSelected(ctx, &sessionv1.CountSelectedRequest{Selector: sel})
	if err != nil {
		s.log.WarnContext(ctx, "the session broker can't be asked what is open", "error", err)
		p.UnreachableServices = append(p.UnreachableServices, "session-broker")
		return
	}
	p.Sessions, p.SessionNames, p.UnreachableConnectors = counted.GetSessions(), firstOf(counted.GetIds()), counted.GetUnreachableConnectors()
}

func (s *Service) previewFreeze(ctx context.Context, p *emergencyv1.PreviewResponse, e *emergencyv1.Emergency) {
	snapshot := s.watch.State().Emergency
	devices, groups := snapshot.FrozenDevices(""), snapshot.FrozenGroups()
	p.Devices, p.DeviceNames = uint32(len(devices)), firstOf(devices)
	p.AccessGroups, p.AccessGroupNames = uint32(len(groups)), firstOf(groups)
	if e.GetEndLiveSessions() && len(groups) > 0 {
		s.previewSessions(ctx, p, &emergencyv1.Selector{AccessGroups: groups})
	}
}

func (s *Service) previewLockdown(ctx context.Context, p *emergencyv1.PreviewResponse, e *emergencyv1.Emergency) {
	state, policy := s.watch.State(), s.ledger.policyNow()
	p.BreakGlassUsers = union(e.GetBreakGlassUsers(), policy.GetBreakGlassUsers())
	p.BreakGlassTokens = union(e.GetBreakGlassTokens(), policy.GetBreakGlassTokens())
	for id, token := range state.Who.Tokens() {
		if door(token.GetChannel()) && !slices.Contains(p.BreakGlassTokens, id) {
			p.TokenNames = append(p.TokenNames, token.GetName())
		}
	}
	slices.Sort(p.TokenNames)
	p.Tokens, p.TokenNames = uint32(len(p.TokenNames)), firstOf(p.TokenNames)
	s.previewSessions(ctx, p, &emergencyv1.Selector{All: true})
}

// door reports whether a lockdown refuses tokens of the channel.
func door(c identityv1.Token_Channel) bool { return c != identityv1.Token_ENFORCER }

// previewPeople says who remains, and whom a lockdown signs out: everyone, but the one sign-in that it
// spares when it starts at once. A lock signs its user out.
func (s *Service) previewPeople(ctx context.Context, p *emergencyv1.PreviewResponse, r *emergencyv1.PreviewRequest, now time.Time) {
	lockdown, locked := r.GetLockdown(), r.GetLock().GetUser()
	people, err := s.identity.ListAdministrators(ctx, &identityv1.ListAdministratorsRequest{})
	if err != nil {
		s.log.WarnContext(ctx, "identity can't be asked who remains", "error", err)
		p.UnreachableServices = append(p.UnreachableServices, "identity")
		return
	}
	p.Administrators = slices.DeleteFunc(people.GetNames(), func(name string) bool { return name == locked || s.lockedNow(name, now) })
	out := slices.Clone(people.GetSignedIn())
	switch {
	case locked != "":
		out = slices.DeleteFunc(out, func(name string) bool { return name != locked })
		p.SignIns, p.SignInUsers = uint32(len(out)), out
		return
	case lockdown == nil:
		return
	}
	atOnce := lockdown.GetStartTime() == nil || !lockdown.GetStartTime().AsTime().After(now)
	if i := slices.Index(out, who.FromContext(ctx).User); atOnce && i >= 0 {
		out = slices.Delete(out, i, i+1)
	}
	p.SignIns, p.SignInUsers = uint32(len(out)), firstOf(out)
}

// checked is what a request would apply, or why it would not.
func (s *Service) checked(ctx context.Context, r *emergencyv1.PreviewRequest, now time.Time) (*emergencyv1.Emergency, error) {
	switch {
	case r.GetTermination() != nil:
		return s.termination(r.GetTermination(), now)
	case r.GetFreeze() != nil:
		return s.freeze(r.GetFreeze(), now)
	case r.GetLockdown() != nil:
		return s.lockdown(r.GetLockdown(), now)
	case r.GetLock() != nil:
		return s.lock(ctx, r.GetLock(), now)
	}
	return nil, fault.New(fault.InvalidArgument, "Say what is meant: termination, freeze, lockdown or lock, as its own call takes it")
}

// seenBy is what a preview has counted, of which request.
func seenBy(p *emergencyv1.PreviewResponse, r *emergencyv1.PreviewRequest) (drift.Seen, error) {
	hash, err := meantBy(r)
	return drift.Of(p, hash), err
}

// meantBy tells what is to be done from anything else. Why it is done, and who proves themselves, doesn't count.
func meantBy(r *emergencyv1.PreviewRequest) ([]byte, error) {
	r = proto.CloneOf(r)
	r.RequestId = ""
	unsaid(r, "grant", "digest", "request_id", "justification", "justification_public", "governance_code", "force")
	return hashOf(r)
}

// unsaid clears fields of the request that it carries.
func unsaid(r *emergencyv1.PreviewRequest, names ...protoreflect.Name) {
	m := r.ProtoReflect()
	of := m.WhichOneof(m.Descriptor().Oneofs().ByName("emergency"))
	if of == nil {
		return
	}
	request := m.Mutable(of).Message()
	for _, name := range names {
		if f := request.Descriptor().Fields().ByName(name); f != nil {
			request.Clear(f)
		}
	}
}

// bound makes a draft that is refused where the digest is of another request, is old, or reality has moved past the bound
// since. It looks before the record is held up, and not at all for what is on record already.
func (s *Service) bound(ctx context.Context, a asked, r *emergencyv1.PreviewRequest, digest string,
	draft func(time.Time) (*emergencyv1.Emergency, error)) func(time.Time) (*emergencyv1.Emergency, error) {
	if digest == "" || s.ledger.knows(a.requestID) {
		return draft
	}
	moved, err := s.moved(ctx, r, digest)
	return func(now time.Time) (*emergencyv1.Emergency, error) {
		e, refusal := draft(now) // arguments first
		if refusal != nil && !a.forced(refusal) {
			return nil, refusal
		}
		if err != nil {
			return nil, err
		}
		e.NotCompared = moved.NotCompared
		return e, refusal
	}
}

// stillSo compares what was asked to be applied with its preview once more, when somebody is about to approve it. How old that preview
// is by then does not count: who approves looks now. It looks before the record is held up.
func (s *Service) stillSo(ctx context.Context, r *emergencyv1.DecideApprovalRequest) (notCompared []string, err error) {
	s.ledger.mu.Lock()
	asked := s.ledger.approvals.Asked(r.GetId()).GetApprovalRecord()
	s.ledger.mu.Unlock()
	request := asked.GetApplies()
	digest := cmp.Or(request.GetLockdown().GetDigest(), request.GetLock().GetDigest())
	if digest == "" || r.GetDeny() {
		return nil, nil
	}
	was, err := s.previews.Open(digest)
	if err != nil {
		return nil, toApprover(strange(), asked, "the digest is of no preview of this deployment")
	}
	p, err := s.preview(ctx, due(request, s.now()))
	if err != nil {
		return nil, err
	}
	d := drift.Of(p, nil).Since(was, drift.BoundOf(s.ledger.policyNow()))
	d.Other, d.Old = false, false
	if refusal := d.Refusal(); refusal != nil {
		return nil, toApprover(refusal, asked, "what it hits has moved since it was previewed")
	}
	return d.NotCompared, nil
}

// toApprover says a refusal to whoever approves: they can't preview for whoever asked, nor leave the digest out.
func toApprover(refusal error, a *emergencyv1.Approval, why string) error {
	e := fault.From(refusal)
	e.Message = fmt.Sprintf("Not approved: %s. Deny %s, and let %s preview again and ask anew", why, a.GetId(), a.GetRequestedBy())
	return e.With("rule", approver).With("approval", a.GetId())
}

// approver is the rule of what is refused to whoever approves for something that whoever asked has to mend.
const approver = "approver"

func (s *Service) moved(ctx context.Context, r *emergencyv1.PreviewRequest, digest string) (drift.Drift, error) {
	was, err := s.previews.Open(digest)
	if err != nil {
		return drift.Drift{}, strange()
	}
	p, err := s.preview(ctx, r)
	if err != nil {
		return drift.Drift{}, err
	}
	is, err := seenBy(p, r)
	if err != nil {
		return drift.Drift{}, err
	}
	d := is.Since(was, drift.BoundOf(s.ledger.policyNow()))
	return d, d.Refusal()
}

func strange() error {
	return fault.New(fault.PreviewDrifted, "Not applied: the digest is of no preview of this deployment. Preview again and take its digest, or apply without one").With("cause", "STRANGE")
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func firstOf(names []string) []string { return names[:min(len(names), named)] }

// directoryAt is the directory as it was when a window last changed.
func (s *Service) directoryAt(ctx context.Context, sequence uint64) (*emergency.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, directoryPatience)
	defer cancel()
	return s.watch.DirectoryAt(ctx, sequence)
}
