package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/who"
)

// lookAgain is how often a stream is asked about when nothing changes: that its token has expired, or the
// clock been set, is noticed so much later.
const lookAgain = time.Second

// live is a stream that was let in. It is asked about again at every change, and cut when it would no
// longer be let in.
type live struct {
	grpc.ServerStream
	server *Server
	ctx    context.Context
	end    context.CancelCauseFunc
	row    Row
	caller who.Caller
	bearer string
	over   chan error // takes one: why it is cut
}

func (l *live) Context() context.Context { return l.ctx }

func (l *live) SendMsg(m any) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return l.ServerStream.SendMsg(m)
}

func (l *live) RecvMsg(m any) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if err := decode(l.row, l.ServerStream.RecvMsg, m); err != nil {
		return err
	}
	return l.server.validate(m)
}

// cut ends the stream for both sides, whatever its handler is doing.
func (l *live) cut(why error) {
	select {
	case l.over <- why:
		l.end(why)
	default:
	}
}

// why is what ended the stream: a cut, if there was one, whatever the handler made of it.
func (l *live) why(err error) error {
	select {
	case cut := <-l.over:
		return cut
	default:
		return err
	}
}

// stream is all that happens to a stream. Its handler runs beside, so that a cut need not wait for it.
func (s *Server) stream(m *method, handle grpc.StreamHandler) grpc.StreamHandler {
	return func(impl any, in grpc.ServerStream) (err error) {
		c := &call{method: m, start: time.Now()}
		defer func() { err = s.end(in.Context(), c, recover(), err) }()
		ctx, err := s.admit(in.Context(), c)
		if err != nil {
			return err
		}
		release, err := s.pacer.hold(c)
		if err != nil {
			return err
		}
		defer release()
		l := &live{ServerStream: in, server: s, row: m.row, caller: c.caller, bearer: bearer(ctx), over: make(chan error, 1)}
		l.ctx, l.end = context.WithCancelCause(ctx)
		defer l.end(nil)
		defer s.live.add(l)()
		s.ask(l) // what changed between the first look and the registry
		done := make(chan error, 1)
		s.handlers.Go(func() { done <- s.handle(handle, impl, l, c) })
		select {
		case why := <-l.over:
			return why
		case err := <-done:
			return l.why(err)
		}
	}
}

// handle runs a stream's handler and survives its panic.
func (s *Server) handle(handle grpc.StreamHandler, impl any, l *live, c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(c, p)
		}
	}()
	return handle(impl, l)
}

// ask decides on a live stream again.
func (s *Server) ask(l *live) {
	if l.caller.Service != "" || l.caller.Anonymous() {
		return
	}
	state, now := s.config.View.State(), s.config.Now()
	_, err := s.verify(state, l.row, l.bearer, now)
	if err != nil {
		closed := l.row
		closed.Open = false // what was open to the caller ends too; a lockdown says that it is why
		_, err = s.verify(state, closed, l.bearer, now)
	}
	if err == nil && !l.row.anyone() {
		err = permit(state, l.row, l.caller)
	}
	if err != nil {
		l.cut(err)
	}
}

// follow asks about every live stream at each change and at each edge of a window.
func (s *Server) follow(ctx context.Context) {
	changed, stop := s.config.View.Subscribe()
	defer stop()
	for {
		s.live.each(s.ask)
		wait, state := lookAgain, s.config.View.State()
		if state != nil {
			s.health.SetServingStatus("ready", grpc_health_v1.HealthCheckResponse_SERVING)
			now := s.config.Now()
			if edge := state.Emergency.NextEdge(now); !edge.IsZero() {
				wait = min(wait, edge.Sub(now))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// registry knows the live streams.
type registry struct {
	mu    sync.Mutex
	all   map[*live]struct{}
	gauge prometheus.Gauge
}

func newRegistry(g prometheus.Gauge) registry { return registry{all: map[*live]struct{}{}, gauge: g} }

func (r *registry) add(l *live) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[l] = struct{}{}
	r.gauge.Inc()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, l)
		r.gauge.Dec()
	}
}

func (r *registry) each(do func(*live)) {
	r.mu.Lock()
	all := make([]*live, 0, len(r.all))
	for l := range r.all {
		all = append(all, l)
	}
	r.mu.Unlock()
	for _, l := range all {
		do(l)
	}
}

func errLeaving() error {
	return fault.New(fault.Unavailable, "This part is stopping. Connect again")
}
