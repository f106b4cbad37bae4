package control

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// The purposes that a grant may be bound to.
const (
	purposeTerminate = "terminate"
	purposeFreeze    = "freeze"
	purposeLockdown  = "lockdown"
	purposeCancel    = "cancel"
	purposeShorten   = "shorten"
	purposeLock      = "lock"
	purposePolicy    = "policy"
	purposeApprove   = "approve"
	purposeGroup     = "access-group"
)

// ApplyTermination ends every session that the selector names and that is open now.
func (s *Service) ApplyTermination(ctx context.Context, r *emergencyv1.ApplyTerminationRequest) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeTerminate, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	preview := &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Termination{Termination: r}}
	return s.apply(ctx, a, s.bound(ctx, a, preview, r.GetDigest(), func(now time.Time) (*emergencyv1.Emergency, error) { return s.termination(r, now) }))
}

func (s *Service) termination(r *emergencyv1.ApplyTerminationRequest, now time.Time) (*emergencyv1.Emergency, error) {
	if err := checkSelector(r.GetSelector(), s.watch.State()); err != nil {
		return nil, err
	}
	return &emergencyv1.Emergency{
		Kind: emergencyv1.Emergency_TERMINATION, StartTime: timestamppb.New(now), Started: true, Selector: r.GetSelector(),
		JustificationPublic: r.GetJustificationPublic(), Digest: r.GetDigest(),
	}, nil
}

// ApplyFreeze closes the devices of every group that blocks during freezes.
func (s *Service) ApplyFreeze(ctx context.Context, r *emergencyv1.ApplyFreezeRequest) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeFreeze, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	preview := &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Freeze{Freeze: r}}
	return s.apply(ctx, a, s.bound(ctx, a, preview, r.GetDigest(), func(now time.Time) (*emergencyv1.Emergency, error) { return s.freeze(r, now) }))
}

func (s *Service) freeze(r *emergencyv1.ApplyFreezeRequest, now time.Time) (*emergencyv1.Emergency, error) {
	e, err := s.window(emergencyv1.Emergency_FREEZE, r.GetStartTime(), r.GetDuration(), now)
	if err != nil {
		return nil, err
	}
	e.JustificationPublic, e.Digest = r.GetJustificationPublic(), r.GetDigest()
	e.EndLiveSessions = new(r.GetEndLiveSessions())
	return e, nil
}

// ApplyLockdown ends every session and sign-in at its start and lets administrators alone back in.
func (s *Service) ApplyLockdown(ctx context.Context, r *emergencyv1.ApplyLockdownRequest) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeLockdown, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	remain := s.remainDuring(ctx, a.caller.User)
	preview := &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: r}}
	if r.GetForce() {
		a = s.forcing(ctx, a, preview)
	}
	return s.apply(ctx, a, s.bound(ctx, a, preview, r.GetDigest(), func(now time.Time) (*emergencyv1.Emergency, error) {
		e, err := s.lockdown(r, now)
		if err != nil {
			return nil, err
		}
		if e.GetStarted() {
			e.SparedSignIn = a.caller.SignIn // it has just proven itself
		}
		return e, s.leavesOne(remain, e)
	}))
}

func (s *Service) lockdown(r *emergencyv1.ApplyLockdownRequest, now time.Time) (*emergencyv1.Emergency, error) {
	e, err := s.window(emergencyv1.Emergency_LOCKDOWN, r.GetStartTime(), r.GetDuration(), now)
	if err != nil {
		return nil, err
	}
	if err := checkBreakGlass(r.GetBreakGlassUsers(), r.GetBreakGlassTokens(), s.watch.State()); err != nil {
		return nil, err
	}
	e.JustificationPublic, e.Digest = r.GetJustificationPublic(), r.GetDigest()
	e.BreakGlassUsers, e.BreakGlassTokens = r.GetBreakGlassUsers(), r.GetBreakGlassTokens()
	e.RevokeTokens = new(r.GetRevokeTokens())
	return e, nil
}

// takes refuses by name what could not be put on record, save for what is there already.
func (s *Service) takes(ctx context.Context, a asked) error {
	if s.ledger.knows(a.requestID) {
		return nil
	}
	return s.condition.Takes(ctx)
}

