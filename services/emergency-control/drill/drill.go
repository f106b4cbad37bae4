// Package drill practises emergencies: the same record, the same way to every door and the same receipts, and nobody is touched. A
// drill is a record of its own kind, which no door enforces; what a door would have done it counts and tells in its beats.
package drill

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/listing"
	"portcullis.dev/services/internal/who"
)

const (
	// Purpose is what a grant for a drill is for.
	Purpose = "drill"

	shortest, usual, longest = 10 * time.Second, time.Minute, 15 * time.Minute
)

// Draft answers the entries to append if the next has this sequence, under the record's lock, with an envelope that says who and why.
type Draft func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error)

// Ask is a request in somebody's name. Free ones take no grant.
type Ask struct {
	proto.Message
	Grant, RequestID          string
	Justification, Governance string
	Free                      bool
}

// Deps is what drills work with.
type Deps struct {
	// Book follows the record; whoever folds that feeds it.
	Book *Book
	// Once appends what the draft answers in the name of a request, once, and answers its last entry.
	Once func(ctx context.Context, a Ask, make Draft) (*emergencyv1.Entry, error)
	// Append appends what the clock does.
	Append func(ctx context.Context, d func(next uint64) ([]*emergencyv1.Entry, error)) error
	// Check answers what the same request would apply, or why it would not.
	Check func(ctx context.Context, r *emergencyv1.PreviewRequest, now time.Time) (*emergencyv1.Emergency, error)
	// Revision is what a sequence is called, under the record's lock.
	Revision func(sequence uint64) string
	// Receipts are what enforcers say of whoever has these revisions.
	Receipts func(*emergencyv1.Emergency) []*emergencyv1.Receipt
	// Administrator reports whether somebody is one now.
	Administrator func(user string) bool
	// Arrive waits a moment for what another replica may have written just now.
	Arrive func(ctx context.Context, id string)
	// Moved is closed when the record moves next.
	Moved func() <-chan struct{}
	Now   func() time.Time
	Log   *slog.Logger
}

// Service serves drills.
type Service struct {
	emergencyv1.UnimplementedDrillsServer
	deps  Deps
	tally tally
}

// New answers the service; Run starts it.
func New(d Deps) *Service {
	return &Service{deps: d, tally: tally{told: map[string]map[string]map[string]*emergencyv1.DrillProgress{}}}
}

// Register offers the RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) { emergencyv1.RegisterDrillsServer(r, s) }

// Hear folds what an enforcer says it would have done.
func (s *Service) Hear(beat *emergencyv1.Beat) {
	if d, _ := s.deps.Book.current(); d != nil {
		s.tally.listen(d.GetId())
	}
	s.tally.hear(beat)
}

// CreateDrill starts a drill.
func (s *Service) CreateDrill(ctx context.Context, r *emergencyv1.CreateDrillRequest) (*emergencyv1.Drill, error) {
	a := Ask{Message: r, Grant: r.GetGrant(), RequestID: r.GetRequestId(), Justification: r.GetJustification(), Governance: r.GetGovernanceCode()}
	entry, err := s.deps.Once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		now := s.deps.Now()
		practice, length, err := s.practice(ctx, wanted{r.GetTermination(), r.GetFreeze(), r.GetLockdown(), r.GetDuration()}, now)
		if err != nil {
			return nil, err
		}
		if other := s.deps.Book.inTheWay(now); other != "" {
			return nil, inTheWay(other)
		}
		d := s.begin(next, now, practice, length)
		d.Justification, d.GovernanceCode, d.CreatedBy = envelope.GetJustification(), envelope.GetGovernanceCode(), envelope.GetActor()
		return []*emergencyv1.Entry{record(envelope, d, emergencyv1.Entry_DRILL_STARTED)}, nil
	})
	if err != nil {
		return nil, err
	}
	return s.look(entry.GetDrill()), nil
}

func inTheWay(other string) error {
	return fault.New(fault.AlreadyExists, "%s is on, and one drill or one emergency at a time is enough to look at. Wait until it is over, or cancel it", other).With("emergency", other)
}

func (s *Service) begin(next uint64, now time.Time, practice *emergencyv1.Practice, length time.Duration) *emergencyv1.Drill {
	revision := s.deps.Revision(next)
	return &emergencyv1.Drill{
		Id: fmt.Sprintf("D-%04d", next), Practice: practice, StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(length)),
		StartRevision: revision, Revision: revision,
	}
}

