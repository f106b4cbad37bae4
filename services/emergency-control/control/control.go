// Package control is the service that applies and lifts emergencies: the only one that may write the
// record of them.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/emergency-control/afteraction"
	"portcullis.dev/services/emergency-control/checkpoint"
	"portcullis.dev/services/emergency-control/condition"
	"portcullis.dev/services/emergency-control/drift"
	"portcullis.dev/services/emergency-control/drill"
	"portcullis.dev/services/emergency-control/hold"
	"portcullis.dev/services/emergency-control/receipt"
	"portcullis.dev/services/emergency-control/roster"
	"portcullis.dev/services/emergency-control/ticket"
	"portcullis.dev/services/internal/crowd"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
)

var idPattern = regexp.MustCompile(`^[A-Z]-[0-9]{1,19}$`)

// Service is emergency-control.
type Service struct {
	emergencyv1.UnimplementedEmergenciesServer
	emergencyv1.UnimplementedPoliciesServer
	emergencyv1.UnimplementedActsServer
	emergencyv1.UnimplementedApprovalsServer
	auditv1.UnimplementedAuditServer
	auditv1.UnimplementedCheckpointsServer

	journal  *journal.Journal
	ledger   *ledger
	watch    *watch.Watcher
	receipts *receipt.Fold
	roster   *roster.Roster
	blocked  blocked
	sessions sessionv1.SessionsClient
	identity identityv1.DoorsClient
	now      func() time.Time
	log      *slog.Logger
	instance string
	ready    chan struct{}
	holds    *hold.Service
	reports  *afteraction.Service
	tickets  *ticket.Desk
	// condition is what keeps anything new from being put on record.
	condition *condition.Condition
	// previews makes and checks their digests.
	previews drift.Sealer
	signer   checkpoint.Signer
	drills   *drill.Service
}

// New answers the service; Run starts it.
func New(c Config, d Deps) *Service {
	s := &Service{
		journal: d.Journal, watch: d.Watch, receipts: receipt.New(d.Now), sessions: d.Sessions, identity: d.Identity, now: d.Now, log: d.Log,
		instance: d.Instance, ready: make(chan struct{}), condition: condition.New(rpc.Control, d.Now, d.Log), tickets: d.Tickets, previews: drift.NewSealer(c.Key),
	}
	s.ledger = newLedger(c, d.Now, d.Log)
	s.signer = checkpoint.NewSigner(c.Checkpoints, c.Key, d.Journal, d.Now, d.Log)
	s.ledger.written, s.ledger.awaited = s.receipts.Durable, s.receipts.Await
	s.reports = afteraction.New(afteraction.Deps{
		Journal: d.Journal, Emergency: s.known, Receipts: s.everyReceipt, Entry: readEntry, Checkpoint: s.GetCheckpoint, Clock: clockActor,
		Sessions: d.Sessions, Outbox: d.Outbox, Texts: d.Texts, Now: d.Now, Log: d.Log,
	})
	s.roster = roster.New(roster.Deps{Journal: d.Journal, Kept: s.receipts.Kept, Forgotten: s.receipts.Forgotten, Now: d.Now, Log: d.Log,
		Act: func(ctx context.Context, r *emergencyv1.RecordActRequest) error {
			_, err := s.RecordAct(ctx, r)
			return err
		}})
	s.receipts.Roster, s.receipts.Log = s.roster, d.Log
	s.holds = hold.New(hold.Deps{
		Watch: d.Watch, Identity: d.Identity, Doors: d.Doors, Record: s.recordHold, Now: d.Now, Log: d.Log,
		Reasons: func(justification, governance string) error {
			policy := d.Watch.State().Emergency.Policy()
			return asked{justification: strings.TrimSpace(justification), governance: strings.TrimSpace(governance)}.reasons(policy)
		},
	})
	s.drills = drill.New(s.drillDeps(d))
	return s
}

// Register offers the service's RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	emergencyv1.RegisterEmergenciesServer(r, s)
	emergencyv1.RegisterPoliciesServer(r, s)
	emergencyv1.RegisterActsServer(r, s)
	emergencyv1.RegisterApprovalsServer(r, s)
	s.tickets.Register(r)
	auditv1.RegisterAuditServer(r, s)
	auditv1.RegisterCheckpointsServer(r, s)
	s.holds.Register(r)
	s.reports.Register(r)
	s.drills.Register(r)
	s.roster.Register(r)
}

// Ready is closed once the record has been read and can be appended to.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Run follows the record, writes the edges of windows, and hears the enforcers, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	stream, err := s.journal.Stream(ctx, watch.Emergency)
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	ended := ctx.Err
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.ledger.run(ctx, stream) })
	g.Go(func() error { return s.hear(ctx) })
	g.Go(func() error {
		return s.condition.Run(ctx, func(ctx context.Context) error { return s.ledger.takes(ctx, stream) })
	})
	g.Go(func() error { return s.beacon().Run(ctx) })
	g.Go(func() error { return s.holds.Run(ctx) })
	g.Go(func() error { return s.roster.Run(ctx) })
	g.Go(func() error { return s.receipts.Keep(ctx, s.roster.Keep) })
	g.Go(func() error {
		select {
		case <-s.ledger.ready:
		case <-ctx.Done():
			return nil
		}
		if err := s.ledger.begin(ctx); err != nil {
			return err
		}
		close(s.ready)
		g.Go(func() error { return s.signer.Heads.Run(ctx) })
		g.Go(func() error { return s.publisher().Run(ctx) })
		g.Go(func() error { return s.drills.Run(ctx) })
		return s.schedule(ctx)
	})
	if err = g.Wait(); ended() != nil { // what broke off then did so because of it
		return nil
	}
	return err
}

// beacon is what this replica writes for everyone to see how far the record is.
func (s *Service) beacon() condition.Beacon {
	return condition.Beacon{Journal: s.journal, Ready: s.condition.Ready, Writer: s.instance, Log: s.log,
		Epoch: func() uint64 {
			if state := s.watch.State(); state != nil {
				return state.Emergency.Revision().Epoch
			}
			return 0
		}}
}

// hear folds beats until the context ends.
func (s *Service) hear(ctx context.Context) error {
	return s.journal.Beats(ctx, "beat.>", func(subject string, data []byte) {
		if name, ok := strings.CutPrefix(subject, "beat."); ok && len(data) == 0 {
			key := strings.Replace(name, ".", "/", 1)
			s.receipts.Leaves(key)
			s.roster.Leaves(key)
			return
		}
		if beat := readBeat(subject, data); beat != nil {
			s.receipts.Take(beat)
			for _, one := range append(beat.GetFolded(), beat) {
				s.condition.Hear(one)
				s.drills.Hear(one)
			}
		}
	})
}

// readBeat reads a beat and believes its subject, which the journal's rights guard, about who it is from:
// no service can speak for another's. Gates tell of many guards at once, and brokers of many connectors.
func readBeat(subject string, data []byte) *emergencyv1.Beat {
	beat := new(emergencyv1.Beat)
	if proto.Unmarshal(data, beat) != nil {
		return nil
	}
	for _, service := range []string{"guard", receipt.Connector} {
		if all, folded := crowd.Of(service, subject, beat); folded {
			return &emergencyv1.Beat{Folded: all}
		}
	}
	if subject != "beat."+beat.GetService()+"."+beat.GetEnforcer() {
		return nil
	}
	beat.Folded = nil
	return beat
}
