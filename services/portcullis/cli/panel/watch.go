package panel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/doors"
	"portcullis.dev/services/portcullis/cli/screen"
)

const (
	shortPause = 500 * time.Millisecond
	longPause  = 5 * time.Second
	topLeft    = "\x1b[H\x1b[J"
)

// seen is the posture as it was heard last, and since when nothing more is heard.
type seen struct {
	state *gatev1.PostureState
	lost  time.Time
	note  string
	// doors is how far what is on is with the doors, or who is there while nothing is on, as far as the caller may see it.
	doors string
}

// watch follows the posture until it is interrupted, through lockdowns and restarts of the server.
func (p panel) watch(ctx context.Context) error {
	news, boards := make(chan seen), make(chan string)
	var latest atomic.Pointer[gatev1.PostureState]
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.listen(ctx, news, latest.Store) })
	if p.ForPeople() {
		group.Go(func() error { return doors.Doors{App: p.App}.Watch(ctx, latest.Load, boards) })
	}
	group.Go(func() error { return p.draw(ctx, news, boards) })
	return group.Wait()
}

// listen reads the stream, and opens it again whenever it ends.
func (p panel) listen(ctx context.Context, news chan<- seen, latest func(*gatev1.PostureState)) error {
	last, anonymous, pause := seen{}, false, shortPause
	tell := func() {
		select {
		case news <- last:
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		err := p.Client().Stream(ctx, api.Request{Path: "/v1/posture:watch", Anonymous: anonymous}, func(raw json.RawMessage) error {
			state := new(gatev1.PostureState)
			if err := api.Decode(raw, state); err != nil {
				return fmt.Errorf("reading the posture: %w", err)
			}
			last.state, last.lost, pause = state, time.Time{}, shortPause
			if latest(state); anonymous {
				latest(nil)
			}
			tell()
			return nil
		})
		if fatal(err) {
			return err
		}
		if overForUs(err) && !anonymous {
			anonymous, last.note = true, "Not signed in: shown is what everybody may see."
			continue
		}
		if last.lost.IsZero() {
			last.lost = p.Now()
			tell()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
	return nil
}

func fatal(err error) bool {
	var gone *api.Unreachable
	return err != nil && !errors.As(err, &gone) && !overForUs(err) && !errors.Is(err, context.Canceled)
}

// draw shows each news; a terminal is drawn again every second, for what counts down on it.
func (p panel) draw(ctx context.Context, news <-chan seen, boards <-chan string) error {
	var last seen
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	live := p.Term.LiveOut && p.ForPeople()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-news:
			now.doors = last.doors
			if last = now; !live {
				now.doors = "" // said when they change
			}
			if err := p.drawSeen(now, live); err != nil {
				return err
			}
		case last.doors = <-boards:
			if !live {
				fmt.Fprint(p.Term.Out, last.doors)
				continue
			}
			if err := p.drawSeen(last, live); err != nil {
				return err
			}
		case <-tick.C:
			if !live {
				continue
			}
			if err := p.drawSeen(last, live); err != nil {
				return err
			}
		}
	}
}

func (p panel) drawSeen(s seen, live bool) error {
	if live {
		fmt.Fprint(p.Term.Out, topLeft)
	}
	if s.note != "" && live {
		fmt.Fprintln(p.Term.Out, s.note)
	}
	if !s.lost.IsZero() {
		p.Term.Note("Not live since %s, trying again.", p.Moment(s.lost))
		if !live {
			return nil
		}
	}
	if s.state == nil {
		return nil
	}
	if p.ForPeople() {
		fmt.Fprint(p.Term.Out, screen.Dim.Render(p.Moment(p.Now()))+"  ")
	}
	if err := p.showPosture(s.state); err != nil {
		return err
	}
	fmt.Fprint(p.Term.Out, s.doors)
	return nil
}
