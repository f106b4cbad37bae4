package guards

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	// crowded is how many guards are attached until those that say nothing new are told of together.
	crowded = 64
	// foldEvery is how often that is. It may get lost twice before they count as silent.
	foldEvery = time.Second
	// newWithin is how long what is new waits for what is new of others.
	newWithin = 10 * time.Millisecond
	// folded is how many go into one message, and mostCuts of how many cuts each tells: together they fit.
	folded, mostCuts = 200, 64
)

// crowd are the guards that control is told of together: soon of those that have said something new.
type crowd struct {
	attached atomic.Int64
	wake     chan struct{}
	// sending is held from taking to sending, so that nothing of a guard goes out after its goodbye.
	sending sync.Mutex

	mu      sync.Mutex
	waiting map[string]*emergencyv1.Beat
	news    map[string]*emergencyv1.Beat
}

func newCrowd() *crowd {
	return &crowd{wake: make(chan struct{}, 1), waiting: map[string]*emergencyv1.Beat{}, news: map[string]*emergencyv1.Beat{}}
}

// beat tells control how a guard is, as the guard says it: of many together, and soon what is new. What gets lost is said again.
func (l *link) beat(ctx context.Context, r *gatev1.GuardReport) {
	b, s := l.tells(r), l.service
	if s.deps.Instance != "" && s.crowd.attached.Load() > crowded {
		s.crowd.put(b, !same(l.said, b))
		l.said = b
		return
	}
	s.crowd.drop(l.id)
	s.send(ctx, "beat."+service+"."+l.id, b)
}

// tells is a report as a beat.
func (l *link) tells(r *gatev1.GuardReport) *emergencyv1.Beat {
	return &emergencyv1.Beat{
		Enforcer: l.id, Service: service, BootId: l.hello.GetBootId(), Revision: r.GetHeldRevision(), Mode: l.hello.GetMode(),
		OpenSessions: proto.Uint32(r.GetLive()), OldestAdmission: r.GetOldestAdmission(), Cuts: r.GetCuts()[:min(len(r.GetCuts()), mostCuts)],
		Age: r.GetAge(), Bound: l.hello.GetBound(), Drills: r.GetDrills(), HeldTime: r.GetHeldTime(), LastAllowedTime: r.GetLastAllowedTime(),
	}
}

// same reports whether a beat says what the one before said: only its age has changed, which says itself on.
func same(before, b *emergencyv1.Beat) bool {
	if before == nil || before.GetRevision() != b.GetRevision() || before.GetOpenSessions() != b.GetOpenSessions() ||
		(before.Age == nil) != (b.Age == nil) || len(before.GetCuts()) != len(b.GetCuts()) {
		return false
	}
	for i, c := range b.GetCuts() {
		if !proto.Equal(c, before.GetCuts()[i]) {
			return false
		}
	}
	return proto.Equal(before.GetHeldTime(), b.GetHeldTime()) && proto.Equal(before.GetLastAllowedTime(), b.GetLastAllowedTime())
}

// leave says how a guard was last, and that it ends: with an empty beat.
func (l *link) leave(ctx context.Context, last *gatev1.GuardReport) {
	s, subject := l.service, "beat."+service+"."+l.id
	s.crowd.sending.Lock()
	defer s.crowd.sending.Unlock()
	s.crowd.drop(l.id)
	s.send(ctx, subject, l.tells(last))
	if err := s.deps.Beat(subject, nil); err != nil {
		s.deps.Log.DebugContext(ctx, "a guard's goodbye was not sent; it is missed", "guard", l.id, "error", err)
	}
}

// Run tells of the many together, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tellAll(ctx, false)
		case <-s.crowd.wake:
			time.Sleep(newWithin)
			s.tellAll(ctx, true)
		case <-ctx.Done():
			return nil
		}
	}
}

// tellAll tells of the many, or of those alone that have said something new.
func (s *Service) tellAll(ctx context.Context, news bool) {
	s.crowd.sending.Lock()
	defer s.crowd.sending.Unlock()
	for part := range slices.Chunk(s.crowd.take(news), folded) {
		s.send(ctx, "beat."+service+"."+s.deps.Instance+".folded", &emergencyv1.Beat{Folded: part})
	}
}

func (s *Service) send(ctx context.Context, subject string, b *emergencyv1.Beat) {
	data, err := proto.Marshal(b)
	if err == nil {
		err = s.deps.Beat(subject, data)
	}
	if err != nil {
		s.deps.Log.DebugContext(ctx, "the receipts of guards were not sent; the next ones say the same", "subject", subject, "error", err)
	}
}

func (c *crowd) put(b *emergencyv1.Beat, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, already := c.news[b.GetEnforcer()]; !news && !already {
		c.waiting[b.GetEnforcer()] = b
		return
	}
	delete(c.waiting, b.GetEnforcer())
	c.news[b.GetEnforcer()] = b
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *crowd) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
	delete(c.news, id)
}

// take takes what is new, or everything.
func (c *crowd) take(news bool) []*emergencyv1.Beat {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Collect(maps.Values(c.news))
	clear(c.news)
	if !news {
		all = slices.AppendSeq(all, maps.Values(c.waiting))
		clear(c.waiting)
	}
	return all
}
