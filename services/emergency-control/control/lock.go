package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/internal/who"
)

// ApplyLock shuts one user, device or access group, and ends what it has open.
func (s *Service) ApplyLock(ctx context.Context, r *emergencyv1.ApplyLockRequest) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeLock, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	remain, err := s.remaining(ctx, r.GetUser())
	preview := &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lock{Lock: r}}
	if r.GetForce() {
		a = s.forcing(ctx, a, preview)
	}
	return s.apply(ctx, a, s.bound(ctx, a, preview, r.GetDigest(), func(now time.Time) (*emergencyv1.Emergency, error) {
		if err != nil {
			return nil, err
		}
		e, err := s.lock(ctx, r, now)
		if err != nil {
			return nil, err
		}
		return e, s.notLast(remain, r.GetUser(), now)
	}))
}

// CancelLock lifts a lock that is pending or on. What it has cut stays cut.
func (s *Service) CancelLock(ctx context.Context, r *emergencyv1.CancelRequest) (*emergencyv1.Emergency, error) {
	return s.cancel(ctx, r, emergencyv1.Emergency_LOCK)
}

// GetLock answers a lock with its status now and how far it is.
func (s *Service) GetLock(ctx context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return s.get(ctx, r.GetId(), emergencyv1.Emergency_LOCK)
}

// ListLocks lists newest first, or as it is asked to.
func (s *Service) ListLocks(ctx context.Context, r *emergencyv1.ListEmergenciesRequest) (*emergencyv1.ListLocksResponse, error) {
	l, err := s.list(ctx, r, emergencyv1.Emergency_LOCK)
	return &emergencyv1.ListLocksResponse{Locks: l.page, NextPageToken: l.next, StatusCounts: l.counts, People: l.people}, err
}

func (s *Service) lock(ctx context.Context, r *emergencyv1.ApplyLockRequest, now time.Time) (*emergencyv1.Emergency, error) {
	sel, err := target(r)
	if err != nil {
		return nil, err
	}
	if err := checkSelector(sel, s.watch.State()); err != nil {
		return nil, err
	}
	if r.GetUser() != "" && r.GetUser() == who.FromContext(ctx).User {
		return nil, fault.New(fault.PermissionDenied, "Nobody locks their own user. Ask another administrator").With("field", "user")
	}
	length := r.GetDuration()
	if length == nil {
		length = durationpb.New(emergency.MinDuration)
	}
	e, err := s.window(emergencyv1.Emergency_LOCK, r.GetStartTime(), length, now)
	if err != nil {
		return nil, err
	}
	if r.GetDuration() == nil {
		e.EndTime, e.Duration = nil, nil
	}
	e.Selector, e.JustificationPublic, e.Digest = sel, r.GetJustificationPublic(), r.GetDigest()
	return e, nil
}

// target is the one thing that a lock shuts.
func target(r *emergencyv1.ApplyLockRequest) (*emergencyv1.Selector, error) {
	sel, named := new(emergencyv1.Selector), 0
	for _, of := range []struct {
		name  string
		names *[]string
	}{{r.GetUser(), &sel.Users}, {r.GetDevice(), &sel.Devices}, {r.GetAccessGroup(), &sel.AccessGroups}} {
		if of.name != "" {
			*of.names = []string{of.name}
			named++
		}
	}
	switch named {
	case 0:
		return nil, fault.New(fault.SelectorEmpty, "Say what it locks: the name of one user, device or accessGroup").With("field", "user")
	case 1:
		return sel, nil
	}
	return nil, fault.New(fault.InvalidArgument, "A lock shuts one user, one device or one accessGroup. Apply one lock for each").With("field", "user")
}