// record puts a drill into an entry.
func record(entry *emergencyv1.Entry, d *emergencyv1.Drill, change emergencyv1.Entry_Change) *emergencyv1.Entry {
	entry.Subject, entry.Change = "emergency.drill."+d.GetId(), change
	entry.Record = &emergencyv1.Entry_Drill{Drill: d}
	return entry
}

// wanted is what a request says is to be practised, and for how long.
type wanted struct {
	termination *emergencyv1.ApplyTerminationRequest
	freeze      *emergencyv1.ApplyFreezeRequest
	lockdown    *emergencyv1.ApplyLockdownRequest
	length      *durationpb.Duration
}

// practice checks what to practise as the real one is checked, and for how long.
func (s *Service) practice(ctx context.Context, w wanted, now time.Time) (*emergencyv1.Practice, time.Duration, error) {
	length := usual
	if d := w.length; d != nil {
		if length = d.AsDuration(); !d.IsValid() || length < shortest || length > longest {
			return nil, 0, fault.New(fault.DurationOutOfRange, `A drill lasts 10 seconds ("10s") to 15 minutes ("900s")`).With("field", "duration")
		}
	}
	request, start := w.real(max(length, emergency.MinDuration))
	if start != nil {
		return nil, 0, fault.New(fault.InvalidArgument, "A drill starts at once: leave startTime out. To have one later, make a schedule").With("field", "startTime")
	}
	e, err := s.deps.Check(ctx, request, now)
	if err != nil {
		return nil, 0, err
	}
	return &emergencyv1.Practice{
		Kind: e.GetKind(), Selector: e.GetSelector(), EndLiveSessions: e.GetEndLiveSessions(),
		BreakGlassUsers: e.GetBreakGlassUsers(), BreakGlassTokens: e.GetBreakGlassTokens(),
	}, length, nil
}

// real is the request that would apply what is practised, for as long as the drill is, and the start that it asks for.
func (w wanted) real(length time.Duration) (*emergencyv1.PreviewRequest, *timestamppb.Timestamp) {
	switch {
	case w.termination != nil:
		return &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Termination{Termination: w.termination}}, nil
	case w.freeze != nil:
		f := &emergencyv1.ApplyFreezeRequest{Duration: durationpb.New(length), EndLiveSessions: w.freeze.GetEndLiveSessions()}
		return &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Freeze{Freeze: f}}, w.freeze.GetStartTime()
	case w.lockdown != nil:
		l := &emergencyv1.ApplyLockdownRequest{
			Duration: durationpb.New(length), BreakGlassUsers: w.lockdown.GetBreakGlassUsers(), BreakGlassTokens: w.lockdown.GetBreakGlassTokens(),
		}
		return &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: l}}, w.lockdown.GetStartTime()
	}
	return &emergencyv1.PreviewRequest{}, nil // which is refused
}

var idPattern = regexp.MustCompile(`^[DS]-[0-9]{1,19}$`)

func unknown(what, id string) error {
	if !idPattern.MatchString(id) {
		return fault.New(fault.InvalidArgument, "%.64q is not the id of a %s. List them to see which there are", id, what).With("field", "id")
	}
	return fault.New(fault.NotFound, "There is no %s %s. List them to see which there are", what, id)
}

// GetDrill answers a drill, with what is measured so far while it runs.
func (s *Service) GetDrill(ctx context.Context, r *emergencyv1.GetDrillRequest) (*emergencyv1.Drill, error) {
	s.deps.Arrive(ctx, r.GetId())
	d := s.deps.Book.drill(r.GetId())
	if d == nil {
		return nil, unknown("drill", r.GetId())
	}
	return s.look(d), nil
}

// look is a drill as it is now.
func (s *Service) look(d *emergencyv1.Drill) *emergencyv1.Drill {
	now := shown(d)
	if now.GetResult() == nil {
		now.Result = s.measure(d)
	}
	return now
}

func (s *Service) measure(d *emergencyv1.Drill) *emergencyv1.DrillResult {
	return s.tally.result(d, s.deps.Receipts(Shadow(d)))
}

