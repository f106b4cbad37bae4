package main

import (
	"context"
	"fmt"
	"net"
	"time"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const resumeRounds = 5

// resume kills the NATS server with signal 9, starts it again, and measures from the moment it takes
// connections until a freeze that was asked for meanwhile is refused by the last of three gates: so
// control must append again, and every gate must have resumed its watch.
func resume(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	var took []float64
	for range resumeRounds {
		one, err := p.resumed(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, milliseconds(one))
	}
	return []row{
		alone("watch resumes after the broker's kill -9, the broker is back, worst of 5", quantile(took, 1), "ms", atMost(150)),
	}, nil
}

func (p *product) resumed(ctx context.Context) (time.Duration, error) {
	doors, stop, err := p.doors(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()
	apply, err := p.freeze()
	if err != nil {
		return 0, err
	}
	p.Process("nats").Kill()
	if err := p.Start("nats"); err != nil {
		return 0, err
	}
	back, err := p.back()
	if err != nil {
		return 0, err
	}
	refusals := make(chan error, len(doors))
	for _, d := range doors {
		go func() { refusals <- d.until(gatev1.CheckResponse_FROZEN) }()
	}
	id := ""
	for id == "" {
		freeze, err := apply(ctx) // the same request again is the same freeze
		if err == nil {
			id = freeze.GetId()
		} else if time.Since(back) > 20*time.Second {
			return 0, fmt.Errorf("no freeze after the broker's return: %w", err)
		}
	}
	for range doors {
		if err := <-refusals; err != nil {
			return 0, err
		}
	}
	took := time.Since(back)
	if err := p.cancel(ctx, id); err != nil {
		return 0, err
	}
	for _, d := range doors {
		if err := d.until(gatev1.CheckResponse_ALLOWED); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// back answers when the server takes connections again.
func (p *product) back() (time.Time, error) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if c, err := net.Dial("tcp", p.Nats); err == nil {
			return time.Now(), c.Close()
		}
	}
	return time.Time{}, fmt.Errorf("the NATS server does not come back:\n%s", p.Process("nats").Tail(20))
}
