package connector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// step is one thing that happens; n says which, how many or how long.
type step struct {
	kind string
	user string
	n    int
}

func drawSteps(t *rapid.T) []step {
	kinds := []string{"open", "open", "open", "terminate", "terminate user", "schedule", "cancel", "begun", "pass", "broker goes", "broker comes", "older standing", "close"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user"), rapid.IntRange(0, 5).Draw(t, "n")}
	}), 1, 40).Draw(t, "steps")
}

// model is what must be true, said as simply as can be.
type model struct {
	*world
	sequence  uint64
	cuts      []*emergencyv1.Cut // the newest last
	standings []*sessionv1.Standing
	down      bool
	sessions  []*modelled
}

type modelled struct {
	*live
	sequence uint64    // it was admitted under
	pending  time.Time // and knew of
	closed   bool
	over     bool
}

// next is one more entry of the record: everyone who can be told is told.
func (m *model) next() {
	m.sequence++
	newest := slices.Clone(m.cuts)
	slices.Reverse(newest)
	s := standing(fmt.Sprintf("1-%d", m.sequence), newest...)
	m.standings = append(m.standings, s)
	if m.down {
		m.hub.with(func() { m.hub.standing = s })
		return
	}
	m.hub.send(s)
}

func (m *model) admission() (uint64, []time.Time) {
	var pending []time.Time
	for _, c := range m.cuts {
		if at := c.GetStartTime(); at != nil && !c.GetBegun() && at.AsTime().After(time.Now()) {
			pending = append(pending, at.AsTime())
		}
	}
	slices.SortFunc(pending, time.Time.Compare)
	return m.sequence, pending[:min(len(pending), 1)]
}

func (m *model) open(user string) {
	sequence, pending := m.admission()
	m.gate.knows(sequence, pending...)
	l, err := m.try(user, "db-1")
	if err != nil {
		m.t.Fatalf("a session that knows of everything was refused: %v", err)
	}
	s := &modelled{live: l, sequence: sequence}
	if len(pending) > 0 {
		s.pending = pending[0]
	}
	m.sessions = append(m.sessions, s)
}

func (m *model) do(s step) {
	switch s.kind {
	case "open":
		m.open(s.user)
	case "terminate", "terminate user":
		sel := all()
		if s.kind == "terminate user" {
			sel = &emergencyv1.Selector{Users: []string{s.user}}
		}
		m.cuts = append(m.cuts, termination(m.sequence+1, sel))
		m.next()
	case "schedule":
		m.cuts = append(m.cuts, lockdown(m.sequence+1, time.Now().Add(time.Duration(s.n)*time.Second)))
		m.next()
	case "cancel": // before the start, while it can be told: nothing is cut; else the cut stands
		m.cuts = slices.DeleteFunc(m.cuts, func(c *emergencyv1.Cut) bool {
			return !m.down && !c.GetBegun() && c.GetStartTime() != nil && c.GetStartTime().AsTime().After(time.Now())
		})
		m.next()
	case "begun": // control notes what has started
		for i, c := range m.cuts {
			if at := c.GetStartTime(); at != nil && !at.AsTime().After(time.Now()) {
				m.cuts[i] = &emergencyv1.Cut{Emergency: c.GetEmergency(), Kind: c.GetKind(), CutoffRevision: c.GetCutoffRevision(), Selector: c.GetSelector(),
					Reason: c.GetReason(), StartTime: timestamppb.New(at.AsTime()), Until: c.GetUntil(), Begun: true}
			}
		}
		m.next()
	case "pass":
		time.Sleep(time.Duration(s.n) * time.Second)
	case "broker goes":
		if !m.down {
			m.down = true
			m.hub.kill()
		}
	case "broker comes":
		if m.down {
			m.down = false
			m.hub.revive()
			time.Sleep(2 * maxBackoff)
		}
	case "older standing":
		if !m.down && len(m.standings) > s.n {
			m.hub.mu.Lock()
			m.hub.links[len(m.hub.links)-1].stand(m.standings[len(m.standings)-1-s.n])
			m.hub.mu.Unlock()
		}
	case "close":
		if s.n < len(m.sessions) && !m.sessions[s.n].over {
			m.sessions[s.n].Close()
			m.sessions[s.n].closed = true
		}
	}
	m.settle()
	m.judge()
}

// judge notes which sessions are over: what is cut stays cut.
func (m *model) judge() {
	for _, s := range m.sessions {
		for _, c := range m.cuts {
			var sequence uint64
			_, _ = fmt.Sscanf(c.GetCutoffRevision(), "1-%d", &sequence)
			start := time.Time{}
			if c.GetStartTime() != nil {
				start = c.GetStartTime().AsTime()
			}
			started := !time.Now().Before(start)
			knew := s.sequence >= sequence
			told := !start.IsZero() && !s.pending.IsZero() && !s.pending.After(start)
			selected := c.GetSelector().GetAll() || slices.Contains(c.GetSelector().GetUsers(), s.request.User)
			s.over = s.over || !s.closed && started && selected && (!knew || told)
		}
	}
}

func (m *model) check() {
	m.t.Helper()
	open := 0
	for i, s := range m.sessions {
		told := len(s.told())
		if want := map[bool]int{true: 1}[s.over]; told != want {
			m.t.Errorf("session %d of %s, admitted at %d, was told to end %d times, want %d", i, s.request.User, s.sequence, told, want)
		}
		if !s.over && !s.closed {
			open++
		}
	}
	if m.Live() != open {
		m.t.Errorf("%d are live, want %d", m.Live(), open)
	}
	if got := int(m.hub.beat.GetOpenSessions()); got != open {
		m.t.Errorf("the broker heard of %d open ones, want %d", got, open)
	}
	for _, p := range m.hub.beat.GetCuts() {
		if p.GetOpen() != 0 {
			m.t.Errorf("of %s %d are said to be still open", p.GetEmergency(), p.GetOpen())
		}
	}
}

func TestWhateverHappensInWhateverOrderTheRightSessionsEnd(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := drawSteps(r)
		failed := t.Failed()
		run(t, newHub(), func(w *world) {
			m := &model{world: w, sequence: 1, standings: []*sessionv1.Standing{w.hub.standing}}
			for _, s := range steps {
				m.do(s)
			}
			m.do(step{kind: "broker comes"})
			m.pass(2 * time.Second)
			m.judge()
			m.check()
		})
		if t.Failed() && !failed {
			r.Fatalf("after %v", steps)
		}
	})
}
