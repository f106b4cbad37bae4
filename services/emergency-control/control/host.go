package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// HostAct is what whoever runs the host does there, while nothing else runs and nobody can be asked.
type HostAct struct {
	// Kind is for instance "user.recover", Target the name of what is acted on.
	Kind, Target string
	// Actor is who, as the host knows them.
	Actor         string
	Justification string
}

// note writes the act to the record before it is done: what a host's owner does is no secret either.
func note(ctx context.Context, c Config, j *journal.Journal, now func() time.Time, log *slog.Logger, a HostAct) error {
	stream, err := j.Stream(ctx, watch.Emergency)
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	l := newLedger(c, now, log)
	g, ctx := errgroup.WithContext(ctx)
	following, stop := context.WithCancel(ctx)
	g.Go(func() error {
		if err := l.run(following, stream); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		defer stop()
		select {
		case <-l.ready:
		case <-following.Done():
			return following.Err()
		}
		if err := l.begin(ctx); err != nil {
			return err
		}
		_, err := l.append(ctx, a.draft)
		return err
	})
	return g.Wait()
}

func (a HostAct) draft(next uint64) ([]*emergencyv1.Entry, error) {
	return []*emergencyv1.Entry{{
		Subject: fmt.Sprintf("emergency.act.A-%04d", next), Change: emergencyv1.Entry_ACT, Actor: a.Actor, Justification: a.Justification,
		Record: &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: a.Kind, Target: a.Target, Detail: "on the host"}},
	}}, nil
}
