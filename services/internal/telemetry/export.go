package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	complainEvery = time.Minute     // of a collector that can't be reached
	flushWithin   = 2 * time.Second // when the process ends
)

// Export sends the spans of a process to a collector. A nil one sends nothing.
type Export struct {
	processor sdktrace.SpanProcessor
	mu        sync.Mutex // guards tracers
	tracers   map[string]*Tracer
}

// Open starts sending to where the standard environment of OpenTelemetry says. It answers nil where that names no
// collector: OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. A collector that is away is no error.
func Open(ctx context.Context, environ []string, log *slog.Logger) (*Export, error) {
	told := standard(environ)
	if !told.on() {
		return nil, nil
	}
	exporter, err := told.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(&complaints{log: log})
	return &Export{processor: sdktrace.NewBatchSpanProcessor(exporter), tracers: map[string]*Tracer{}}, nil
}

// told is what the environment says of OpenTelemetry. How to reach the collector, how much to send and to sample, the
// modules read themselves.
type told map[string]string

func standard(environ []string) told {
	t := told{}
	for _, one := range environ {
		if name, value, _ := strings.Cut(one, "="); strings.HasPrefix(name, "OTEL_") {
			t[name] = strings.TrimSpace(value)
		}
	}
	return t
}

func (t told) on() bool {
	endpoint := cmp.Or(t["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], t["OTEL_EXPORTER_OTLP_ENDPOINT"])
	return endpoint != "" && !strings.EqualFold(t["OTEL_SDK_DISABLED"], "true") && t["OTEL_TRACES_EXPORTER"] != "none"
}

func (t told) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if kind := cmp.Or(t["OTEL_TRACES_EXPORTER"], "otlp"); kind != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is neither otlp nor none", kind)
	}
	switch protocol := cmp.Or(t["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"], t["OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf"); protocol {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is neither grpc nor http/protobuf", protocol)
	}
}

// Of answers the tracer of a service of this process; nil if e is.
func (e *Export) Of(service, instance string) *Tracer {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.tracers[service]; t != nil {
		return t
	}
	t := NewTracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(e.processor), sdktrace.WithResource(resourceOf(service, instance))))
	e.tracers[service] = t
	return t
}

// resourceOf says who a service is. What the environment says wins: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
func resourceOf(service, instance string) *resource.Resource {
	r, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.namespace", "portcullis"), attribute.String("service.name", service),
		attribute.String("service.instance.id", instance)), resource.WithFromEnv())
	if err != nil {
		otel.Handle(err) // what could be read of it counts
	}
	return r
}

// Close sends what is left.
func (e *Export) Close() {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := e.processor.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// complaints logs that traces can't be sent, once in a while: nothing else depends on it.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64
}

// Handle takes one error of OpenTelemetry.
func (c *complaints) Handle(err error) {
	now, last := time.Now().UnixNano(), c.last.Load()
	if errors.Is(err, context.Canceled) || last != 0 && now-last < int64(complainEvery) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("traces can't be sent", "error", err)
}
