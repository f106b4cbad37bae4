// Package afteraction tells all that is known of one emergency: what is on record, and what the services that were
// concerned still know. It composes each report anew and keeps nothing.
//
// A report is never in the way: each part is read within seconds, every list is bounded, no more than two are
// made at once, and what could not be asked or read to its end is said to be missing, never passed over.
package afteraction

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

const (
	// within is how long one part may take.
	within = 6 * time.Second
	// atOnce is how many reports are made at a time, and turn how long another waits for that.
	atOnce = 2
	turn   = 3 * time.Second
	// aftermath is what counts as meanwhile of a termination, which has no end.
	aftermath = 10 * time.Minute
)

// Deps is what a report is composed of.
type Deps struct {
	Journal *journal.Journal
	// Emergency answers one with its status and progress now, or why there is none.
	Emergency func(ctx context.Context, id string) (*emergencyv1.Emergency, error)
	Receipts  func(ctx context.Context, id string) ([]*emergencyv1.Receipt, error)
	// Entry shows a stored entry of EMERGENCY with its place in the chain.
	Entry      func(journal.Entry) (*auditv1.AuditEntry, error)
	Checkpoint func(context.Context, *auditv1.GetCheckpointRequest) (*auditv1.Checkpoint, error)
	// Clock is the actor of what the clock did.
	Clock    string
	Sessions sessionv1.SessionsClient
	Outbox   notificationv1.OutboxClient
	// Texts has the product's name, and the zone in which people read times.
	Texts emergency.Texts
	Now   func() time.Time
	Log   *slog.Logger
}

// Service serves reports.
type Service struct {
	auditv1.UnimplementedReportsServer
	deps  Deps
	turns chan struct{}
}

// New answers the service.
func New(d Deps) *Service { return &Service{deps: d, turns: make(chan struct{}, atOnce)} }

// Register offers the RPC.
func (s *Service) Register(r grpc.ServiceRegistrar) { auditv1.RegisterReportsServer(r, s) }

// GetReport composes a report. It answers as long as there is such an emergency, whoever else can't be asked.
func (s *Service) GetReport(ctx context.Context, r *auditv1.GetReportRequest) (*auditv1.Report, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.turns }()
	e, err := s.deps.Emergency(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	d := &draft{deps: s.deps, report: &auditv1.Report{
		Emergency: e, Time: timestamppb.New(now), MadeFor: who.FromContext(ctx).Actor(),
		Product: s.deps.Texts.Product, TimeZone: s.deps.Texts.Zone.String(),
		FromTime: e.GetCreateTime(), UntilTime: timestamppb.New(until(e, now)),
	}}
	d.compose(ctx)
	return d.report, nil
}

func (s *Service) wait(ctx context.Context) error {
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(turn):
		return fault.New(fault.Unavailable, "Other reports are being made. Try again in a moment")
	}
}

// until is when meanwhile ends.
func until(e *emergencyv1.Emergency, now time.Time) time.Time {
	end := now
	switch e.GetStatus() {
	case emergencyv1.Emergency_CANCELLED:
		end = e.GetCancelTime().AsTime()
	case emergencyv1.Emergency_ENDED:
		end = e.GetEndTime().AsTime()
	case emergencyv1.Emergency_RUNNING, emergencyv1.Emergency_DONE, emergencyv1.Emergency_PARTIAL:
		end = e.GetCreateTime().AsTime().Add(aftermath)
	}
	if end.After(now) {
		return now
	}
	return end
}

// begun is when it began to bite.
func begun(e *emergencyv1.Emergency) time.Time {
	if e.GetStartTime() != nil {
		return e.GetStartTime().AsTime()
	}
	return e.GetCreateTime().AsTime()
}

// draft is a report in the making.
type draft struct {
	deps   Deps
	mu     sync.Mutex // guards the gaps; all else of the report is one part's alone
	report *auditv1.Report
}

func (d *draft) compose(ctx context.Context) {
	var parts sync.WaitGroup
	for part, read := range map[auditv1.ReportGap_Part]func(context.Context) error{
		auditv1.ReportGap_TIMELINE: d.timeline, auditv1.ReportGap_RECEIPTS: d.receipts, auditv1.ReportGap_SESSIONS: d.sessions,
		auditv1.ReportGap_REFUSALS: d.refusals, auditv1.ReportGap_MESSAGES: d.messages,
	} {
		parts.Go(func() { d.part(ctx, part, read) })
	}
	parts.Wait()
	d.part(ctx, auditv1.ReportGap_CHECKPOINT, d.checkpoint) // behind the timeline, so that it covers that
}

func (d *draft) part(ctx context.Context, part auditv1.ReportGap_Part, read func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := read(bounded)
	switch {
	case err == nil || ctx.Err() != nil:
	case status.Code(err) == codes.PermissionDenied:
		d.gap(part, auditv1.ReportGap_FORBIDDEN)
	default:
		d.deps.Log.WarnContext(ctx, "a part of a report can't be told", "part", part, "emergency", d.report.GetEmergency().GetId(), "error", err)
		d.gap(part, auditv1.ReportGap_UNREACHABLE)
	}
}

func (d *draft) gap(part auditv1.ReportGap_Part, why auditv1.ReportGap_Why) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report.Gaps = append(d.report.Gaps, &auditv1.ReportGap{Part: part, Why: why})
}

func (d *draft) checkpoint(ctx context.Context) (err error) {
	d.report.Checkpoint, err = d.deps.Checkpoint(ctx, &auditv1.GetCheckpointRequest{})
	return err
}
