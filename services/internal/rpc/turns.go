package rpc

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/pace"
)

// What the outside can make the public port keep: a request is on its way for no longer than firstWithin,
// and no more of them at once than have a turn. Those that take no credential have turns of their own, so
// that a stranger never takes the turn of somebody who signed in.
const (
	turns       = 32 // of usual bytes each, twice
	turnsOfHost = 16 // of them, one address may have, or one /64 of IPv6
	turnWithin  = time.Second
	firstWithin = 5 * time.Second
	window      = 64 << 10 // bytes of a stream that are kept before anybody reads them
)

// bounded are the options that hold the outside to its bounds.
func bounded() []grpc.ServerOption {
	return append(limits(usual, outside), grpc.StaticStreamWindowSize(window))
}

// queue gives requests their turns.
type queue struct {
	all   *semaphore.Weighted
	mu    sync.Mutex
	hosts map[string]*place
}

// place is one address' share of a queue.
type place struct {
	share *semaphore.Weighted
	users int
}

func newQueue() *queue {
	return &queue{all: semaphore.NewWeighted(turns), hosts: map[string]*place{}}
}

// enter waits for a turn, for a moment.
func (q *queue) enter(ctx context.Context, host string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	host = pace.Network(host)
	p := q.place(host)
	if p.share.Acquire(ctx, 1) != nil {
		q.left(host)
		return nil, errCrowded()
	}
	if q.all.Acquire(ctx, 1) != nil {
		p.share.Release(1)
		q.left(host)
		return nil, errCrowded()
	}
	return func() { q.all.Release(1); p.share.Release(1); q.left(host) }, nil
}

func (q *queue) place(host string) *place {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.hosts[host]
	if p == nil {
		p = &place{share: semaphore.NewWeighted(turnsOfHost)}
		q.hosts[host] = p
	}
	p.users++
	return p
}

func (q *queue) left(host string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.hosts[host]; p != nil {
		if p.users--; p.users == 0 {
			delete(q.hosts, host)
		}
	}
}

func errCrowded() error {
	e := fault.New(fault.ResourceExhausted, "Too many requests are on their way. Try again in a moment")
	e.RetryAfter = time.Second
	return e
}

func errSlow() error {
	return fault.New(fault.InvalidArgument, "The request did not arrive in time. Send it right after the call begins")
}