// ListDrills lists the newest first.
func (s *Service) ListDrills(_ context.Context, r *emergencyv1.ListDrillsRequest) (*emergencyv1.ListDrillsResponse, error) {
	asked, err := listing.Filter(r.GetFilter(), "status")
	if err != nil {
		return nil, err
	}
	if status := asked["status"]; status != "" && emergencyv1.Drill_Status_value[status] == 0 {
		return nil, fault.New(fault.InvalidArgument, "There is no status %.32q. Use RUNNING, DONE or CANCELLED", status).With("field", "filter")
	}
	below, err := listing.Place(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	response := new(emergencyv1.ListDrillsResponse)
	for _, d := range s.deps.Book.all() {
		if below != "" && byNumber(d.GetId(), below) >= 0 || asked["status"] != "" && shown(d).GetStatus().String() != asked["status"] {
			continue
		}
		if len(response.Drills) == listing.Size(r.GetPageSize()) {
			response.NextPageToken = listing.Token(response.Drills[len(response.Drills)-1].GetId())
			break
		}
		one := s.look(d)
		one.Result.Receipts = nil
		response.Drills = append(response.Drills, one)
	}
	return response, nil
}

// CancelDrill ends a drill with what was measured until now.
func (s *Service) CancelDrill(ctx context.Context, r *emergencyv1.CancelDrillRequest) (*emergencyv1.Drill, error) {
	s.deps.Arrive(ctx, r.GetId())
	d := s.deps.Book.drill(r.GetId())
	if d == nil {
		return nil, unknown("drill", r.GetId())
	}
	result, by := s.measure(d), who.FromContext(ctx).Actor()
	a := Ask{Message: r, RequestID: r.GetRequestId(), Justification: r.GetJustification(), Free: true}
	entry, err := s.deps.Once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		before := s.deps.Book.drill(r.GetId())
		if before.GetResult() != nil {
			return nil, fault.New(fault.NotCancellable, "%s ended at %s; there is nothing to cancel", r.GetId(), before.GetEndTime().AsTime().Format(time.RFC3339)).With("status", shown(before).GetStatus().String())
		}
		return []*emergencyv1.Entry{s.ended(envelope, before, next, by, result)}, nil
	})
	if err != nil {
		return nil, err
	}
	return shown(entry.GetDrill()), nil
}

// ended is the entry of a drill's end. The result is in it: it stays when what measured it is gone.
func (s *Service) ended(envelope *emergencyv1.Entry, before *emergencyv1.Drill, next uint64, by string, result *emergencyv1.DrillResult) *emergencyv1.Entry {
	d, now := proto.CloneOf(before), s.deps.Now()
	if now.Before(d.GetEndTime().AsTime()) {
		d.EndTime = timestamppb.New(now)
	}
	d.Result, d.EndedBy, d.Revision = result, by, s.deps.Revision(next)
	return record(envelope, d, emergencyv1.Entry_DRILL_ENDED)
}

// grace is how long after a drill's end its result is written: so late does what doors counted last come in. Who did not hear when
// they took hold waits longer, for a replica that did.
const grace, deafGrace = 2 * time.Second, 3 * time.Second

// listens is how long a process that has begun listens before it ends a drill: before that it can't tell who says nothing.
const listens = grace + deafGrace

// Run ends drills and starts those that are planned, until the context ends. Any number of replicas does each once, for it is
// written under compare-and-set and only while it is due.
func (s *Service) Run(ctx context.Context) error {
	for began := s.deps.Now(); ; {
		moved := s.deps.Moved()
		wait, act := s.due(s.deps.Now(), began)
		if wait <= 0 {
			if err := s.deps.Append(ctx, act); err != nil && ctx.Err() == nil {
				s.deps.Log.ErrorContext(ctx, "what is due of a drill could not be written; trying again", "error", err)
				wait = time.Second
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// due is what is to be written next, and in how long, by a process that listens since it began.
func (s *Service) due(now, began time.Time) (time.Duration, func(next uint64) ([]*emergencyv1.Entry, error)) {
	d, interrupted := s.deps.Book.current()
	if d == nil {
		return s.nextPlanned(now)
	}
	s.tally.listen(d.GetId())
	result := s.measure(d)
	wait := d.GetEndTime().AsTime().Add(grace).Sub(now)
	if result.MedianMs == nil && result.GetConfirmed() > 0 {
		wait += deafGrace
	}
	wait = max(wait, began.Add(listens).Sub(now))
	if interrupted != "" {
		wait = 0
	}
	return min(wait, time.Minute), func(next uint64) ([]*emergencyv1.Entry, error) {
		before, by := s.deps.Book.current()
		if before.GetId() != d.GetId() {
			return nil, journal.ErrUnchanged
		}
		return []*emergencyv1.Entry{s.ended(&emergencyv1.Entry{Actor: clockActor}, before, next, by, result)}, nil
	}
}

// clockActor is who acts where the clock does.
const clockActor = "portcullis"
