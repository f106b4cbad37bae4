package notifier

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/text"
)

const (
	subjectEvent = "event."
	// old is when nobody is told of an emergency any more: a notifier that is new would tell of years.
	old = 24 * time.Hour
)

var eventID = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

// PublishEvent takes what another service says has happened. It is on disk when this returns; the same id of the
// same publisher again changes nothing.
func (n *Notifier) PublishEvent(ctx context.Context, r *notificationv1.PublishEventRequest) (*notificationv1.Event, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	e, err := n.taken(ctx, r.GetEvent())
	if err != nil {
		return nil, err
	}
	key := plan.EventKey(e)
	if o.box.Planned(key) {
		return e, nil
	}
	data, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	_, err = o.events.Append(ctx, journal.Message{Subject: subjectEvent + key, Data: data, Expect: journal.OnSubject(0)})
	if err != nil && !errors.Is(err, journal.ErrConflict) {
		return nil, err
	}
	return e, nil
}

// taken is an event as it is kept, or why it can't be taken.
func (n *Notifier) taken(ctx context.Context, in *notificationv1.Event) (*notificationv1.Event, error) {
	e := proto.CloneOf(in)
	e.RequestId, e.PublishedBy = nil, publisher(who.FromContext(ctx))
	kind, known := text.TypeNamed(e.GetType())
	switch {
	case !eventID.MatchString(e.GetId()):
		return nil, bad("id", "Give it your own id, of 1 to 128 printable ASCII characters without spaces")
	case !known:
		return nil, bad("type", "There is no type %.60q. GET /v1/notification-types lists them", e.GetType())
	case kind.OfEmergency():
		return nil, bad("type", "%s is told of by the emergency panel itself, and nobody else", e.GetType())
	}
	if e.GetTime() == nil {
		e.Time = timestamppb.New(n.deps.Now())
	}
	if e.GetTime().CheckValid() != nil {
		return nil, bad("time", "That is no moment. Write it as in 2026-11-25T22:00:00Z")
	}
	return e, nil
}

// publisher is whose ids an event's is one of; no person has a service's name.
func publisher(c who.Caller) string {
	if c.Service != "" {
		return "service:" + c.Service
	}
	return c.Actor()
}

func (n *Notifier) known() (*parts, error) {
	select {
	case <-n.ready:
		return n.open.Load(), nil
	default:
		return nil, fault.New(fault.Unavailable, "The notifier is still starting. Try again in a moment")
	}
}

// hearEvents plans who is told of what other services say.
func (n *Notifier) hearEvents(o *parts) func(context.Context, []journal.Task) []error {
	return n.hear(func(ctx context.Context, t journal.Task) error {
		e := new(notificationv1.Event)
		if err := proto.Unmarshal(t.Data, e); err != nil {
			n.deps.Log.ErrorContext(ctx, "an event can't be read, and is left out", "sequence", t.Sequence, "error", err)
			return nil
		}
		return o.planner.Tell(ctx, plan.OfEvent(e, t.Sequence, n.config.Texts))
	})
}

// hearEntries plans who is told of what the panel does.
func (n *Notifier) hearEntries(o *parts) func(context.Context, []journal.Task) []error {
	return n.hear(func(ctx context.Context, t journal.Task) error {
		e, err := n.deps.Open(t.Sequence, t.Subject, t.Data)
		if err != nil {
			return err // it is looked at again: a key that is not known yet may come
		}
		h, ok := plan.OfEntry(e, n.config.Texts)
		if !ok || n.deps.Now().Sub(e.GetTime().AsTime()) > old {
			return nil
		}
		return o.planner.Tell(ctx, h)
	})
}

// followAttempts waits for the stream by itself: without it, as before an upgrade gives the right to it, all else is told of.
func (n *Notifier) followAttempts(ctx context.Context, o *parts) error {
	s, err := n.deps.Journal.Await(ctx, "ATTEMPT")
	if err == nil {
		return s.Work(ctx, journal.WorkConfig{Name: "notifier", Do: n.hearAttempts(o)})
	}
	if ctx.Err() == nil {
		n.deps.Log.ErrorContext(ctx, "nobody is told of refused ways in", "error", err)
	}
	return nil
}

// hearAttempts plans who is told of those whom an emergency refused.
func (n *Notifier) hearAttempts(o *parts) func(context.Context, []journal.Task) []error {
	attempts := plan.NewAttempts(o.planner)
	return n.hear(func(ctx context.Context, t journal.Task) error {
		r := new(gatev1.AttemptRecord)
		if err := proto.Unmarshal(t.Data, r); err != nil {
			n.deps.Log.ErrorContext(ctx, "a refused way in can't be read, and is left out", "sequence", t.Sequence, "error", err)
			return nil
		}
		if n.deps.Now().Sub(r.GetLastTime().AsTime()) > old {
			return nil
		}
		return attempts.Tell(ctx, r, t.Sequence)
	})
}

func (n *Notifier) hear(one func(context.Context, journal.Task) error) func(context.Context, []journal.Task) []error {
	return func(ctx context.Context, tasks []journal.Task) []error {
		errs := make([]error, len(tasks))
		for i, t := range tasks {
			ctx, end := t.Begin(ctx)
			errs[i] = one(ctx, t)
			end(errs[i])
		}
		return errs
	}
}