// remaining are the administrators who could still act if the user were locked; nil where that takes away none.
func (s *Service) remaining(ctx context.Context, user string) ([]string, error) {
	if user == "" || !s.watch.State().Emergency.Administrator(user) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	people, err := s.identity.ListAdministrators(ctx, &identityv1.ListAdministratorsRequest{})
	if err != nil {
		return nil, fault.New(fault.Unavailable, "Identity can't be asked who could still act without %s. Try again in a moment", user).Because(err)
	}
	others := slices.DeleteFunc(people.GetNames(), func(name string) bool { return name == user })
	return slices.Grow(others, 1), nil // not nil, although there may be none
}

// notLast refuses to lock the last administrator who could still act. Those whom a lock will shut out don't count.
// The ledger's lock is held, so that two who lock each other are not both let.
func (s *Service) notLast(remain []string, user string, now time.Time) error {
	if remain == nil || slices.ContainsFunc(remain, func(name string) bool { return !s.locked(name, now) }) {
		return nil
	}
	return fault.New(fault.LastAdministrator, "%s is the last administrator with a working MFA who is not locked. Lift another lock first, or let another one enrol", user).With("name", user)
}

func (s *Service) locked(user string, now time.Time) bool {
	for _, e := range s.ledger.records {
		if emergency.LocksUser(e, user, now) {
			return true
		}
	}
	return false
}

// remainDuring are the administrators with a working MFA; nil where nobody can be asked, which stands in the way of no
// lockdown. Who applies it has just proven theirs.
func (s *Service) remainDuring(ctx context.Context, applies string) []string {
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	if s.watch.State().Emergency.Administrator(applies) && !s.everLocked(applies) {
		return []string{applies}
	}
	people, err := s.identity.ListAdministrators(ctx, &identityv1.ListAdministratorsRequest{})
	if err != nil {
		s.log.WarnContext(ctx, "identity can't be asked who remains during a lockdown", "error", err)
		return nil
	}
	return slices.Grow(people.GetNames(), 1) // not nil, although there may be none
}

// leavesOne refuses a lockdown that locks leave no administrator to lift. The ledger's lock is held.
func (s *Service) leavesOne(remain []string, e *emergencyv1.Emergency) error {
	free := func(name string) bool { return !s.lockedIn(name, e.GetStartTime().AsTime(), e.GetEndTime().AsTime()) }
	if remain == nil || slices.ContainsFunc(remain, free) {
		return nil
	}
	return fault.New(fault.LastAdministrator, "No administrator with a working MFA could lift it: locks shut them out meanwhile. Cancel a lock first, or let another one enrol")
}

// lockedIn reports whether a lock shuts the user out at some moment between the two. The ledger's lock is held.
func (s *Service) lockedIn(user string, from, to time.Time) bool {
	for _, e := range s.ledger.records {
		if emergency.LocksUser(e, user, from) && e.GetStartTime().AsTime().Before(to) {
			return true
		}
	}
	return false
}

func (s *Service) lockedNow(user string, now time.Time) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.shut(user, now)
}

func (s *Service) everLocked(user string) bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.locked(user, s.now())
}

// forcing has a request wait for a second administrator, where it leaves none with a working MFA who could lift it. Nobody locks their
// own user, by approving neither, so whom it locks is not named as somebody to ask.
func (s *Service) forcing(ctx context.Context, a asked, r *emergencyv1.PreviewRequest) asked {
	a = s.approvers(ctx, a)
	a.approvers = slices.DeleteFunc(a.approvers, func(name string) bool { return name == r.GetLock().GetUser() })
	a.forces = proto.CloneOf(r)
	return a
}

// forced reports whether a refusal is one that the request wants to go past.
func (a asked) forced(refusal error) bool {
	return a.forces != nil && fault.Is(refusal, fault.LastAdministrator)
}

