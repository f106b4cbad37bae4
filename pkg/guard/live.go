package guard

import (
	"context"
	"slices"
	"sync"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	shards = 16
	// lookAgain is how often the guard looks at its clock besides its timers: those stand still while a machine is suspended.
	lookAgain  = time.Second
	recentCuts = 64 // whose progress is told
)

// shard keeps some of what goes on.
type shard struct {
	mu  sync.Mutex
	all map[*entry]struct{}
}

// entry is something that was let in and goes on. End is called once, from another goroutine, when it may not go on; it must not block.
type entry struct {
	caller    Caller
	groups    []string
	admission emergency.Admission
	shard     *shard
	end       func(error)
	over      bool // guarded by the shard
}

// enter registers what is to go on, and then decides: nothing slips in beside an emergency. Who enters must leave, whom this refuses too.
func (g *Guard) enter(c Caller, end func(error)) (*entry, error) {
	l := &entry{caller: c, end: end, shard: &g.shards[g.count.entered.Add(1)%shards]}
	v, now := g.view.Load(), g.config.Now()
	if v != nil {
		l.admission, l.groups = v.snapshot.Admission(now), v.snapshot.DeviceGroups(c.Device)
	}
	l.shard.mu.Lock()
	l.shard.all[l] = struct{}{}
	l.shard.mu.Unlock()
	if err := g.Check(c); err != nil {
		return l, err
	}
	if latest := g.view.Load(); latest != v { // what came while this was registered may have swept before
		g.ask(latest, l, g.config.Now())
	}
	return l, nil
}

// leave reports whether a cut has chosen it, so that end is or will be called. Once it has answered false, end never is.
func (g *Guard) leave(l *entry) (cut bool) {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	delete(l.shard.all, l)
	cut, l.over = l.over, true
	return cut
}

// sweep cuts whatever may not go on.
func (g *Guard) sweep(now time.Time) {
	v := g.view.Load()
	if v == nil {
		return
	}
	g.each(func(l *entry) { g.ask(v, l, now) })
}

func (g *Guard) each(do func(*entry)) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		all := make([]*entry, 0, len(s.all))
		for l := range s.all {
			all = append(all, l)
		}
		s.mu.Unlock()
		for _, l := range all {
			do(l)
		}
	}
}

// ask cuts one if it may not go on.
func (g *Guard) ask(v *view, l *entry, now time.Time) {
	why, by := g.turned(v, l, now)
	if why == nil {
		return
	}
	l.shard.mu.Lock()
	first := !l.over
	l.over = true
	l.shard.mu.Unlock()
	if !first {
		return
	}
	l.end(why)
	g.count.cut.Add(1)
	g.progress.add(by)
	g.nudge()
}

// turned answers why something may not go on: a cut that ends it, or a decision that is another now. A freeze lets what is live go on,
// unless it cuts; a view that is old ends nothing.
func (g *Guard) turned(v *view, l *entry, now time.Time) (why *fault.Error, by string) {
	seen := emergency.Session{User: l.caller.User, Device: l.caller.Device, Connector: g.config.Name, Groups: l.groups, Admission: l.admission}
	for i := range v.cuts {
		c := &v.cuts[i]
		if c.Bites(l.admission, now) && v.selects(c, l, &seen) {
			return fault.CutOff(g.config.Texts, c, now), c.Emergency
		}
	}
	switch verdict := emergency.Decide(v.snapshot, l.caller.request(), now); verdict.Reason {
	case emergency.LockedDown, emergency.Locked, emergency.NoAccess:
		return fault.Refused(g.config.Texts, verdict, l.caller.Device, now), verdict.Emergency
	}
	return nil, ""
}

