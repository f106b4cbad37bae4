package run

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const beatEvery = 500 * time.Millisecond

// Enforce tells what this service holds, and how fresh that is, twice a second and as soon as it holds another revision, until
// the context ends. What more there is to tell, say adds; it may be nil.
func (h *Host) Enforce(ctx context.Context, say func() *emergencyv1.Beat) error {
	changed, stop := h.Watch.Subscribe()
	defer stop()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var told emergency.Revision
	defer func() { // an empty one says that it ends; who doesn't hear of it takes it for silent
		if err := h.Journal.Beat("beat."+h.Name+"."+h.Instance, nil); err != nil {
			h.Log.DebugContext(ctx, "the last beat was not sent", "error", err)
		}
	}()
	for due := true; ; {
		if state := h.Watch.State(); state != nil && (due || state.Emergency.Revision() != told) {
			told = state.Emergency.Revision()
			if err := h.beat(told, say); err != nil {
				return err
			}
		}
		select {
		case <-changed:
			due = false
		case <-tick.C:
			due = true
		case <-ctx.Done():
			return nil
		}
	}
}

// beat sends one. One that gets lost is followed by the next.
func (h *Host) beat(held emergency.Revision, say func() *emergencyv1.Beat) error {
	b := &emergencyv1.Beat{}
	if say != nil {
		b = say()
	}
	b.Enforcer, b.Service, b.BootId, b.Revision, b.Time = h.Instance, h.Name, h.Boot, held.String(), timestamppb.New(h.Now())
	h.Watch.Tell(b)
	data, err := proto.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding a beat: %w", err)
	}
	if err := h.Journal.Beat("beat."+h.Name+"."+h.Instance, data); err != nil {
		h.Log.Debug("a beat was not sent", "error", err)
	}
	return nil
}

// follows measures whether a service knows what is on: what it knows gets old while it can't follow the journal.
func follows(h *Host) error {
	followed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portcullis_journal_followed", Help: "1 while the service follows the journal, 0 while what it knows may be old."}, func() float64 {
		if state := h.Watch.State(); state != nil && state.Fresh {
			return 1
		}
		return 0
	})
	old := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "portcullis_view_age_seconds", Help: "How long ago the service is certain to have known all that was on record; +Inf while it can't tell."}, func() float64 {
		if old := h.Watch.Age(); old < math.MaxInt64 {
			return old.Seconds()
		}
		return math.Inf(1)
	})
	for _, gauge := range []prometheus.Collector{followed, old} {
		h.Metrics.Unregister(gauge) // that of the service's life before
		if err := h.Metrics.Register(gauge); err != nil {
			return fmt.Errorf("measuring whether %s follows the journal: %w", h.Name, err)
		}
	}
	return nil
}
