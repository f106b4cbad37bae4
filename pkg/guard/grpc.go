package guard

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/fault"
)

// Identify says who makes a gRPC call, from what the program has authenticated. An error refuses the call; one of package fault as it is.
type Identify func(ctx context.Context, method string) (Caller, error)

// UnaryServerInterceptor refuses calls that may not pass now.
func UnaryServerInterceptor(g *Guard, who Identify) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		c, err := who(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		if err := g.Check(c); err != nil {
			return nil, err
		}
		return handle(ctx, request)
	}
}

// StreamServerInterceptor refuses streams that may not pass now, and ends those that may not go on, whatever their handler is doing: it
// runs beside, and has its context cancelled with the refusal as the cause.
func StreamServerInterceptor(g *Guard, who Identify) grpc.StreamServerInterceptor {
	return func(impl any, in grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		c, err := who(in.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		s := &serverStream{ServerStream: in, over: make(chan error, 1)}
		var cancel context.CancelCauseFunc
		s.ctx, cancel = context.WithCancelCause(in.Context())
		defer cancel(nil)
		l, err := g.enter(c, func(why error) { s.over <- why; cancel(why) })
		defer g.leave(l)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() { done <- g.survive(info.FullMethod, func() error { return handle(impl, s) }) }()
		select {
		case why := <-s.over:
			return why
		case err := <-done:
			return s.why(err)
		}
	}
}

// survive answers a panic as an error: it would end the program, where the server's own recovery does not see it.
func (g *Guard) survive(method string, handle func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.config.Log.Error("a handler panicked", "method", method, "panic", p)
			err = fault.New(fault.Internal, "Something went wrong inside. Try again; the log has the details").Because(fmt.Errorf("a panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return handle()
}

type serverStream struct {
	grpc.ServerStream
	ctx  context.Context
	over chan error // takes one: why it is cut
}

func (s *serverStream) Context() context.Context { return s.ctx }

func (s *serverStream) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.ServerStream.SendMsg(m)
}

func (s *serverStream) RecvMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	err := s.ServerStream.RecvMsg(m)
	if s.ctx.Err() != nil { // what came as it was cut is not for the handler any more
		return context.Cause(s.ctx)
	}
	return err
}

// why is what ended the stream: a cut, if there was one, whatever the handler made of it.
func (s *serverStream) why(err error) error {
	select {
	case cut := <-s.over:
		return cut
	default:
		return err
	}
}

// UnaryClientInterceptor refuses calls before they leave, for programs that call what an emergency closes.
func UnaryClientInterceptor(g *Guard, who Identify) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
		c, err := who(ctx, method)
		if err != nil {
			return err
		}
		if err := g.Check(c); err != nil {
			return err
		}
		return call(ctx, method, request, answer, conn, options...)
	}
}

// StreamClientInterceptor does so with streams, and ends those that may not go on.
func StreamClientInterceptor(g *Guard, who Identify) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		c, err := who(ctx, method)
		if err != nil {
			return nil, err
		}
		s := &clientStream{several: desc.ServerStreams}
		s.ctx, s.cancel = context.WithCancelCause(ctx)
		l, err := g.enter(c, func(why error) { s.cut.Store(&why); s.cancel(why) })
		context.AfterFunc(s.ctx, func() { g.leave(l) })
		if err != nil {
			s.cancel(nil)
			return nil, err
		}
		if s.ClientStream, err = open(s.ctx, desc, conn, method, options...); err != nil {
			err = s.why(err)
			s.cancel(nil)
			return nil, err
		}
		return s, nil
	}
}

type clientStream struct {
	grpc.ClientStream
	ctx    context.Context
	cancel context.CancelCauseFunc
	cut    atomic.Pointer[error]
	// several says that more than one answer may come.
	several bool
}

func (s *clientStream) SendMsg(m any) error { return s.why(s.ClientStream.SendMsg(m)) }

func (s *clientStream) RecvMsg(m any) error {
	err := s.why(s.ClientStream.RecvMsg(m))
	if err != nil || !s.several { // it is over
		s.cancel(nil)
	}
	return err
}

// why is the cut, if one has ended the stream.
func (s *clientStream) why(err error) error {
	if cut := s.cut.Load(); cut != nil && err != nil {
		return *cut
	}
	return err
}
