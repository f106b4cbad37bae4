// Package run is a process: its configuration, log, metrics, health and signals, and what it hands to
// the services in it. Only here is the environment read and the process ended.
package run

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
)

// Start makes a service out of its host. It must not wait for the journal or for another service: what
// needs them belongs in Run, which is called once Host.Watch is ready. Taps on Host.Watch are set here.
type Start func(ctx context.Context, h *Host) (Service, error)

// Service is what a host runs. One that has something to do before it can answer has a method
// Ready() <-chan struct{} besides, and closes that channel then: the process is ready when all are.
type Service interface {
	// Register adds what the service serves; it may be nothing.
	Register(grpc.ServiceRegistrar)
	// Run blocks; nil means that the context has ended.
	Run(context.Context) error
}

// Entry is one service as a process knows it.
type Entry struct {
	Name  string
	Start Start
	// Config holds the defaults of the service's own configuration: a struct whose fields have tags like
	// `koanf:"mfa-min-age" help:"how old a factor must be"`, or nil. Its keys share one space with all
	// others': mfa-min-age is a flag, a key of the YAML file, and PORTCULLIS_MFA_MIN_AGE; and
	// mfa-min-age-file names a file that has the value.
	Config any
	// Vital stops the process when it fails; the others start again.
	Vital bool
	// Directory asks Host.Watch for the stream DIRECTORY too.
	Directory bool
}

// Host is all that a service has of the process around it.
type Host struct {
	Name string
	// Instance tells this replica from the others of the service, Boot this life of it from the others.
	Instance string
	Boot     string
	Log      *slog.Logger
	// Trace makes the service's spans; nil makes none.
	Trace *telemetry.Tracer
	// Metrics adds the service's name to each metric.
	Metrics prometheus.Registerer
	// Journal has this service's own rights and no others.
	Journal *journal.Journal
	Watch   *watch.Watcher
	Texts   emergency.Texts
	// Keys are this service's own and no others.
	Keys seal.Keys
	Now  func() time.Time
	// Decode reads the configuration into a struct like Entry.Config.
	Decode func(into any) error
	// Dial answers a connection to another service, made once and shared.
	Dial func(service string) (grpc.ClientConnInterface, error)
	// Doors answers a connection to every process that decides about doors, this one too, as far as they are found.
	Doors func(ctx context.Context) []Door
	// Listen opens a port to the outside.
	Listen func(network, address string) (net.Listener, error)
	// Ready says what the process still waits for, nil if nothing.
	Ready func() error
	// Gather answers the whole process's metrics.
	Gather http.Handler
}

// Door is one process that decides about doors.
type Door struct {
	Service string
	// Address tells replicas apart.
	Address string
	grpc.ClientConnInterface
}
