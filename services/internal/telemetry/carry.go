package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// propagator is W3C's traceparent and tracestate. No baggage: it would carry what strangers write from service to
// service.
type propagator = propagation.TraceContext

// The headers of a message of the journal. They are no part of the entry: nothing is decided by them, and no hash
// covers them.
const (
	requestHeader = "Portcullis-Request"
	parentHeader  = "Traceparent"
)

// Carry writes the request, and where asked the trace, that a context belongs to into the headers of a message.
func Carry(ctx context.Context, header map[string][]string, traced bool) {
	if id := RequestOf(ctx); id != "" {
		header[requestHeader] = []string{id}
	}
	if traced && trace.SpanContextFromContext(ctx).IsSampled() {
		propagator{}.Inject(ctx, propagation.HeaderCarrier(http.Header(header)))
	}
}

// Carried answers the headers of a message, if they name a request or a trace.
func Carried(header map[string][]string) map[string][]string {
	if header[requestHeader] == nil && header[parentHeader] == nil {
		return nil
	}
	return header
}

// Parent is the trace that a context belongs to, as a traceparent for a field of a message; empty if none is recorded.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagator{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// From answers a context that belongs to the request and the trace that the headers of a message name.
func From(ctx context.Context, header map[string][]string) context.Context {
	if all := header[requestHeader]; len(all) == 1 && Plain(all[0]) {
		ctx = WithRequest(ctx, ID(all[0]))
	}
	if header[parentHeader] == nil {
		return ctx
	}
	return propagator{}.Extract(ctx, propagation.HeaderCarrier(http.Header(header)))
}
