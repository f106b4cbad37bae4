package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/telemetry"
)

// ProxyConfig is what a Proxy needs.
type ProxyConfig struct {
	// Dial answers the gateway's own connections to the services.
	Dial func(service string) (grpc.ClientConnInterface, error)
	// Credentials are the public port's; none, if unset.
	Credentials credentials.TransportCredentials
	Log         *slog.Logger
	// Trace makes the spans of calls; nil makes none.
	Trace *telemetry.Tracer
	// Refused is told of each call that a service refused, with the address and the credential that it came with.
	// Optional.
	Refused func(method, address, bearer string, refusal *fault.Error)
	// FirstWithin is how long the request of a call may take; 5 s, if unset.
	FirstWithin time.Duration
}

// Proxy is the public gRPC port: it hands each call on to the service that owns it, byte for byte, with
// the caller's credential and address, and nothing else that the caller may have claimed to be.
type Proxy struct {
	config ProxyConfig
	table  map[string]Row
	grpc   *grpc.Server
	health *health.Server
	// strangers are the turns of calls that take no credential, others those of the rest.
	strangers, others *queue
}

// NewProxy answers a proxy that Serve starts.
func NewProxy(c ProxyConfig) *Proxy {
	if c.Credentials == nil {
		c.Credentials = insecure.NewCredentials()
	}
	c.FirstWithin = cmp.Or(c.FirstWithin, firstWithin)
	p := &Proxy{config: c, table: Table(), health: health.NewServer(), strangers: newQueue(), others: newQueue()}
	p.grpc = grpc.NewServer(append(append(bounded(), c.Trace.ServerOptions(true)...), grpc.Creds(c.Credentials),
		grpc.UnknownServiceHandler(p.handle), grpc.ForceServerCodecV2(raw{}))...)
	grpc_health_v1.RegisterHealthServer(p.grpc, p.health)
	return p
}

// Serve answers calls until the context ends, and gives those that are on a moment to finish.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	stopped := context.AfterFunc(ctx, func() {
		p.health.Shutdown()
		hard := time.AfterFunc(stopWithin, p.grpc.Stop)
		defer hard.Stop()
		p.grpc.GracefulStop()
	})
	defer stopped()
	if err := p.grpc.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving gRPC to the outside: %w", err)
	}
	return nil
}

// handle carries one call of any kind.
func (p *Proxy) handle(_ any, in grpc.ServerStream) error {
	id := first(in.Context(), RequestID)
	if !telemetry.Plain(id) {
		id = string(telemetry.NewID())
	}
	ctx := telemetry.WithRequest(in.Context(), telemetry.ID(id))
	err := in.SetHeader(metadata.Pairs(RequestID, id))
	if err == nil {
		err = p.carry(ctx, in)
	}
	if err == nil {
		return nil
	}
	refusal := underID(Refusal(err), id)
	if refusal.Reason == fault.Internal || refusal.Reason == fault.Unavailable {
		p.config.Log.WarnContext(ctx, "a call from outside failed", "error", err)
	}
	if p.config.Refused != nil {
		method, _ := grpc.MethodFromServerStream(in)
		p.config.Refused(method, host(in.Context()), bearer(in.Context()), refusal)
	}
	return refusal
}

func (p *Proxy) carry(asked context.Context, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	row, ok := p.table[method]
	if !ok || !row.Public() {
		return fault.New(fault.Unimplemented, "There is no such method. Ask the documentation of this version at /docs")
	}
	conn, err := p.config.Dial(row.Owner)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(outgoing(asked))
	defer cancel()
	out, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(raw{}))
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		err := p.requests(ctx, row, in, out)
		sent <- err
		if err != nil {
			cancel()
		}
	}()
	err = answers(in, out)
	if errors.Is(err, io.EOF) {
		return nil
	}
	select {
	case why := <-sent: // what came in could not be read: that is why
		return cmp.Or(why, err)
	default:
		return err
	}
}

// outgoing is what goes on of what came in: nothing but the credential and the request's id. A trace begins anew here.
func outgoing(ctx context.Context) context.Context {
	out := metadata.MD{}
	if credential := first(ctx, Authorization); credential != "" {
		out.Set(Authorization, credential)
	}
	if id := telemetry.RequestOf(ctx); id != "" {
		out.Set(RequestID, id)
	}
	if address := host(ctx); address != "" {
		out.Set(Address, address)
	}
	return metadata.NewOutgoingContext(ctx, out)
}

// requests passes on what the caller sends: one request, within its turn and time; or, of a caller who was
// let in to send many, each when it comes.
func (p *Proxy) requests(ctx context.Context, row Row, in grpc.ServerStream, out grpc.ClientStream) error {
	var err error
	if row.Many {
		for err == nil {
			err = pass(row, in, out)
		}
	} else {
		err = p.request(ctx, row, in, out)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return out.CloseSend()
}

func (p *Proxy) request(ctx context.Context, row Row, in grpc.ServerStream, out grpc.ClientStream) error {
	queue := p.others
	if row.anyone() {
		queue = p.strangers
	}
	leave, err := queue.enter(ctx, host(in.Context()))
	if err != nil {
		return err
	}
	defer leave()
	passed := make(chan error, 1)
	go func() { passed <- pass(row, in, out) }()
	slow := time.NewTimer(p.config.FirstWithin)
	defer slow.Stop()
	select {
	case err := <-passed:
		return err
	case <-ctx.Done(): // answered already, or given up
		return nil
	case <-slow.C:
		return errSlow()
	}
}

// pass passes one message on. io.EOF is that there is no more to pass: the caller has said all, or the
// answer is there and says why no more is wanted.
func pass(row Row, in grpc.ServerStream, out grpc.ClientStream) error {
	f, err := row.receive(in.RecvMsg)
	if err != nil {
		return err
	}
	if out.SendMsg(f) != nil {
		return io.EOF
	}
	return nil
}

func host(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(from.Addr.String()); err == nil {
			return host
		}
	}
	return ""
}

func answers(in grpc.ServerStream, out grpc.ClientStream) error {
	header, err := out.Header()
	if err == nil && header != nil {
		err = in.SendHeader(header)
	}
	for err == nil {
		var f frame
		if err = out.RecvMsg(&f); err == nil {
			err = in.SendMsg(&f)
		}
	}
	in.SetTrailer(out.Trailer())
	return err
}

// frame is a message that nobody here reads.
type frame struct{ data mem.BufferSlice }

// raw passes frames through, and encodes messages as ever, but for those that do so themselves: FromWire must
// not use the bytes once it has returned.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case *frame:
		return v.data, nil
	case interface{ ToWire() ([]byte, error) }:
		b, err := v.ToWire()
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case *frame:
		data.Ref()
		v.data = data
		return nil
	case interface{ FromWire([]byte) error }:
		if len(data) == 1 {
			return v.FromWire(data[0].ReadOnlyData())
		}
		return v.FromWire(data.Materialize())
	}
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}
