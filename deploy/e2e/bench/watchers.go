package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	watching    = 1000
	watchRounds = 8 // each tells of two changes
)

// watchers measures from the call of an apply or a cancel until the last of a thousand watchers has heard of it:
// on a hundred connections, beside as many on one.
func watchers(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	var spread, single []float64
	for _, shape := range []struct {
		connections int
		into        *[]float64
	}{{100, &spread}, {1, &single}} {
		took, err := p.fanOut(ctx, shape.connections)
		if err != nil {
			return nil, fmt.Errorf("with %d connections: %w", shape.connections, err)
		}
		*shape.into = took
	}
	return []row{
		beside("1,000 watchers on 100 connections, the last is told, p50", median(spread), "ms", "1,000 on one connection", median(single), atMost(1.5)),
	}, nil
}

func (p *product) fanOut(ctx context.Context, connections int) ([]float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told, failed := make(chan time.Time, watching), make(chan error, watching)
	conns := make([]*grpc.ClientConn, connections)
	for i := range conns {
		var err error
		if conns[i], err = p.connect("access-gate"); err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	var attached sync.WaitGroup
	for i := range watching {
		attached.Add(1)
		go func() {
			err := listen(bearer(ctx, p.alice.Token), conns[i%connections], sync.OnceFunc(attached.Done), told)
			if ctx.Err() == nil {
				failed <- err
			}
		}()
	}
	attached.Wait()
	everyone := func(change func() error) (float64, error) {
		began := time.Now()
		if err := change(); err != nil {
			return 0, err
		}
		for range watching {
			select {
			case <-told:
			case err := <-failed:
				return 0, err
			case <-time.After(10 * time.Second):
				return 0, errors.New("not every watcher was told within ten seconds")
			}
		}
		return milliseconds(time.Since(began)), nil
	}
	var took []float64
	for range watchRounds {
		apply, err := p.freeze()
		if err != nil {
			return nil, err
		}
		var id string
		one, err := everyone(func() error {
			freeze, err := apply(ctx)
			id = freeze.GetId()
			return err
		})
		if err != nil {
			return nil, err
		}
		cancel, err := p.cancelling(id)
		if err != nil {
			return nil, err
		}
		other, err := everyone(func() error { return cancel(ctx) })
		if err != nil {
			return nil, err
		}
		took = append(took, one, other)
	}
	return took, nil
}

// listen says once that it hears, and then the time of each posture.
func listen(ctx context.Context, c *grpc.ClientConn, attached func(), told chan<- time.Time) error {
	defer attached()
	posture, err := gatev1.NewPostureClient(c).WatchPosture(ctx, &gatev1.WatchPostureRequest{})
	if err != nil {
		return err
	}
	if _, err := posture.Recv(); err != nil {
		return err
	}
	attached()
	for {
		if _, err := posture.Recv(); err != nil {
			return err
		}
		told <- time.Now()
	}
}
