package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	applyRounds  = 90 // each takes two grants
	syncsBetween = 8
	recordSize   = 300 // bytes
)

// applies measures from the call of an apply until the last of three gates refuses what it froze,
// beside what one fsync of such a record takes on the same disk meanwhile.
func applies(ctx context.Context) ([]row, error) {
	p, err := running()
	if err != nil {
		return nil, err
	}
	doors, stop, err := p.doors(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	var took, bare []float64
	for range applyRounds {
		some, err := syncs(p.Folder, syncsBetween, recordSize, (*os.File).Sync)
		if err != nil {
			return nil, err
		}
		bare = append(bare, some...)
		apply, err := p.freeze()
		if err != nil {
			return nil, err
		}
		refusals := make(chan refusal, len(doors))
		for _, d := range doors {
			if err := d.until(gatev1.CheckResponse_ALLOWED); err != nil {
				return nil, err
			}
			go func() {
				err := d.turns(gatev1.CheckResponse_FROZEN)
				refusals <- refusal{time.Now(), err}
			}()
		}
		began := time.Now()
		freeze, err := apply(ctx) // it answers when more than the gates have confirmed it
		if err != nil {
			return nil, fmt.Errorf("applying a freeze: %w", err)
		}
		last := began
		for range doors {
			r := <-refusals
			err = errors.Join(err, r.err)
			if r.at.After(last) {
				last = r.at
			}
		}
		took = append(took, milliseconds(last.Sub(began)))
		if err == nil {
			err = p.cancel(ctx, freeze.GetId())
		}
		for _, d := range doors {
			err = errors.Join(err, d.until(gatev1.CheckResponse_ALLOWED))
		}
		if err != nil {
			return nil, err
		}
	}
	fsync := median(bare)
	return []row{
		beside("Apply over gRPC until the last of 3 gates refuses, p50", median(took), "ms", "bare fsync, p50", fsync, atMost(6)),
		beside("Apply over gRPC until the last of 3 gates refuses, p99", quantile(took, 0.99), "ms", "bare fsync, p50", fsync, atMost(30)),
	}, nil
}

// refusal is when a gate refused for the first time.
type refusal struct {
	at  time.Time
	err error
}

// door is one gate that a stranger asks: it hears of changes by the posture, and then asks to be sure.
type door struct {
	posture grpc.ServerStreamingClient[gatev1.PostureState]
	checks  grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]
}

func (p *product) doors(ctx context.Context) ([]door, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	doors := make([]door, len(p.gates))
	for i, gate := range p.gates {
		var err error
		if doors[i].posture, err = gatev1.NewPostureClient(gate).WatchPosture(bearer(ctx, p.alice.Token), &gatev1.WatchPostureRequest{}); err == nil {
			_, err = doors[i].posture.Recv()
		}
		if err == nil {
			doors[i].checks, err = gatev1.NewAccessClient(gate).CheckStream(bearer(ctx, p.door))
		}
		if err != nil {
			cancel()
			return nil, nil, err
		}
	}
	return doors, cancel, nil
}

// turns is until, from the next change of the posture on.
func (d door) turns(want gatev1.CheckResponse_Reason) error {
	if _, err := d.posture.Recv(); err != nil {
		return err
	}
	return d.until(want)
}

// until returns once the gate answers so. It asks anew at each change of the posture.
func (d door) until(want gatev1.CheckResponse_Reason) error {
	for {
		err := d.checks.Send(&gatev1.CheckRequest{User: "alice", Device: watched, Channel: gatev1.Channel_SESSION})
		if err != nil {
			return err
		}
		answer, err := d.checks.Recv()
		if err != nil || answer.GetReason() == want {
			return err
		}
		if _, err := d.posture.Recv(); err != nil {
			return err
		}
	}
}

// syncs answers how many milliseconds each of n appends of size bytes takes on bare disk.
func syncs(folder string, n, size int, sync func(*os.File) error) ([]float64, error) {
	f, err := os.Create(filepath.Join(folder, "bare"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	record := make([]byte, size)
	took := make([]float64, n)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(record); err != nil {
			return nil, fmt.Errorf("writing on bare disk: %w", err)
		}
		if err := sync(f); err != nil {
			return nil, fmt.Errorf("syncing on bare disk: %w", err)
		}
		took[i] = milliseconds(time.Since(began))
	}
	return took, nil
}
