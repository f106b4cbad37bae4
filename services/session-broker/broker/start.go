package broker

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/session-broker/registry"
)

// Settings are the broker's own configuration.
type Settings struct {
	// Redis is where replicas share the index of live sessions, as redis://host:port/0; empty keeps it in
	// this process, which is right for one replica.
	Redis string `koanf:"redis"`
}

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
	return New(Config{Instance: h.Instance, Texts: h.Texts, Now: h.Now}, Deps{
		View: h.Watch, Pulse: h.Journal, Store: store, Index: index, Log: h.Log,
		Records: func(ctx context.Context) (Records, error) { return h.Journal.Stream(ctx, "SESSION") },
	})
}

func open(s Settings) (registry.Store, registry.Index, error) {
	if s.Redis == "" {
		m := registry.NewMemory()
		return m, m, nil
	}
	options, err := redis.ParseURL(s.Redis)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the address of Redis: %w", err)
	}
	redis.SetLogger(quiet{})
	r := registry.NewRedis(redis.NewClient(options))
	return r, r, nil
}

// quiet keeps the library's own lines out of the log: the indexer says once when Redis is away, and once
// when it is back.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
