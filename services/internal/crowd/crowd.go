// Package crowd tells control of many enforcers in few messages: a gate of its guards, a broker of its connectors. What is new of any
// of them goes within a moment, together with what is new of others; the rest once a second.
package crowd

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	// many is how many are told of one by one.
	many = 64
	// every is how often those are told of that say nothing new. It may get lost twice before they count as silent.
	every = time.Second
	// within is how long what is new waits for what is new of others.
	within = 10 * time.Millisecond
	// folded is how many go into one message, and foldedMost how many bytes: the journal takes a megabyte. What one says of itself has
	// no bound, and must not keep the others from being told of.
	folded, foldedMost = 200, 512 << 10
)

// Config is what a crowd must be told.
type Config struct {
	// Service is of what kind the enforcers are, and Instance who speaks for them, without dots; without one, each is told of by itself.
	Service, Instance string
	// After is how long each is told of by itself first: one of an earlier version, which knows no other way, hears it meanwhile.
	After time.Duration
	// Beat sends a message.
	Beat func(subject string, data []byte) error
	Log  *slog.Logger
}

// Crowd are the enforcers that one process speaks for. It is safe for any number of goroutines.
type Crowd struct {
	config Config
	began  time.Time
	size   atomic.Int64
	wake   chan struct{}
	// sending is held from taking to sending, so that nothing of an enforcer goes out after its goodbye.
	sending sync.Mutex

	mu      sync.Mutex
	waiting map[string]*emergencyv1.Beat
	news    map[string]*emergencyv1.Beat
}

// New answers a crowd of nobody.
func New(c Config) *Crowd {
	return &Crowd{config: c, began: time.Now(), wake: make(chan struct{}, 1), waiting: map[string]*emergencyv1.Beat{}, news: map[string]*emergencyv1.Beat{}}
}

// Add says that there are so many more, or fewer.
func (c *Crowd) Add(n int64) { c.size.Add(n) }

// Tell tells of one, with what was said of it before, nil for nothing. What gets lost is said again. The beat must not be changed
// afterwards.
func (c *Crowd) Tell(ctx context.Context, before, b *emergencyv1.Beat) {
	if c.config.Instance == "" || c.size.Load() <= many || time.Since(c.began) < c.config.After {
		c.drop(b.GetEnforcer())
		c.send(ctx, c.subject(b.GetEnforcer()), b)
		return
	}
	c.put(b, !same(before, b))
}

// Leave says how one was last, nil where nothing is to be said, and that it ends: with an empty beat.
func (c *Crowd) Leave(ctx context.Context, id string, last *emergencyv1.Beat) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.drop(id)
	if last != nil {
		c.send(ctx, c.subject(id), last)
	}
	if err := c.config.Beat(c.subject(id), nil); err != nil {
		c.config.Log.DebugContext(ctx, "a goodbye was not sent; the enforcer is missed", "enforcer", id, "error", err)
	}
}

// Run tells of the many together, until the context ends.
func (c *Crowd) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.tellAll(ctx, false)
		case <-c.wake:
			time.Sleep(within)
			c.tellAll(ctx, true)
		case <-ctx.Done():
			return nil
		}
	}
}

// tellAll tells of the many, or of those alone that have said something new.
func (c *Crowd) tellAll(ctx context.Context, news bool) {
	c.sending.Lock()
	defer c.sending.Unlock()
	for all := c.take(news); len(all) > 0; {
		n := fitting(all)
		c.send(ctx, c.subject(c.config.Instance)+".folded", &emergencyv1.Beat{Folded: all[:n]})
		all = all[n:]
	}
}

// fitting is how many of the first go into one message: one at least.
func fitting(all []*emergencyv1.Beat) int {
	size := 0
	for n, b := range all[:min(len(all), folded)] {
		if size += proto.Size(b); size > foldedMost {
			return max(1, n)
		}
	}
	return min(len(all), folded)
}

func (c *Crowd) subject(name string) string { return "beat." + c.config.Service + "." + name }

func (c *Crowd) send(ctx context.Context, subject string, b *emergencyv1.Beat) {
	data, err := proto.Marshal(b)
	if err == nil {
		err = c.config.Beat(subject, data)
	}
	if err != nil {
		c.config.Log.DebugContext(ctx, "receipts were not sent; the next ones say the same", "subject", subject, "error", err)
	}
}

func (c *Crowd) put(b *emergencyv1.Beat, news bool) {
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

func (c *Crowd) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
	delete(c.news, id)
}

// take takes what is new, or everything.
func (c *Crowd) take(news bool) []*emergencyv1.Beat {
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

// same reports whether a beat says what the one before said, but for its clock and its age, which go on by themselves.
func same(before, b *emergencyv1.Beat) bool {
	if before == nil || before.GetRevision() != b.GetRevision() || before.GetOpenSessions() != b.GetOpenSessions() || before.GetBootId() != b.GetBootId() ||
		before.GetGeneration() != b.GetGeneration() || before.GetUnreachable() != b.GetUnreachable() ||
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

// Of are the beats in a message under beat.<service>.<who speaks>.folded; ok is false of any other. Whoever may send for a service
// speaks for that one alone.
func Of(service, subject string, b *emergencyv1.Beat) (all []*emergencyv1.Beat, ok bool) {
	if !strings.HasPrefix(subject, "beat."+service+".") || !strings.HasSuffix(subject, ".folded") || b.GetEnforcer() != "" {
		return nil, false
	}
	return slices.DeleteFunc(b.GetFolded(), func(one *emergencyv1.Beat) bool { return one.GetService() != service || len(one.GetFolded()) > 0 }), true
}