// selects reports whether a cut means somebody: a freeze whoever is on a device that it closes, but an administrator; a lockdown all but
// those whom it lets through by name.
func (v *view) selects(c *emergency.Cut, l *entry, seen *emergency.Session) bool {
	e := v.snapshot.Emergency(c.Emergency)
	switch {
	case c.Blocking && v.snapshot.Administrator(l.caller.User):
		return false
	case c.Kind == emergency.Lockdown && l.caller.Token != "":
		return !named(l.caller.Token, e.GetBreakGlassTokens(), v.snapshot.Policy().GetBreakGlassTokens())
	case c.Kind == emergency.Lockdown:
		return !named(l.caller.User, e.GetBreakGlassUsers(), v.snapshot.Policy().GetBreakGlassUsers())
	}
	meant := *c
	if c.Blocking {
		meant.Selector = &emergencyv1.Selector{AccessGroups: v.snapshot.FrozenGroups()}
	}
	if v.snapshot.InGroups(seen.Device, meant.Selector.GetAccessGroups()) {
		meant.MemberDevices = []string{seen.Device}
	}
	return meant.Selects(seen)
}

func named(name string, lists ...[]string) bool {
	return slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(list, name) })
}

// practice is what the drill that is on, or was last, would have done.
type practice struct {
	mu      sync.Mutex
	drill   string
	refuses uint64
	ends    uint32
}

// practise counts a request that is let through and that a drill would have refused. Nobody notices.
func (g *Guard) practise(v *view, c *Caller, now time.Time) {
	p := v.snapshot.Practised(now)
	if p == nil || !p.Refuses(c.request(), now) {
		return
	}
	g.practice.mu.Lock()
	defer g.practice.mu.Unlock()
	g.practice.turn(p.Drill)
	g.practice.refuses++
}

func (p *practice) turn(drill string) {
	if p.drill != drill {
		p.drill, p.refuses, p.ends = drill, 0, 0
	}
}

// practised is what the drill that is on, or was last, would have done so far.
func (g *Guard) practised(v *view) []*emergencyv1.DrillProgress {
	now, ends := g.config.Now(), uint32(0)
	p := v.snapshot.Practised(now)
	if p != nil {
		g.each(func(l *entry) {
			seen := emergency.Session{User: l.caller.User, Device: l.caller.Device, Connector: g.config.Name, Groups: l.groups, Admission: l.admission}
			if p.Ends(&seen, now) && !p.LetsThrough(l.caller.User, l.caller.Token) {
				ends++
			}
		})
	}
	g.practice.mu.Lock()
	defer g.practice.mu.Unlock()
	if p != nil {
		g.practice.turn(p.Drill)
		g.practice.ends = max(g.practice.ends, ends)
	}
	if g.practice.drill == "" {
		return nil
	}
	return []*emergencyv1.DrillProgress{{Drill: g.practice.drill, WouldRefuse: g.practice.refuses, WouldEnd: g.practice.ends}}
}

// watchClock sweeps at each edge of a window, with the gate gone, too.
func (g *Guard) watchClock(ctx context.Context) {
	for {
		wait, now := lookAgain, g.config.Now()
		if v := g.view.Load(); v != nil {
			if edge := v.snapshot.NextEdge(now); !edge.IsZero() {
				wait = min(wait, edge.Sub(now))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			g.sweep(g.config.Now())
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// oldest answers how many go on, and the lowest revision that one of them was admitted under.
func (g *Guard) oldest() (live uint32, oldest emergency.Revision) {
	g.each(func(l *entry) {
		if live++; live == 1 || l.admission.Revision.Less(oldest) {
			oldest = l.admission.Revision
		}
	})
	return live, oldest
}

// progress counts what each recent cut has ended.
type progress struct {
	mu     sync.Mutex
	ended  map[string]uint32
	recent []string
}

func (p *progress) add(id string) {
	if id == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = map[string]uint32{}
	}
	if p.ended[id]++; p.ended[id] > 1 {
		return
	}
	if p.recent = append(p.recent, id); len(p.recent) > recentCuts {
		delete(p.ended, p.recent[0])
		p.recent = p.recent[1:]
	}
}

func (p *progress) proto() []*emergencyv1.CutProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*emergencyv1.CutProgress, len(p.recent))
	for i, id := range p.recent {
		all[i] = &emergencyv1.CutProgress{Emergency: id, Ended: p.ended[id]}
	}
	return all
}
