package broker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
)

// resolver remembers which directory the groups of a cut mean. A termination means the groups as they
// were when it was first seen, or whoever joins a group a month later would be ended by it; a freeze and a
// lock mean them as they are until they end.
type resolver struct {
	now  func() time.Time
	mu   sync.Mutex
	of   map[string]*emergency.Snapshot
	last *compiled
}

func newResolver(now func() time.Time) *resolver {
	return &resolver{now: now, of: map[string]*emergency.Snapshot{}}
}

func (r *resolver) directory(c *emergency.Cut, now *emergency.Snapshot) *emergency.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	lasting := (c.Blocking || c.Kind == emergency.Lock) && (c.Until.IsZero() || r.now().Before(c.Until))
	if was := r.of[c.Emergency]; was != nil && !lasting {
		return was
	}
	r.of[c.Emergency] = now
	return now
}

// compiled is what all connectors are told alike.
type compiled struct {
	from           *emergency.Snapshot
	cuts           []emergency.Cut
	wires          []*emergencyv1.Cut
	administrators []string // if a freeze is among the cuts
}

// compile does what can be done once for all connectors.
func (r *resolver) compile(s *emergency.Snapshot, t *traces) *compiled {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil && r.last.from == s {
		return r.last
	}
	c := &compiled{from: s, cuts: standingCuts(s)}
	for i := range c.cuts {
		wire := c.cuts[i].Proto()
		wire.Traceparent = t.get(wire.GetEmergency())
		c.wires = append(c.wires, wire)
		if c.cuts[i].Blocking && c.administrators == nil {
			c.administrators = s.Administrators()
		}
	}
	r.last = c
	return c
}

// traces are those in which what ends sessions was ordered, as traceparents: by an emergency's id, or by the subject of an order.
// They are for finding things again; nothing is decided by one.
type traces struct {
	mu sync.Mutex
	of map[string]string
}

// tracesMost is how many are kept; when there are more, all before are let go of.
const tracesMost = 20_000

// put keeps the first of each: what comes later, such as a start, was not what ordered it.
func (t *traces) put(of, parent string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.of) >= tracesMost {
		clear(t.of)
	}
	if t.of[of] == "" && parent != "" {
		t.of[of] = parent
	}
}

func (t *traces) get(of string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[of]
}

// trace is a tap of EMERGENCY.
func (b *Broker) trace(e journal.Entry) error {
	b.traces.put(e.Subject[strings.LastIndexByte(e.Subject, '.')+1:], telemetry.Parent(telemetry.From(context.Background(), e.Header)))
	return nil
}

// traceEnded has a trace end where the sessions did: a span for each message that tells of some. Callers hold the host's lock.
func (b *Broker) traceEnded(h *host, e *sessionv1.Ended, all []over, anew int) {
	if e.GetTraceparent() == "" || anew == 0 {
		return
	}
	told := cmp.Or(b.traces.get(e.GetCause()), b.traces.get(subjectOrder+all[0].id))
	ctx, span := b.deps.Trace.Answer(context.Background(), "hear of ends", told, e.GetTraceparent(),
		attribute.String("portcullis.connector", h.id), attribute.Int("portcullis.sessions", anew))
	b.deps.Log.DebugContext(ctx, "sessions are over", "connector", h.id, "cause", e.GetCause(), "sessions", anew)
	span.End()
}

// standing is the desired state of one connector.
func (b *Broker) standing(h *host) *sessionv1.Standing {
	c := b.cuts.compile(b.deps.View.State().Emergency, b.traces)
	s := &sessionv1.Standing{Revision: c.from.Revision().String()}
	var devices []string
	for i := range c.cuts {
		if cut := &c.cuts[i]; cut.Blocking || len(cut.Selector.GetAccessGroups()) > 0 {
			if devices == nil {
				devices = h.devices()
			}
			s.Cuts = append(s.Cuts, b.resolve(c, i, devices))
			continue
		}
		s.Cuts = append(s.Cuts, c.wires[i])
	}
	return s
}

// resolve puts the connector's own devices, as the directory has them, into a cut that means groups.
// A freeze spares administrators.
func (b *Broker) resolve(c *compiled, i int, devices []string) *emergencyv1.Cut {
	p, cut := proto.CloneOf(c.wires[i]), &c.cuts[i]
	directory := b.cuts.directory(cut, c.from)
	if cut.Blocking {
		p.Selector, p.SparedUsers = &emergencyv1.Selector{AccessGroups: directory.FrozenGroups()}, c.administrators
	}
	for _, device := range devices {
		if directory.InGroups(device, p.GetSelector().GetAccessGroups()) {
			p.MemberDevices = append(p.MemberDevices, device)
		}
	}
	return p
}

// devices are those of the connector's sessions, sorted.
func (h *host) devices() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := map[string]struct{}{}
	for _, s := range h.sessions {
		names[s.GetDevice()] = struct{}{}
	}
	return slices.Sorted(maps.Keys(names))
}

// standingCuts are the cuts that may still concern a session, the newest first. Behind a newer cut that
// ends everyone, an older one ends nobody: whoever knew the newer was admitted after it. That holds for a
// window only once its start was on record before the newer cut: until then sessions knew of the window
// as still to come.
func standingCuts(s *emergency.Snapshot) []emergency.Cut {
	all := s.Cuts()
	var everyone emergency.Revision
	for i := range all {
		if c := &all[i]; c.Selector.GetAll() && !c.Blocking && len(c.SparedUsers) == 0 && (c.Begun || c.Start.IsZero()) && everyone.Less(c.Revision) {
			everyone = c.Revision
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c emergency.Cut) bool {
		last, err := emergency.ParseRevision(s.Emergency(c.Emergency).GetRevision())
		settled := c.Kind == emergency.Termination || c.Begun && err == nil && last.Less(everyone)
		return c.Revision.Less(everyone) && settled
	})
}
