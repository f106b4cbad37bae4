package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

const (
	vouched     = 30 * time.Second // for how long an attachment vouches for a session
	renewEvery  = 10 * time.Second
	indexGather = 50 * time.Millisecond // what ends goes first
	look        = time.Second           // how often it is made sure that the index was not wiped
)

// indexer keeps the index like the connectors are, behind everything else.
type indexer struct {
	store registry.Store
	now   func() time.Time
	log   *slog.Logger
	wake  chan struct{}

	flushing sync.Mutex // what is written first was wanted first

	mu      sync.Mutex
	waiting map[*host]map[string]*sessionv1.Session // nil: it is to be forgotten
	drops   []dropped
	failing bool
}

func newIndexer(store registry.Store, now func() time.Time, log *slog.Logger) *indexer {
	return &indexer{store: store, now: now, log: log, wake: make(chan struct{}, 1), waiting: map[*host]map[string]*sessionv1.Session{}}
}

// dropped are sessions of one host that are to be forgotten.
type dropped struct {
	h   *host
	ids []string
}

func (x *indexer) put(h *host, s *sessionv1.Session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.want(h, s.GetId(), s)
	x.nudge()
}

// drop keeps the ids, for a session never comes back.
func (x *indexer) drop(h *host, ids ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drops = append(x.drops, dropped{h, ids})
	x.nudge()
}

func (x *indexer) want(h *host, id string, s *sessionv1.Session) {
	if x.waiting[h] == nil {
		x.waiting[h] = map[string]*sessionv1.Session{}
	}
	x.waiting[h][id] = s
}

func (x *indexer) nudge() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *indexer) run(ctx context.Context, attached func() []*host) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var renewed time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-x.wake:
			if !pause(ctx, indexGather) {
				return nil
			}
			x.report(ctx, x.flush(ctx))
		case <-tick.C:
			all := x.now().Sub(renewed) >= renewEvery
			err := x.renew(ctx, attached(), all)
			x.report(ctx, err)
			if all && err == nil {
				renewed = x.now()
			}
		}
	}
}

// report says when the index begins to fail, and when it is back.
func (x *indexer) report(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == x.failing {
		return
	}
	x.failing = err != nil
	if x.failing {
		x.log.WarnContext(ctx, "the index of sessions can't be written now; lists may be incomplete", "error", err)
		return
	}
	x.log.InfoContext(ctx, "the index of sessions can be written again")
}

// flush writes what waits. What can't be written is written by a later renewal: the hosts know.
func (x *indexer) flush(ctx context.Context) error {
	x.flushing.Lock()
	defer x.flushing.Unlock()
	x.mu.Lock()
	for _, d := range x.drops {
		for _, id := range d.ids {
			x.want(d.h, id, nil)
		}
	}
	waiting := x.waiting
	x.drops, x.waiting = nil, map[*host]map[string]*sessionv1.Session{}
	x.mu.Unlock()
	var failed error
	for h, sessions := range waiting {
		var puts []*sessionv1.Session
		var drops []string
		for id, s := range sessions {
			if s == nil {
				drops = append(drops, id)
				continue
			}
			puts = append(puts, s)
		}
		lease := x.lease(h)
		if err := x.write(ctx, lease, puts, drops); err != nil {
			failed = err
			x.again(h, drops)
		}
	}
	return failed
}

// again keeps deletions that failed for the next time, without waking anyone for them.
func (x *indexer) again(h *host, ids []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drops = append(x.drops, dropped{h, ids})
}

func (x *indexer) write(ctx context.Context, l registry.Lease, puts []*sessionv1.Session, drops []string) error {
	if len(puts) > 0 {
		if err := x.store.Put(ctx, l, puts); err != nil {
			return err
		}
	}
	if len(drops) > 0 {
		return x.store.Delete(ctx, l, drops)
	}
	return nil
}

func (x *indexer) lease(h *host) registry.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease(x.now().Add(vouched))
}

// renew vouches anew for all sessions of the connectors that are here and are heard; in between it looks
// whether one of each is there: if not, the index was wiped, and is filled again.
func (x *indexer) renew(ctx context.Context, hosts []*host, all bool) error {
	if err := x.flush(ctx); err != nil {
		return err
	}
	for _, h := range hosts {
		if !all && x.there(ctx, h) {
			continue
		}
		if err := x.renewHost(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// there reports whether one session of the connector is in the index, or whether there is none to look for.
func (x *indexer) there(ctx context.Context, h *host) bool {
	h.mu.Lock()
	lease, heard, one := h.lease(x.now().Add(vouched)), h.reachableHere(x.now()), ""
	for one = range h.sessions {
		break
	}
	h.mu.Unlock()
	if one == "" || !heard {
		return true
	}
	missing, err := x.store.Renew(ctx, lease, []string{one})
	return err == nil && len(missing) == 0
}

func (x *indexer) renewHost(ctx context.Context, h *host) error {
	h.mu.Lock()
	lease, known, heard := h.lease(x.now().Add(vouched)), maps.Clone(h.sessions), h.reachableHere(x.now())
	h.mu.Unlock()
	if !heard {
		return nil
	}
	missing, err := x.store.Renew(ctx, lease, slices.Collect(maps.Keys(known)))
	if err != nil {
		return err
	}
	puts := make([]*sessionv1.Session, len(missing))
	for i, id := range missing {
		puts[i] = known[id]
	}
	return x.write(ctx, lease, puts, nil)
}

// connectorRows reads what the index has of one connector.
func connectorRows(ctx context.Context, index registry.Index, connector string) ([]registry.Row, error) {
	const part = 1000
	var all []registry.Row
	for after := registry.Key(connector, ""); ; {
		rows, err := index.Range(ctx, after, part)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if !strings.HasPrefix(row.Key(), registry.Key(connector, "")) {
				return all, nil
			}
			all = append(all, row)
		}
		if len(rows) < part {
			return all, nil
		}
		after = rows[len(rows)-1].Key()
	}
}
