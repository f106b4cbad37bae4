package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"portcullis.dev/services/internal/rpc"
)

// health knows which services the process still waits for.
type health struct {
	mu      sync.Mutex
	waiting []string
	all     func()
}

// newHealth waits for these services, and calls all once when they are there.
func newHealth(services []string, all func()) *health {
	return &health{waiting: slices.Clone(services), all: all}
}

// reached says that a service is there, or that nobody should wait for it.
func (h *health) reached(service string) {
	h.mu.Lock()
	i := slices.Index(h.waiting, service)
	if i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
	}
	done := i >= 0 && len(h.waiting) == 0
	h.mu.Unlock()
	if done && h.all != nil {
		h.all()
	}
}

// Ready says what is still waited for.
func (h *health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) > 0 {
		return errors.New("waiting for " + strings.Join(h.waiting, ", "))
	}
	return nil
}

// newRegistry measures the process itself too.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// serve answers /healthz, /readyz, /metrics and, in the clear, grpc.health.v1 until the context ends.
func (h *health) serve(ctx context.Context, address string, r *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for health: %w", err)
	}
	mux.Handle("POST /grpc.health.v1.Health/", rpc.Probe(h.Ready))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}
