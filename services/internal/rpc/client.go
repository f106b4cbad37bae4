package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/who"
)

// Dial answers a connection of one service to another inside this process. It connects when it is used.
func (p *Pipes) Dial(from, to string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return dial("passthrough:///"+to, p.Credentials(), append(more, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return p.Connect(ctx, from, to)
	}))...)
}

// Dial answers a connection to a service at an address: host:port, or several of them with semicolons between them, or
// any target that gRPC knows. Calls are spread over all of them, and over all replicas that a name stands for at the time.
// It connects when it is used.
func (t *TLS) Dial(service, address string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	if scheme, _, ok := strings.Cut(address, ":///"); ok && scheme != "dns" {
		return dial(address, t.Client(service), more...)
	}
	return dial("replicas:///"+service, t.Client(service), append(more, grpc.WithResolvers(newReplicas(address)))...)
}

func dial(target string, c credentials.TransportCredentials, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target, append(more,
		grpc.WithTransportCredentials(c), grpc.WithChainUnaryInterceptor(nameUnary), grpc.WithChainStreamInterceptor(nameStream), grpc.WithDefaultServiceConfig(retries(Table())), grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingWithin, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second, Backoff: backoff.Config{
			BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(large), grpc.MaxCallSendMsgSize(large)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", target, err)
	}
	return conn, nil
}

// retries is the service config: what only reads is asked again when a replica goes away, nothing else.
func retries(table map[string]Row) string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var reads []name
	for full := range table {
		if service, method, _ := strings.Cut(full[1:], "/"); idempotent(full) {
			reads = append(reads, name{service, method})
		}
	}
	config, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		"methodConfig": []any{map[string]any{"name": reads, "retryPolicy": map[string]any{
			"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2, "retryableStatusCodes": []string{"UNAVAILABLE"}}}},
	})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return string(config)
}

// naming answers a context whose calls carry the id of the request that they are made for, if there is one.
func naming(ctx context.Context) context.Context {
	id := telemetry.RequestOf(ctx)
	if id == "" {
		return ctx
	}
	if out, _ := metadata.FromOutgoingContext(ctx); len(out.Get(RequestID)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, RequestID, id)
}

func nameUnary(ctx context.Context, method string, request, answer any, c *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
	return next(naming(ctx), method, request, answer, c, options...)
}

func nameStream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, next grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return next(naming(ctx), d, c, method, options...)
}

// Forward answers a context for calls to other services that carry the credential, the address and the
// id of the request that came in. A call without it is made by the service for itself.
func Forward(ctx context.Context) context.Context {
	out := metadata.MD{}
	for key, value := range map[string]string{
		Authorization: first(ctx, Authorization), Address: who.FromContext(ctx).Address, RequestID: telemetry.RequestOf(ctx),
	} {
		if value != "" {
			out.Set(key, value)
		}
	}
	return metadata.NewOutgoingContext(ctx, out)
}
