package kubernetes

import (
	"context"
	"net/http"
	"sync"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
)

// guests are the brief requests that are on. They are no sessions, for there are too many of them; a cut ends them all the
// same, by what the bastion itself has read of it.
type guests struct {
	config Config
	deps   Deps
	mu     sync.Mutex
	all    map[*guest]struct{}
}

type guest struct {
	seen   emergency.Session
	cancel context.CancelFunc
	answer *http.ResponseController
	mu     sync.Mutex
	why    error
}

func newGuests(c Config, d Deps) *guests {
	return &guests{config: c, deps: d, all: map[*guest]struct{}{}}
}

// carryBrief carries a request that an API server answers at once.
func (p *Proxy) carryBrief(w http.ResponseWriter, r *http.Request, q question) {
	ctx, cancel := context.WithTimeout(r.Context(), briefWithin)
	defer cancel()
	answer := http.NewResponseController(w)
	_ = answer.SetReadDeadline(time.Now().Add(briefWithin))
	verdict, err := p.check(ctx, q)
	if err != nil {
		p.refuse(w, r, q, err)
		return
	}
	g := &guest{cancel: cancel, answer: answer, seen: emergency.Session{User: q.user, Device: q.device, Connector: p.config.Connector, Protocol: Protocol,
		Groups: verdict.GetAccessGroups(), Admission: emergency.AdmissionOf(verdict.GetAdmission())}}
	defer p.guests.enter(g)()
	t, err := p.targets.get(ctx, q.device)
	if err != nil {
		p.refuse(w, r, q, err)
		return
	}
	(&passage{proxy: p, question: q, target: t, groups: verdict.GetUserGroups(), transport: t.shared, over: g.over}).serve(w, r.WithContext(ctx))
}

// enter takes a guest in, whom a cut may have overtaken already.
func (s *guests) enter(g *guest) (leave func()) {
	s.mu.Lock()
	s.all[g] = struct{}{}
	s.mu.Unlock()
	s.judge(g)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, g)
	}
}

// judge ends a guest whom a cut means.
func (s *guests) judge(g *guest) {
	state, now := s.deps.State(), s.deps.Now()
	for _, cut := range state.Emergency.Cuts() {
		if at := g.seen.Admission; at.PendingCut.IsZero() && !at.Revision.Less(cut.Revision) {
			return // it was let in knowing of this one, and of all before
		}
		if cut.Ends(&g.seen, now) {
			g.end(s.config.Texts.Ended(&cut))
			return
		}
	}
}

func (g *guest) end(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil {
		return
	}
	g.why = fault.New(fault.Aborted, "%s", reason)
	_ = g.answer.SetWriteDeadline(time.Now().Add(farewell)) // whatever the peer reads
	g.cancel()
}

func (g *guest) over() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// lookEvery is how often starts that lie ahead are looked at.
const lookEvery = 250 * time.Millisecond

// watch judges all guests after each change of what is known, and as time passes.
func (s *guests) watch(ctx context.Context) error {
	nudges, stop := s.deps.Changed()
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-nudges:
		case <-tick.C:
		}
		s.mu.Lock()
		on := make([]*guest, 0, len(s.all))
		for g := range s.all {
			on = append(on, g)
		}
		s.mu.Unlock()
		for _, g := range on {
			s.judge(g)
		}
	}
}
