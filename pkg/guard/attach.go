package guard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/age"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/internal/reach"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	reportEvery = 500 * time.Millisecond
	silence     = 3 * time.Second
	minBackoff  = 50 * time.Millisecond
	maxBackoff  = time.Second
	maxUpdate   = 8 << 20
)

var (
	errSilent = errors.New("the gate has not been heard for a while")
	errBehind = errors.New("this gate knows less than another has told: what is known stays in force, and another may be asked")
)

// dial prepares the connection.
func dial(c Config) (*grpc.ClientConn, error) {
	options, err := reach.Options(c.Address, c.TLS)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(c.Address, append(options, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxUpdate)))...)
}

// stayAttached attaches again and again. The wait grows to a second and no further.
func (g *Guard) stayAttached(ctx context.Context) {
	wait := minBackoff
	for ctx.Err() == nil {
		heard, err := g.attach(ctx)
		if heard {
			wait = minBackoff
		}
		if ctx.Err() == nil {
			g.config.Log.Warn("detached from the gate", "guard", g.config.Name, "error", err, "again", wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)): // #nosec G404 -- spreads attempts, hides nothing
		}
		wait = min(2*wait, maxBackoff)
	}
}

// attach lives as long as one stream, and reports whether a gate was heard on it.
func (g *Guard) attach(run context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(run)) // who ends says so on it
	defer cancel(nil)
	unheard := context.AfterFunc(run, func() { cancel(nil) })
	defer unheard()
	deaf := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer deaf.Stop()
	outgoing := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+g.config.Token)
	stream, err := gatev1.NewGuardsClient(g.conn).Attach(outgoing)
	if err != nil {
		return false, fmt.Errorf("attaching: %w", err)
	}
	if err := stream.Send(g.hello()); err != nil {
		return false, fmt.Errorf("saying hello: %w", err)
	}
	unheard()
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(g.listen(stream, deaf, &heard))
	}()
	if err = g.report(ctx, run, stream); run.Err() != nil {
		g.depart(stream, done)
	}
	cancel(err)
	<-done
	return heard, context.Cause(ctx)
}

func (g *Guard) hello() *gatev1.GuardReport {
	r := g.state()
	r.Name, r.BootId, r.Devices, r.Mode = g.config.Name, g.boot, g.config.Devices, g.config.Mode.proto()
	r.Bound = durationpb.New(g.config.Bound)
	return r
}

// state is how the guard is.
func (g *Guard) state() *gatev1.GuardReport {
	live, oldest := g.oldest()
	var held emergency.Revision
	if r := g.held.Load(); r != nil {
		held = *r
	}
	r := &gatev1.GuardReport{HeldRevision: held.String(), Live: live, OldestAdmission: oldest.String(), Cuts: g.progress.proto()}
	if v := g.view.Load(); v != nil {
		r.Drills = g.practised(v)
		if old := g.age(v); old != never {
			r.Age = durationpb.New(old)
		}
		v.tellHold(r)
	}
	return r
}

// goodbye is how long a gate has to take in that a guard ends.
const goodbye = 300 * time.Millisecond

// depart says how the guard was last, and that it ends, so that nobody misses it.
func (g *Guard) depart(stream gatev1.Guards_AttachClient, heard <-chan struct{}) {
	last := g.state()
	last.Leaving = true
	if stream.Send(last) != nil || stream.CloseSend() != nil {
		return
	}
	select {
	case <-heard:
	case <-time.After(goodbye):
	}
}

// report says how the guard is, at every change and twice a second, until it ends or the stream does.
func (g *Guard) report(ctx, run context.Context, stream gatev1.Guards_AttachClient) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-run.Done():
			return context.Cause(run)
		case <-g.changed:
		case <-tick.C:
		}
		if err := stream.Send(g.state()); err != nil {
			return fmt.Errorf("reporting: %w", err)
		}
	}
}

func (g *Guard) listen(stream gatev1.Guards_AttachClient, deaf *time.Timer, heard *bool) error {
	var f folder
	for {
		u, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		heardAt := g.clock.Now()
		deaf.Reset(silence)
		change, complete, err := f.take(u, g.config.Now())
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		if f.late > silence { // or one of the clocks was set
			return errSilent
		}
		if !complete {
			continue
		}
		if g.Revision().Epoch == change.Revision.Epoch && change.Revision.Less(g.Revision()) {
			return errBehind
		}
		*heard = true
		g.learn(&f, change, u.GetFresh(), heardAt.Less(f.late+max(0, u.GetAge().AsDuration())))
	}
}

// learn replaces the view where there is something new, vouches for it where the gate does and until when, and cuts what may
// not go on.
func (g *Guard) learn(f *folder, c emergency.Change, fresh bool, until age.Moment) {
	now, v := g.config.Now(), g.view.Load()
	if f.builder == nil || !c.Empty() || c.Revision != v.snapshot.Revision() {
		keepStricter(&c, v, now)
		next := &view{snapshot: f.apply(c, now)}
		next.cuts = next.snapshot.Cuts()
		if v != nil {
			next.heard.Store(v.heard.Load())
		}
		next.follows(v, len(c.Emergencies) > 0, now)
		v = next
	}
	if fresh {
		v.vouch(until)
	}
	if g.view.Swap(v) == v {
		return
	}
	g.once.Do(func() { close(g.ready) })
	g.sweep(now)
	if g.remember(v) {
		held := v.snapshot.Revision()
		g.held.Store(&held)
	}
	g.nudge()
}

func (g *Guard) nudge() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}
