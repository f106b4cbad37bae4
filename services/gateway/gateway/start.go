package gateway

import (
	"context"
	"fmt"

	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/who"
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
	attempts, err := attempt.New(attempt.Deps{Journal: h.Journal, Metrics: h.Metrics, Instance: h.Instance, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	d := Deps{
		Dial: h.Dial, Listen: h.Listen, Ready: h.Ready, Gather: h.Gather, Metrics: h.Metrics, Trace: h.Trace, Texts: h.Texts, Log: h.Log, Now: h.Now,
		Attempts: attempts, Verify: func(bearer string) (who.Caller, error) { return h.Watch.State().Who.Verify(bearer, h.Now()) },
	}
	d.Proxy = rpc.NewProxy(rpc.ProxyConfig{Dial: h.Dial, Log: h.Log, Trace: h.Trace, Refused: d.tries().refused})
	return New(c, d)
}
