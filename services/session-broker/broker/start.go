package broker

import (
	"context"
	"fmt"
	"time"

	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/session-broker/registry"
)

// Settings are the broker's own configuration: where replicas share the index of live sessions. Without, it is
// kept in this process, which is right for one replica.
type Settings = registry.Server

// upgraded is how long an upgrade takes to reach everybody, more or less.
const upgraded = 5 * time.Minute

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	var s Settings
	if err := h.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the broker's configuration: %w", err)
	}
	store, index, err := open(s)
	if err != nil {
		return nil, err
	}
	b, err := New(Config{Instance: h.Instance, Texts: h.Texts, Now: h.Now, FoldAfter: upgraded}, Deps{
		View: h.Watch, Tell: h.Watch.Tell, Pulse: h.Journal, Store: store, Index: index, Log: h.Log, Trace: h.Trace,
		Records: func(ctx context.Context) (Records, error) { return h.Journal.Await(ctx, "SESSION") },
	})
	if err != nil {
		return nil, err
	}
	h.Watch.Tap(watch.Emergency, b.trace)
	return b, nil
}

func open(s Settings) (registry.Store, registry.Index, error) {
	if s.URL == "" {
		m := registry.NewMemory()
		return m, m, nil
	}
	r, err := registry.Connect(s)
	return r, r, err
}
