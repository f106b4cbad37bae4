package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/rpc"
)

// empty answers nothing, as fast as can be.
type empty struct {
	gatev1.UnimplementedAccessServer
}

func (empty) Check(context.Context, *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	return &gatev1.CheckResponse{}, nil
}

// BenchmarkCall is what all that is asked of a call costs, beside a server that asks nothing: req/s of 64 at
// once on one connection, and the CPU of both ends.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b)
	ana := w.signIn("ana", time.Hour)
	_, token := w.token(identityv1.Token_API)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	bare := grpc.NewServer()
	gatev1.RegisterAccessServer(bare, empty{})
	go func() { _ = bare.Serve(l) }()
	defer bare.Stop()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()

	s := w.server(rpc.Gate, func(c *rpc.Config) { c.Credentials = plain{w.pipes.Credentials()}; c.Log = discard() })
	gatev1.RegisterAccessServer(s, empty{})
	guarded, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = s.Serve(ctx, guarded) }()
	through, err := grpc.NewClient(guarded.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer through.Close()
	for _, c := range []struct {
		name   string
		conn   *grpc.ClientConn
		bearer string
	}{{"bare", conn, ""}, {"token", through, token}, {"sign-in", through, ana}, {"bare-with-metadata", conn, ana}} {
		b.Run(c.name, func(b *testing.B) { load(b, gatev1.NewAccessClient(c.conn), c.bearer) })
	}
}

func load(b *testing.B, access gatev1.AccessClient, bearer string) {
	ctx := context.Background()
	if bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.Authorization, "Bearer "+bearer)
	}
	if _, err := access.Check(ctx, &gatev1.CheckRequest{User: "ana"}); err != nil {
		b.Fatal(err)
	}
	work := make(chan struct{}, 1024)
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for range work {
				if _, err := access.Check(ctx, &gatev1.CheckRequest{User: "ana"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	workers.Wait()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "cpu-us/op")
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// plain takes any connection for the gateway's, so that both servers are measured on a bare socket.
type plain struct {
	credentials.TransportCredentials
}

func (p plain) Clone() credentials.TransportCredentials { return p }

func (p plain) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return p.TransportCredentials.ServerHandshake(rpc.Named(c, rpc.Gateway))
}
