package broker

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/crowd"
	"portcullis.dev/services/session-broker/registry"
)

const (
	subjectBeat   = "beat.session-broker." // + instance
	subjectHosts  = "beat.connector."      // + connector, or instance and .folded
	serviceBroker = "session-broker"
	serviceHosts  = "connector"
	recentCuts    = 64
)

// beat says twice a second how this replica is, and speaks for the connectors that nobody can reach.
func (b *Broker) beat(ctx context.Context) error {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	defer b.sendBye()
	for {
		b.beatOwn()
		now := b.config.Now()
		round, done := context.WithTimeout(ctx, pulse) // for all of them together: an index that hangs must not silence this replica
		for _, h := range b.all() {
			b.judgeDoubtful(h)
			if h.reachable(now) {
				continue
			}
			b.remember(round, h)
			h.mu.Lock()
			if !h.left || len(h.sessions) > 0 {
				b.publish(ctx, h, true)
			}
			h.mu.Unlock()
		}
		done()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sendBye says that this replica ends: with an empty beat.
func (b *Broker) sendBye() {
	if err := b.deps.Pulse.Beat(subjectBeat+b.config.Instance, nil); err != nil {
		b.deps.Log.Debug("the last beat was not sent", "error", err)
	}
}

func (b *Broker) beatOwn() {
	state := b.deps.View.State()
	if state == nil {
		return
	}
	beat := &emergencyv1.Beat{
		Enforcer: b.config.Instance, Service: serviceBroker, BootId: b.boot, Revision: state.Emergency.Revision().String(),
		Time: timestamppb.New(b.config.Now()),
	}
	b.deps.Tell(beat)
	b.send(subjectBeat+b.config.Instance, beat)
}

// publish says what is known of a connector. Of one that can't be reached it says so, with what was last
// known, and counts itself what a newer cut selects there; without a generation where it goes by another
// replica's word, which stands for as long as anybody hears it. Callers hold the host's lock.
func (b *Broker) publish(ctx context.Context, h *host, unreachable bool) {
	open := h.beat.GetOpenSessions()
	beat := &emergencyv1.Beat{
		Enforcer: h.id, Service: serviceHosts, BootId: h.boot, Revision: h.beat.GetHeldRevision(), Mode: emergencyv1.Enforcer_BEST_EFFORT,
		OpenSessions: &open, OldestAdmission: h.beat.GetOldestAdmission(), Cuts: h.beat.GetCuts(), Generation: h.generation, Unreachable: unreachable,
		Time: h.beat.GetTime(),
	}
	if h.elsewhere != nil {
		beat.Generation = 0
	}
	b.tellOf(h, beat)
	if unreachable {
		open = max(open, uint32(len(h.sessions)))
		beat.Cuts = b.estimate(h)
	}
	b.crowd.Tell(ctx, h.said, beat)
	h.said = beat
}

// tellOf says how old what a connector goes by is: as old as what it was told when it was last heard to have it, by whichever replica. It goes on
// with that, and lets in nobody whom the gate does not. Callers hold the host's lock.
func (b *Broker) tellOf(h *host, beat *emergencyv1.Beat) {
	b.deps.Tell(beat)
	beat.Mode, beat.Drills = emergencyv1.Enforcer_BEST_EFFORT, b.practised(h)
	beat.HeldTime, beat.LastAllowedTime = h.beat.GetHeldTime(), h.beat.GetLastAllowedTime()
	if beat.Age != nil {
		beat.Age = durationpb.New(beat.GetAge().AsDuration() + max(0, b.config.Now().Sub(h.last())))
	}
}

// estimate counts what the recent cuts select among the sessions that the connector last had. What it has
// said of a window before it fell silent may be older than the start, so if it had nothing to say of it,
// that is counted too, or left unsaid. Of sessions that the index lacks nobody knows whom they are of: all
// of them count, or, where it has none of that connector's, nothing is said of the cut.
func (b *Broker) estimate(h *host) []*emergencyv1.CutProgress {
	cuts := slices.Clone(h.beat.GetCuts())
	nothing := func(c *emergencyv1.CutProgress) bool { return c.GetOpen()+c.GetEnded() == 0 }
	state, now := b.deps.View.State(), b.config.Now()
	if state == nil || len(h.sessions) == 0 {
		return slices.DeleteFunc(cuts, func(c *emergencyv1.CutProgress) bool { return nothing(c) && h.beat.GetOpenSessions() > 0 })
	}
	unknown := h.beat.GetOpenSessions() - min(h.beat.GetOpenSessions(), uint32(len(h.sessions)))
	known := map[string]int{}
	for i, c := range cuts {
		known[c.GetEmergency()] = i
	}
	all := state.Emergency.Cuts()
	for i := range all[:min(len(all), recentCuts)] {
		cut := &all[i]
		at, said := known[cut.Emergency]
		switch {
		case !said:
			cuts = append(cuts, &emergencyv1.CutProgress{Emergency: cut.Emergency, Open: unknown + b.selected(h, cut, state.Emergency, now)})
		case cut.Kind != emergency.Termination && nothing(cuts[at]):
			cuts[at] = &emergencyv1.CutProgress{Emergency: cut.Emergency, Open: unknown + b.selected(h, cut, state.Emergency, now)}
		}
	}
	return cuts
}

// practised counts what a drill that is on would end there. Nothing of it is said to the connector. Callers hold the host's lock.
func (b *Broker) practised(h *host) []*emergencyv1.DrillProgress {
	state, now := b.deps.View.State(), b.config.Now()
	if state == nil {
		return nil
	}
	p := state.Emergency.Practised(now)
	if p == nil {
		return nil
	}
	told := &emergencyv1.DrillProgress{Drill: p.Drill}
	for _, s := range h.sessions {
		if p.Ends(seen(s), now) {
			told.WouldEnd++
		}
	}
	return []*emergencyv1.DrillProgress{told}
}

func (b *Broker) selected(h *host, cut *emergency.Cut, known *emergency.Snapshot, now time.Time) (open uint32) {
	meant := meant(cut, known)
	for _, s := range h.sessions {
		if ends(meant, seen(s), known, now) {
			open++
		}
	}
	return open
}

// meant is a cut with the groups in its selector that it means now.
func meant(cut *emergency.Cut, known *emergency.Snapshot) emergency.Cut {
	c := *cut
	if c.Blocking {
		c.Selector = &emergencyv1.Selector{AccessGroups: known.FrozenGroups()}
	}
	return c
}

// ends reports whether a cut ends a session, by what is known now of groups and administrators.
func ends(meant emergency.Cut, s *emergency.Session, known *emergency.Snapshot, now time.Time) bool {
	if !meant.Bites(s.Admission, now) || meant.Blocking && known.Administrator(s.User) {
		return false
	}
	meant.MemberDevices = nil
	if groups := meant.Selector.GetAccessGroups(); len(groups) > 0 && known.InGroups(s.Device, groups) {
		meant.MemberDevices = []string{s.Device}
	}
	return meant.Selects(s)
}

// cuts are the recent ones: what they end, its connector has been told to end, whatever it has done yet.
type cuts struct {
	known *emergency.Snapshot
	all   []emergency.Cut
}

func (b *Broker) recent() cuts {
	state := b.deps.View.State()
	if state == nil {
		return cuts{}
	}
	c, all := cuts{known: state.Emergency}, state.Emergency.Cuts()
	for i := range all[:min(len(all), recentCuts)] {
		c.all = append(c.all, meant(&all[i], c.known))
	}
	return c
}

func (c cuts) end(s *sessionv1.Session, now time.Time) bool {
	who := seen(s)
	return slices.ContainsFunc(c.all, func(meant emergency.Cut) bool { return ends(meant, who, c.known, now) })
}

func (b *Broker) send(subject string, beat *emergencyv1.Beat) {
	data, err := proto.Marshal(beat)
	if err == nil {
		err = b.deps.Pulse.Beat(subject, data)
	}
	if err != nil {
		b.deps.Log.Debug("a receipt was not sent; the next one says the same", "subject", subject, "error", err)
	}
}

// hearOthers follows what the other replicas say of their connectors.
func (b *Broker) hearOthers(ctx context.Context) error {
	return b.deps.Pulse.Beats(ctx, subjectHosts+">", func(subject string, data []byte) {
		if len(data) == 0 {
			b.hearBye(strings.TrimPrefix(subject, subjectHosts))
			return
		}
		beat := new(emergencyv1.Beat)
		if proto.Unmarshal(data, beat) != nil {
			return
		}
		all, folded := crowd.Of(serviceHosts, subject, beat)
		if !folded {
			all = []*emergencyv1.Beat{beat}
		}
		for _, one := range all {
			if one.GetService() == serviceHosts && !one.GetUnreachable() && one.GetEnforcer() != "" {
				b.hearOf(one)
			}
		}
	})
}

// hearBye takes from another replica that a connector has said that it ends.
func (b *Broker) hearBye(id string) {
	h := b.host(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = h.link == nil
}

// hearOf takes another replica's word of a connector that it hears. A higher generation stands at once; one
// that is lower, because of a clock that was ahead, once nobody else has heard the connector for so long that
// it is no old message.
func (b *Broker) hearOf(beat *emergencyv1.Beat) {
	h, generation, now := b.host(beat.GetEnforcer()), beat.GetGeneration(), b.config.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if generation == h.generation || generation < h.under() && !h.quiet(now) {
		return // our own, or an old one
	}
	if h.link != nil {
		h.link.stop(errSuperseded)
		h.link = nil
	}
	h.elsewhere, h.told, h.left = beat, now, false
	h.boot = beat.GetBootId()
	h.beat = &sessionv1.Heartbeat{HeldRevision: beat.GetRevision(), OpenSessions: beat.GetOpenSessions(),
		OldestAdmission: beat.GetOldestAdmission(), Cuts: beat.GetCuts(), HeldTime: beat.GetHeldTime(), LastAllowedTime: beat.GetLastAllowedTime()}
	clear(h.sessions) // they are the other's, and in the index
	h.remembered = false
}

// remember reads from the index what a connector had that was attached elsewhere, or before this process.
func (b *Broker) remember(ctx context.Context, h *host) {
	h.mu.Lock()
	need := len(h.sessions) == 0 && !h.remembered
	h.remembered = true
	h.mu.Unlock()
	if !need {
		return
	}
	rows, err := connectorRows(ctx, b.deps.Index, h.id)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.remembered = false
		return
	}
	if h.link != nil {
		return
	}
	for _, row := range rows {
		h.sessions[row.Session.GetId()] = row.Session
	}
}

// recall makes the connectors known that the index has sessions of, so that those that don't come back
// after this broker's restart are unreachable, and not forgotten.
func (b *Broker) recall(ctx context.Context) {
	for after := ""; ; {
		rows, err := b.deps.Index.Range(ctx, after, 1)
		if err != nil || len(rows) == 0 {
			return
		}
		s := rows[0].Session
		h := b.host(s.GetConnector())
		h.mu.Lock()
		if h.beat == nil {
			h.beat = &sessionv1.Heartbeat{}
			h.heard = rows[0].Deadline.Add(-vouched)
			h.boot = s.GetBootId()
		}
		h.mu.Unlock()
		after = registry.Key(s.GetConnector(), "~")
	}
}
