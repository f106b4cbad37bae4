package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	reapWithin = 10 * time.Second // one try
	lookFor    = time.Second      // and what has not gone by then holds up no others
	firstAgain = 200 * time.Millisecond
	lastAgain  = time.Minute
	// giveUpAfter bounds how long an end is tried for. No server is away for so long, and comes back as it was.
	giveUpAfter = 24 * time.Hour
	atOnce      = 8 // cancel requests
	// headStart is how long many cancel requests wait for one sign-in that makes them needless.
	headStart = 250 * time.Millisecond
)

// reaper sees to it that servers' backends are gone when their sessions are: by a cancel request, which takes no
// signing in, and by signing in as the session did and terminating them. It tries until the server says so.
type reaper struct {
	shelf
	resolve func(context.Context, string) (*gatev1.Device, *gatev1.Credential, error)
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	waiting map[string][]*dying // by server
	working map[string]bool
	closed  bool
	workers sync.WaitGroup
}

// dying is a backend that has to go.
type dying struct {
	record
	gone  chan struct{}
	since time.Time
	again time.Duration
}

func newReaper(dir string, resolve func(context.Context, string) (*gatev1.Device, *gatev1.Credential, error), log *slog.Logger) *reaper {
	r := &reaper{shelf: shelf{dir}, resolve: resolve, log: log, waiting: map[string][]*dying{}, working: map[string]bool{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// resume ends what a process before this one has left open.
func (r *reaper) resume() {
	left, err := r.left()
	if err != nil {
		r.log.Error("some of what was left open can't be read: end it at the server", "error", err)
	}
	for _, one := range left {
		r.log.Info("ending a backend that was left open", "device", one.Device, "user", one.User, "pid", one.PID)
		r.end(one)
	}
}

// close lets what is being tried come to its end, for a moment.
func (r *reaper) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	defer time.AfterFunc(goneWithin, r.stop).Stop()
	r.workers.Wait()
	r.stop()
}

func (r *reaper) forget(one record) {
	if err := r.shelf.forget(one); err != nil {
		r.log.Error("a backend that is gone can't be forgotten", "error", err)
	}
}

// end answers a channel that is closed when the backend is gone.
func (r *reaper) end(one record) <-chan struct{} {
	x := &dying{record: one, gone: make(chan struct{}), since: time.Now(), again: firstAgain}
	r.add(x)
	return x.gone
}

// add has one worker for each server: what ends together goes in one connection.
func (r *reaper) add(x *dying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return // its record stays for whoever comes next
	}
	server := x.Device + "|" + x.Host + "|" + x.Address
	r.waiting[server] = append(r.waiting[server], x)
	if !r.working[server] {
		r.working[server] = true
		r.workers.Go(func() { r.work(server) })
	}
}

func (r *reaper) take(server string) []*dying {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := r.waiting[server]
	delete(r.waiting, server)
	if len(batch) == 0 {
		delete(r.working, server)
	}
	return batch
}

func (r *reaper) work(server string) {
	for batch := r.take(server); len(batch) > 0; batch = r.take(server) {
		left, err := r.endAll(batch)
		for _, x := range batch {
			if left[x] {
				r.later(x, err)
				continue
			}
			r.forget(x.record)
			close(x.gone)
		}
	}
}

func (r *reaper) later(x *dying, err error) {
	if time.Since(x.since) > giveUpAfter {
		r.log.Error("a backend can't be ended: end it at the server", "device", x.Device, "pid", x.PID, "error", err)
		r.forget(x.record)
		return
	}
	r.log.Warn("a backend is not known to be gone: trying again", "device", x.Device, "pid", x.PID, "again", x.again, "error", err)
	time.AfterFunc(x.again, func() { r.add(x) })
	x.again = min(2*x.again, lastAgain)
}

// endAll answers those that are not known to be gone.
func (r *reaper) endAll(batch []*dying) (left map[*dying]bool, err error) {
	ctx, stop := context.WithTimeout(r.ctx, reapWithin)
	defer stop()
	credential, err := r.credential(ctx, batch)
	cancelled := make(chan map[*dying]bool, 1)
	go func() { cancelled <- cancelAll(ctx, batch) }()
	left = make(map[*dying]bool, len(batch))
	for _, x := range batch {
		left[x] = true
	}
	if err == nil {
		err = terminate(ctx, credential, left)
	}
	if len(left) == 0 { // cancelling is not needed any more
		return nil, nil
	}
	for x := range <-cancelled {
		if x.Since == 0 { // its server does not tell backends apart, and can be asked no more than that
			delete(left, x)
		}
	}
	return left, err
}

// credential answers what to sign in with at the server of the batch, and notes who vouches for that server.
func (r *reaper) credential(ctx context.Context, batch []*dying) (*gatev1.Credential, error) {
	device, credential, err := r.resolve(ctx, batch[0].Device)
	if err != nil {
		return nil, err
	}
	if device.GetHost() != batch[0].Host || device.GetPort() != batch[0].Port {
		return nil, fault.New(fault.Aborted, "the device is another server now, and its credential is for that one")
	}
	for _, x := range batch {
		x.ServerCA = device.GetServerCa()
	}
	return credential, nil
}

// cancelAll answers those whose server took a cancel request.
func cancelAll(ctx context.Context, batch []*dying) map[*dying]bool {
	var mu sync.Mutex
	done := map[*dying]bool{}
	var g errgroup.Group
	g.SetLimit(atOnce)
	if len(batch) > atOnce {
		select {
		case <-ctx.Done():
		case <-time.After(headStart):
		}
	}
	for _, x := range batch {
		g.Go(func() error {
			if ctx.Err() == nil && x.cancel(ctx) == nil {
				mu.Lock()
				defer mu.Unlock()
				done[x] = true
			}
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	return done
}

// terminate signs in once for all that are left, and looks until they are gone.
func terminate(ctx context.Context, credential *gatev1.Credential, left map[*dying]bool) (err error) {
	var one *dying
	for one = range left {
		break
	}
	conn, err := one.connect(ctx, credential, map[string]string{"application_name": "portcullis"}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for x := range left {
		if x.Since != 0 {
			_, failed := conn.Exec(ctx, "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where "+x.surely()).ReadAll()
			err = errors.Join(err, failed)
		}
	}
	return errors.Join(err, watch(ctx, conn, left))
}

// surely is true of the backend's row and of no other's: numbers come again.
func (r record) surely() string { return fmt.Sprintf("pid = %d and %s = %d", r.PID, since, r.Since) }

// perhaps is true of it even if the role may not see when it began.
func (r record) perhaps() string {
	return fmt.Sprintf("(pid = %d and coalesce(%s = %d, true))", r.PID, since, r.Since)
}

// watch takes out of those that are left each that is gone.
func watch(ctx context.Context, conn *pgconn.PgConn, left map[*dying]bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		known, unknown := whichOf(left)
		if len(known) == 0 {
			return nil
		}
		rows, err := conn.Exec(ctx, "select pid from pg_catalog.pg_stat_activity where "+strings.Join(known, " or ")).ReadAll()
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, row := range rows[0].Rows {
			there[string(row[0])] = true
		}
		for x := range left {
			if !unknown[x] && !there[fmt.Sprint(x.PID)] {
				delete(left, x)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func whichOf(left map[*dying]bool) (known []string, unknown map[*dying]bool) {
	unknown = map[*dying]bool{}
	for x := range left {
		if x.Since == 0 {
			unknown[x] = true
			continue
		}
		known = append(known, x.perhaps())
	}
	return known, unknown
}
