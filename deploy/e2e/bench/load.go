package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	inFlight = 64
	// Short laps by turns: what else the machine does hits both sides of each pair alike.
	lap  = 250 * time.Millisecond
	laps = 40
)

// rate answers how many calls a second end well, with so many in flight.
func rate(ctx context.Context, flight int, call func(ctx context.Context, i int) error) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	began := time.Now()
	stop := began.Add(lap) // no deadline: the calls under way at the end may end
	for w := range flight {
		group.Go(func() {
			for i := w; ctx.Err() == nil && time.Now().Before(stop); i += flight {
				if err := call(ctx, i); err != nil {
					if ctx.Err() == nil {
						failed.Store(&err)
						cancel()
					}
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}

// versus runs both sides by turns, and answers the median of each and of the ratios of the pairs.
func versus(a, b func() (float64, error)) (ofA, ofB, ratio float64, err error) {
	var as, bs, ratios []float64
	for i := range laps + 4 {
		x, err := a()
		if err != nil {
			return 0, 0, 0, err
		}
		y, err := b()
		if err != nil {
			return 0, 0, 0, err
		}
		if i < 4 {
			continue // to warm up
		}
		as, bs, ratios = append(as, x), append(bs, y), append(ratios, x/y)
	}
	return median(as), median(bs), median(ratios), nil
}

// stream is a bidirectional stream that answers each question in turn.
type stream interface {
	ask(i int) error
	answer() error
	end() error
}

// streamRate answers how many questions a second one stream answers, with so many in flight.
func streamRate(flight int, s stream) (float64, error) {
	slots := make(chan struct{}, flight)
	failed := make(chan error, 1)
	stop := time.Now().Add(lap)
	began := time.Now()
	go func() {
		for i := 0; time.Now().Before(stop); i++ {
			slots <- struct{}{}
			if err := s.ask(i); err != nil {
				failed <- err
				return
			}
		}
		failed <- s.end()
	}()
	n := 0
	for {
		err := s.answer()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("after %d answers: %w", n, err)
		}
		<-slots
		n++
	}
	took := time.Since(began)
	if err := <-failed; err != nil {
		return 0, err
	}
	return float64(n) / took.Seconds(), nil
}

// quantile answers a value by its rank; it sorts a copy.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
