package gateway

import (
	"context"
	"fmt"

	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
)

// Entry is the gateway as a process knows it.
func Entry() run.Entry {
	return run.Entry{Name: rpc.Gateway, Start: Start, Config: Default(), Vital: true}
}

// Start makes the gateway out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	c := Default()
	if err := h.Decode(&c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return New(c, Deps{
		Dial: h.Dial, Listen: h.Listen, Proxy: rpc.NewProxy(rpc.ProxyConfig{Dial: h.Dial, Log: h.Log}), Ready: h.Ready, Gather: h.Gather, Metrics: h.Metrics,
		Texts: h.Texts, Log: h.Log, Now: h.Now,
	})
}