// force answers the entry that asks a second administrator; nil where one has approved it and a replica of an earlier version, which
// could not do it, has put that on record. The ledger's lock is held.
func (s *Service) force(a asked, e *emergencyv1.Emergency, next uint64, envelope *emergencyv1.Entry) (*emergencyv1.Entry, error) {
	meant, err := meantBy(a.forces)
	if err != nil {
		return nil, err
	}
	want := &emergencyv1.Approval{Act: approval.Apply, Target: purposeLockdown, Opens: meant, Applies: proto.CloneOf(a.forces)}
	if a.forces.GetLock() != nil {
		want.Target = purposeLock
	}
	unsaid(want.GetApplies(), "grant", "request_id", "justification", "governance_code")
	asks, approved, err := s.asks(a, want, next, envelope)
	if approved != "" {
		envelope.Approval, e.ForcedWith = approved, s.ledger.approvals.Get(approved, s.present()).GetDecidedBy()
	}
	return asks, err
}

// applied drafts what was forced as it is once it is approved: it starts then, if its start is unset or over, and its length
// counts from its start. Who approves has just proven themselves, and keeps the sign-in. The ledger's lock is held.
func (s *Service) applied(ctx context.Context, a *emergencyv1.Approval, entry *emergencyv1.Entry, notCompared []string, next uint64) (*emergencyv1.Entry, error) {
	now, by := s.now(), who.FromContext(ctx)
	e, err := s.checked(ctx, due(a.GetApplies(), now), now)
	if err != nil {
		return nil, err
	}
	if e.GetKind() == emergencyv1.Emergency_LOCKDOWN && e.GetStarted() {
		e.SparedSignIn = by.SignIn
	}
	e.ForcedWith, e.NotCompared = by.Actor(), notCompared
	return s.first(entry, e, next), nil
}

// due is a request that waited, without a start that is over.
func due(r *emergencyv1.PreviewRequest, now time.Time) *emergencyv1.PreviewRequest {
	r = proto.CloneOf(r)
	if lock := r.GetLock(); lock != nil && !lock.GetStartTime().AsTime().After(now) {
		lock.StartTime = nil
	}
	if lockdown := r.GetLockdown(); lockdown != nil && !lockdown.GetStartTime().AsTime().After(now) {
		lockdown.StartTime = nil
	}
	return r
}

// standing is what decides who remains: every lockdown and every lock of a user that is on or to come, and how many there ever were. A
// lock of a device or a group shuts nobody out, and whoever closes more meanwhile stands in nobody's way. The ledger's lock is held.
func (s *Service) standing(now time.Time) string {
	var on []string
	ever := 0
	for id, e := range s.ledger.records {
		if e.GetKind() != emergencyv1.Emergency_LOCKDOWN && (e.GetKind() != emergencyv1.Emergency_LOCK || len(e.GetSelector().GetUsers()) == 0) {
			continue
		}
		ever++
		if status := emergency.StatusOf(e, now); status == emergencyv1.Emergency_PENDING || status == emergencyv1.Emergency_ONGOING {
			on = append(on, id)
		}
	}
	slices.Sort(on)
	return fmt.Sprintf("%s of %d", strings.Join(on, " "), ever)
}

// previewLock says what a lock would hit.
func (s *Service) previewLock(ctx context.Context, p *emergencyv1.PreviewResponse, sel *emergencyv1.Selector) {
	state := s.watch.State()
	target, names := emergency.TargetOf(sel)
	switch target {
	case emergency.OnUser:
		for _, token := range state.Who.Tokens() {
			if door(token.GetChannel()) && slices.Contains(names, token.GetCreatedBy()) {
				p.TokenNames = append(p.TokenNames, token.GetName())
			}
		}
		slices.Sort(p.TokenNames)
		p.Tokens, p.TokenNames = uint32(len(p.TokenNames)), firstOf(p.TokenNames)
	case emergency.OnDevice:
		p.Devices, p.DeviceNames = 1, names
	case emergency.OnGroup:
		devices := state.Emergency.GroupDevices(names[0])
		p.Devices, p.DeviceNames = uint32(len(devices)), firstOf(devices)
		p.AccessGroups, p.AccessGroupNames = 1, names
	}
	s.previewSessions(ctx, p, sel)
}
