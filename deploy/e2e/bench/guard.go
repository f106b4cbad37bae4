package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/guard"
)

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
