package rpc

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/resolver"
)

const (
	resolveAgain  = 2 * time.Second
	resolveWithin = 5 * time.Second
)

// replicas finds all processes that the names of a target stand for, and looks again every other second: one that is new
// gets its share of the calls, and one that leaves gets none from then on. gRPC's own resolver looks only once
// a connection breaks, and not again within half a minute, in which all that it knew may have been replaced.
type replicas struct {
	names  []string // host:port
	lookup func(ctx context.Context, host string) ([]string, error)
}

func newReplicas(target string) replicas {
	r := replicas{lookup: net.DefaultResolver.LookupHost}
	for name := range strings.SplitSeq(strings.TrimPrefix(target, "dns:///"), ";") {
		r.names = append(r.names, strings.TrimSpace(name))
	}
	return r
}

// Scheme is that of the targets which it resolves.
func (replicas) Scheme() string { return "replicas" }

// Build begins to look, until the connection is closed.
func (r replicas) Build(_ resolver.Target, to resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.follow(ctx, to)
	}()
	return looking{stop, ended}, nil
}

func (r replicas) follow(ctx context.Context, to resolver.ClientConn) {
	var before []string
	for ctx.Err() == nil {
		now, err := r.look(ctx)
		switch {
		case err != nil:
			to.ReportError(err) // whom it knows it goes on calling
		case !slices.Equal(now, before):
			before = now
			_ = to.UpdateState(stateOf(now)) // it looks again anyway
		}
		select {
		case <-time.After(resolveAgain):
		case <-ctx.Done():
		}
	}
}

func stateOf(addresses []string) resolver.State {
	var s resolver.State
	for _, address := range addresses {
		s.Addresses = append(s.Addresses, resolver.Address{Addr: address})
	}
	return s
}

// look answers the addresses of all names; an error, if there is none. Addresses stand for themselves.
func (r replicas) look(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	all, wrong := map[string]bool{}, []error(nil)
	for _, name := range r.names {
		host, port, err := net.SplitHostPort(name)
		if err != nil || net.ParseIP(host) != nil {
			all[name] = true
			continue
		}
		found, err := r.lookup(ctx, host)
		wrong = append(wrong, err)
		for _, address := range found {
			all[net.JoinHostPort(address, port)] = true
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(wrong...)
	}
	return slices.Sorted(maps.Keys(all)), nil
}

type looking struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// ResolveNow changes nothing: it is soon anyway.
func (looking) ResolveNow(resolver.ResolveNowOptions) {}

// Close returns once nothing looks any more.
func (l looking) Close() {
	l.stop()
	<-l.ended
}
