package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/guard"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// checks measures access:check at a gate, over the same mutual TLS as its limit: a handler that does
// nothing, in a process of its own too.
func checks(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	ctx = bearer(ctx, p.door)
	empty, stop, err := p.beside("empty")
	if err != nil {
		return nil, err
	}
	defer stop()
	access := gatev1.NewAccessClient(p.gates[0])
	questions := make([]*gatev1.CheckRequest, checked)
	for i := range questions {
		questions[i] = &gatev1.CheckRequest{User: "alice", Device: deviceName(i), Channel: gatev1.Channel_SESSION}
	}
	unary := func() (float64, error) {
		return rate(ctx, inFlight, func(ctx context.Context, i int) error {
			answer, err := access.Check(ctx, questions[i%checked])
			if err == nil && !answer.GetAllowed() {
				err = fmt.Errorf("refused: %v", answer)
			}
			return err
		})
	}
	nothing := func() (float64, error) {
		return rate(ctx, inFlight, func(ctx context.Context, _ int) error {
			return empty.Invoke(ctx, emptyMethod, &emptypb.Empty{}, &emptypb.Empty{})
		})
	}
	ofCheck, ofEmpty, ratio, err := versus(unary, nothing)
	if err != nil {
		return nil, err
	}
	first := beside("access:check over gRPC, 64 in flight", ofCheck, "per second", "empty unary handler", ofEmpty, atLeast(0.90)).by(ratio)
	ofStream, ofUnary, ratio, err := versus(func() (float64, error) {
		s, err := access.CheckStream(ctx)
		if err != nil {
			return 0, err
		}
		return streamRate(inFlight, &checkStream{s, questions, new(gatev1.CheckResponse)})
	}, unary)
	if err != nil {
		return nil, err
	}
	return []row{
		first,
		beside("checks on one bidi stream, 64 in flight", ofStream, "per second", "access:check, 64 in flight", ofUnary, atLeast(4)).by(ratio),
	}, nil
}

// checkStream asks on one stream, of which it uses each message again.
type checkStream struct {
	grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]
	questions []*gatev1.CheckRequest
	response  *gatev1.CheckResponse
}

func (s *checkStream) ask(i int) error { return s.Send(s.questions[i%checked]) }
func (s *checkStream) end() error      { return s.CloseSend() }

func (s *checkStream) answer() error {
	err := s.RecvMsg(s.response)
	if err == nil && !s.response.GetAllowed() {
		err = fmt.Errorf("refused: %v", s.response)
	}
	return err
}

// guards measures what a guard adds to a unary call of the program that it guards.
func guards(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	config, err := p.Peer("gateway")
	if err != nil {
		return nil, err
	}
	g, err := guard.New(guard.Config{Address: p.Address("access-gate"), TLS: config, Token: p.door, Name: "bench", Devices: []string{deviceName(0)}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { _ = g.Run(ctx) }() // nil: it ends with the context
	select {
	case <-g.Ready():
	case <-time.After(10 * time.Second):
		return nil, errors.New("the guard has heard no gate")
	}
	alice := guard.Caller{User: "alice", Device: deviceName(0), Channel: emergency.SessionChannel}
	if err := g.Check(alice); err != nil {
		return nil, fmt.Errorf("the guard refuses alice: %w", err)
	}
	who := func(context.Context, string) (guard.Caller, error) { return alice, nil }
	guarded, info := guard.UnaryServerInterceptor(g, who), &grpc.UnaryServerInfo{}
	handle := func(context.Context, any) (any, error) { return nil, nil }
	with := each(func() { _, _ = guarded(ctx, nil, info, handle) })
	without := each(func() { _, _ = handle(ctx, nil) })
	return []row{alone("what a guard adds to a unary call", with-without, "ns", atMost(1000))}, nil
}

// each is how many nanoseconds something takes, the median of five runs.
func each(do func()) float64 {
	runs := make([]float64, 5)
	for i := range runs {
		result := testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
		runs[i] = float64(result.T.Nanoseconds()) / float64(result.N)
	}
	return median(runs)
}
