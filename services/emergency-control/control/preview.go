package control

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/who"
)

// named is how many names of each kind a preview carries.
const named = 100

// previewPatience bounds how long a preview waits for other services: a preview is never in the way.
const previewPatience = 2 * time.Second

// Preview says what the same request would hit, and changes nothing.
func (s *Service) Preview(ctx context.Context, r *emergencyv1.PreviewRequest) (*emergencyv1.PreviewResponse, error) {
	now := s.now()
	p := &emergencyv1.PreviewResponse{Time: timestamppb.New(now)}
	ctx, cancel := context.WithTimeout(ctx, previewPatience)
	defer cancel()
	switch {
	case r.GetTermination() != nil:
		e, err := s.termination(r.GetTermination(), now)
		if err != nil {
			return nil, err
		}
		s.previewSessions(ctx, p, e.GetSelector())
	case r.GetFreeze() != nil:
		e, err := s.freeze(r.GetFreeze(), now)
		if err != nil {
			return nil, err
		}
		s.previewFreeze(ctx, p, e)
	case r.GetLockdown() != nil:
		e, err := s.lockdown(r.GetLockdown(), now)
		if err != nil {
			return nil, err
		}
		s.previewLockdown(ctx, p, e)
	case r.GetLock() != nil:
		e, err := s.lock(ctx, r.GetLock(), now)
		if err != nil {
			return nil, err
		}
		s.previewLock(ctx, p, e.GetSelector())
	default:
		return nil, fault.New(fault.InvalidArgument, "Say what to preview: termination, freeze, lockdown or lock, as its own call takes it")
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
	p.Administrators = slices.DeleteFunc(people.GetNames(), func(name string) bool { return name == locked })
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
