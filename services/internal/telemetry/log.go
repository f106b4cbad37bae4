package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// The keys under which a log line names what it belongs to.
const (
	RequestField = "request"
	TraceField   = "trace"
)

// Log answers a handler that adds the request and the trace of the context that a line is logged with.
func Log(to slog.Handler) slog.Handler { return logger{to} }

type logger struct{ slog.Handler }

// Handle writes one line.
func (l logger) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestOf(ctx); id != "" {
		r.AddAttrs(slog.String(RequestField, id))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r.AddAttrs(slog.String(TraceField, span.TraceID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs adds attributes to every line.
func (l logger) WithAttrs(all []slog.Attr) slog.Handler { return logger{l.Handler.WithAttrs(all)} }

// WithGroup puts what follows into a group.
func (l logger) WithGroup(name string) slog.Handler { return logger{l.Handler.WithGroup(name)} }
