// Package hold is the last resort: it shuts the doors when the journal can't be reached. A hold is pushed straight to
// every process that decides about doors, again and again until each has said that it holds, and is put on
// record as a lockdown as soon as that can be done.
//
// Every replica of emergency-control that has a hold does both: who took it may die.
package hold

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// Deps is what holds work with.
type Deps struct {
	Watch    *watch.Watcher
	Identity identityv1.DoorsClient
	// Doors are the processes that decide about doors, as they are found now.
	Doors func(ctx context.Context) []run.Door
	// Reasons refuses a justification or governance code that the policy doesn't take.
	Reasons func(justification, governance string) error
	// Record puts a hold on record as a lockdown, once, however often it is asked; it answers the lockdown's id.
	Record func(ctx context.Context, hold *emergencyv1.Emergency) (string, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Service serves holds.
type Service struct {
	emergencyv1.UnimplementedHoldsServer
	deps Deps
	wake chan struct{}

	mu   sync.Mutex // guards all below
	held map[string]*pushed
}

// pushed is a hold, and how far it is.
type pushed struct {
	*emergencyv1.Emergency
	doors    map[string]*emergencyv1.KeptHold // by service and address
	lockdown string
}

// New answers the service; Run starts it.
func New(d Deps) *Service {
	return &Service{deps: d, wake: make(chan struct{}, 1), held: map[string]*pushed{}}
}

// Register offers the RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) { emergencyv1.RegisterHoldsServer(r, s) }

// PlaceHold answers once the hold is on this replica's disk and every door was asked, with what each has said within
// a moment.
func (s *Service) PlaceHold(ctx context.Context, r *emergencyv1.PlaceHoldRequest) (*emergencyv1.Hold, error) {
	d := r.GetDuration()
	if d == nil || !d.IsValid() || d.AsDuration() < emergency.MinHold || d.AsDuration() > emergency.MaxHold {
		return nil, fault.New(fault.DurationOutOfRange, `A hold lasts 15 minutes ("900s") to 1 hour ("3600s")`).With("field", "duration")
	}
	if err := s.deps.Reasons(r.GetJustification(), r.GetGovernanceCode()); err != nil {
		return nil, err
	}
	e := s.hold(ctx, r)
	if s.known(e.GetId()) == nil {
		if _, err := s.deps.Identity.ProveCode(rpc.Forward(ctx), &identityv1.ProveCodeRequest{Code: r.GetCode()}); err != nil {
			return nil, err
		}
	}
	if err := s.deps.Watch.Hold(e); err != nil {
		return nil, err
	}
	for _, p := range s.all() {
		if p.GetId() == e.GetId() {
			s.push(ctx, p)
			s.nudge()
			return s.shown(p), nil
		}
	}
	return nil, fault.New(fault.Aborted, "The hold ended meanwhile. Place another")
}

// hold is a hold as a request wants it: a lockdown as the journal would have it.
func (s *Service) hold(ctx context.Context, r *emergencyv1.PlaceHoldRequest) *emergencyv1.Emergency {
	caller, now := who.FromContext(ctx), s.deps.Now()
	id := "H-" + rand.Text()[:10]
	if r.GetRequestId() != "" {
		id = "H-" + r.GetRequestId()
	}
	if before := s.known(id); before != nil {
		return before
	}
	return &emergencyv1.Emergency{
		Id: id, Hold: id, Kind: emergencyv1.Emergency_LOCKDOWN, Started: true, Duration: r.GetDuration(),
		StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(r.GetDuration().AsDuration())),
		CreatedBy: caller.Actor(), CreateTime: timestamppb.New(now), Justification: r.GetJustification(), GovernanceCode: r.GetGovernanceCode(),
		SparedSignIn: caller.SignIn, CutoffRevision: s.deps.Watch.State().Emergency.Revision().String(), RevokeTokens: new(bool),
	}
}

// known is a hold by its id, nil if there is none.
func (s *Service) known(id string) *emergencyv1.Emergency {
	for _, p := range s.all() {
		if p.GetId() == id {
			return p.Emergency
		}
	}
	return nil
}

// all are the holds that have not ended or are on no record, the newest first.
func (s *Service) all() []*pushed {
	waiting := s.deps.Watch.Holds()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range waiting {
		if s.held[e.GetId()] == nil {
			s.held[e.GetId()] = &pushed{Emergency: e, doors: map[string]*emergencyv1.KeptHold{}}
		}
	}
	var all []*pushed
	for id, p := range s.held {
		if p.lockdown != "" && s.over(p) {
			delete(s.held, id)
			continue
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pushed) int { return b.GetStartTime().AsTime().Compare(a.GetStartTime().AsTime()) })
	return all
}

func (s *Service) over(p *pushed) bool { return !s.deps.Now().Before(p.GetEndTime().AsTime()) }

// ListHolds answers those that have not ended, or are on no record yet.
func (s *Service) ListHolds(context.Context, *emergencyv1.ListHoldsRequest) (*emergencyv1.ListHoldsResponse, error) {
	all := &emergencyv1.ListHoldsResponse{}
	for _, p := range s.all() {
		all.Holds = append(all.Holds, s.shown(p))
	}
	return all, nil
}

// shown is a hold and how far it is.
func (s *Service) shown(p *pushed) *emergencyv1.Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &emergencyv1.Hold{
		Id: p.GetId(), StartTime: p.GetStartTime(), EndTime: p.GetEndTime(), CreatedBy: p.GetCreatedBy(),
		Justification: p.GetJustification(), GovernanceCode: p.GetGovernanceCode(), Lockdown: p.lockdown,
	}
	for _, key := range slices.Sorted(maps.Keys(p.doors)) {
		h.Doors = append(h.Doors, p.doors[key])
	}
	return h
}