// apply writes the first entry of an emergency. An answer means that it is on disk.
func (s *Service) apply(ctx context.Context, a asked, draft func(now time.Time) (*emergencyv1.Emergency, error)) (*emergencyv1.Emergency, error) {
	if err := s.takes(ctx, a); err != nil {
		return nil, err
	}
	a, err := s.ticketed(ctx, a, false)
	if err != nil {
		return nil, err
	}
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		if err := a.reasons(s.ledger.policy); err != nil {
			return nil, err
		}
		e, err := draft(s.now())
		var asks *emergencyv1.Entry
		if a.forced(err) {
			asks, err = s.force(a, e, next, envelope)
		}
		if asks != nil || err != nil {
			return []*emergencyv1.Entry{asks}, err
		}
		return []*emergencyv1.Entry{s.first(envelope, e, next)}, nil
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

// first makes an entry the first one of an emergency, which its actor has asked for.
func (s *Service) first(entry *emergencyv1.Entry, e *emergencyv1.Emergency, next uint64) *emergencyv1.Entry {
	revision := s.ledger.revision(next)
	e.Id = fmt.Sprintf("%s-%04d", emergency.Kind(e.GetKind()).Letter(), next)
	e.Revision, e.CutoffRevision = revision.String(), revision.String()
	e.CreatedBy, e.CreateTime = entry.GetActor(), timestamppb.New(s.now())
	e.Justification, e.GovernanceCode, e.TicketCheck = entry.GetJustification(), entry.GetGovernanceCode(), entry.GetTicketCheck()
	e.DirectorySequence = s.watch.Sequence(watch.Directory)
	return record(entry, e, change(e))
}

// recordHold puts a hold on record as a lockdown, once, and answers its id. While it is on, it cuts as every lockdown
// does. One that is over cuts what was admitted before it alone, for its doors have let people in since.
func (s *Service) recordHold(ctx context.Context, hold *emergencyv1.Emergency) (id string, err error) {
	_, err = s.ledger.append(ctx, func(next uint64) ([]*emergencyv1.Entry, error) {
		for _, e := range s.ledger.records {
			if e.GetHold() == hold.GetId() {
				id = e.GetId()
				return nil, journal.ErrUnchanged
			}
		}
		e := proto.CloneOf(hold)
		revision := s.ledger.revision(next)
		e.Id, e.Revision, e.DirectorySequence = fmt.Sprintf("L-%04d", next), revision.String(), s.watch.Sequence(watch.Directory)
		if s.now().Before(e.GetEndTime().AsTime()) {
			e.CutoffRevision = revision.String()
		}
		id = e.Id
		return []*emergencyv1.Entry{record(&emergencyv1.Entry{
			Actor: e.GetCreatedBy(), SignIn: e.GetSparedSignIn(), Justification: e.GetJustification(), GovernanceCode: e.GetGovernanceCode(),
		}, e, emergencyv1.Entry_STARTED)}, nil
	})
	return id, err
}

// change is what the first entry of an emergency says: a window that starts at once has its edge
// STARTED in it, so that every window has exactly one.
func change(e *emergencyv1.Emergency) emergencyv1.Entry_Change {
	switch {
	case e.GetKind() == emergencyv1.Emergency_TERMINATION:
		return emergencyv1.Entry_APPLIED
	case e.GetStarted():
		return emergencyv1.Entry_STARTED
	}
	return emergencyv1.Entry_SCHEDULED
}

// record puts an emergency into an entry.
func record(entry *emergencyv1.Entry, e *emergencyv1.Emergency, change emergencyv1.Entry_Change) *emergencyv1.Entry {
	entry.Subject = "emergency." + strings.ToLower(e.GetKind().String()) + "." + e.GetId()
	entry.Change = change
	entry.Record = &emergencyv1.Entry_Emergency{Emergency: e}
	return entry
}

// window checks a window, and that everybody's clock would have it start and end at the same time.
func (s *Service) window(kind emergencyv1.Emergency_Kind, start *timestamppb.Timestamp, duration *durationpb.Duration, now time.Time) (*emergencyv1.Emergency, error) {
	e, err := newWindow(kind, start, duration, now)
	if err != nil {
		return nil, err
	}
	return e, s.condition.Agree()
}

// newWindow checks the bounds of a window. A start of up to a minute ago means now.
func newWindow(kind emergencyv1.Emergency_Kind, start *timestamppb.Timestamp, duration *durationpb.Duration, now time.Time) (*emergencyv1.Emergency, error) {
	if duration == nil || !duration.IsValid() || duration.AsDuration() < emergency.MinDuration || duration.AsDuration() > emergency.MaxDuration {
		return nil, fault.New(fault.DurationOutOfRange, `A duration of 1 minute ("60s") to 30 days ("2592000s") is required`).With("field", "duration")
	}
	at := now
	if start != nil {
		if err := start.CheckValid(); err != nil {
			return nil, fault.New(fault.InvalidArgument, "startTime is not a moment: use RFC 3339, for instance 2026-11-22T03:00:00Z").With("field", "startTime")
		}
		if now.Sub(start.AsTime()) > emergency.MaxPast {
			return nil, fault.New(fault.StartInPast, "startTime lies more than a minute in the past. Leave it out to start now").With("field", "startTime")
		}
		if start.AsTime().Sub(now) > emergency.MaxAhead {
			return nil, fault.New(fault.InvalidArgument, "startTime lies more than a year ahead").With("field", "startTime")
		}
		if start.AsTime().After(now) {
			at = start.AsTime()
		}
	}
	return &emergencyv1.Emergency{
		Kind: kind, StartTime: timestamppb.New(at), EndTime: timestamppb.New(at.Add(duration.AsDuration())),
		Duration: duration, Started: !at.After(now),
	}, nil
}

// checkSelector refuses a selector that means nothing in particular or names what is not there.
func checkSelector(sel *emergencyv1.Selector, state *watch.State) error {
	if emergency.SelectorEmpty(sel) {
		return fault.New(fault.SelectorEmpty, `Say whom it ends: {"all": true} for everyone, or names of users, devices, accessGroups, connectors or protocols`).With("field", "selector")
	}
	if sel.GetAll() && !emergency.SelectorEmpty(&emergencyv1.Selector{Users: sel.GetUsers(), Devices: sel.GetDevices(),
		AccessGroups: sel.GetAccessGroups(), Connectors: sel.GetConnectors(), Protocols: sel.GetProtocols()}) {
		return fault.New(fault.InvalidArgument, "A selector says all, or it names some: not both").With("field", "selector")
	}
	for _, named := range []struct {
		what  string
		names []string
		known func(string) bool
	}{
		{"user", sel.GetUsers(), state.Emergency.HasUser},
		{"device", sel.GetDevices(), state.Emergency.HasDevice},
		{"access group", sel.GetAccessGroups(), state.Emergency.HasGroup},
		{"connector", sel.GetConnectors(), namePattern.MatchString},
		{"protocol", sel.GetProtocols(), protocol},
	} {
		if i := slices.IndexFunc(named.names, func(n string) bool { return !named.known(n) }); i >= 0 {
			return fault.New(fault.NotFound, "There is no %s %q. Check the name", named.what, named.names[i]).With("field", "selector").With("names", named.names[i])
		}
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_@-]*(\.[A-Za-z0-9_@-]+)*$`)

func protocol(name string) bool {
	return slices.Contains([]string{"SSH", "POSTGRES", "TCP", "KUBERNETES"}, name)
}

func checkBreakGlass(users, tokens []string, state *watch.State) error {
	for _, user := range users {
		if !state.Emergency.HasUser(user) {
			return fault.New(fault.NotFound, "There is no user %q to let through. Check the name", user).With("field", "breakGlassUsers").With("names", user)
		}
	}
	known := state.Who.Tokens()
	for _, token := range tokens {
		if known[token] == nil {
			return fault.New(fault.NotFound, "There is no token %q to let through. Check the id", token).With("field", "breakGlassTokens").With("names", token)
		}
	}
	return nil
}
