package telemetry

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Tracer makes the spans of one service. A nil one makes none, and takes neither time nor memory.
//
// Spans say what was called, when, for how long and whether it worked. They never hold what was said: no bodies, no
// headers, no names of people or devices.
type Tracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

// NewTracer makes spans by a provider.
func NewTracer(p trace.TracerProvider) *Tracer {
	return &Tracer{provider: p, tracer: p.Tracer("portcullis.dev")}
}

// ServerOptions have a gRPC server go on with the traces of its callers. Those of a public one may not: their trace is
// linked, and the span begins one of ours.
func (t *Tracer) ServerOptions(public bool) []grpc.ServerOption {
	if t == nil {
		return nil
	}
	options := t.options()
	if public {
		options = append(options, otelgrpc.WithPublicEndpoint())
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(options...))}
}

// DialOptions have the calls of a gRPC client carry the trace that they belong to.
func (t *Tracer) DialOptions() []grpc.DialOption {
	if t == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(t.options()...))}
}

func (t *Tracer) options() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithPropagators(propagator{}), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithFilter(func(i *stats.RPCTagInfo) bool { return !strings.HasPrefix(i.FullMethodName, "/grpc.health.") }),
	}
}

// Edge begins the span of a request that comes from outside, with what its headers say of a trace: continued if they
// are to be believed, else only linked.
func (t *Tracer) Edge(ctx context.Context, name string, header http.Header, believed bool) (context.Context, trace.Span) {
	if t == nil {
		return ctx, noop.Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	outside := propagator{}.Extract(ctx, propagation.HeaderCarrier(header))
	if believed {
		ctx = outside
	} else if link := trace.LinkFromContext(outside); link.SpanContext.IsValid() && !trace.SpanContextFromContext(ctx).IsValid() {
		options = append(options, trace.WithLinks(link))
	}
	return t.tracer.Start(ctx, name, append(options, requested(ctx))...)
}

// Send begins the span of an append to a stream of the journal, if what appends is traced.
func (t *Tracer) Send(ctx context.Context, stream string, messages int) (context.Context, trace.Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, "append "+stream, trace.WithSpanKind(trace.SpanKindProducer), requested(ctx), about(stream, "send"),
		trace.WithAttributes(attribute.Int("messaging.batch.message_count", messages)))
}

// Take begins the span of working on a message of the journal, in the trace of who wrote it, if that is traced.
func (t *Tracer) Take(ctx context.Context, name, stream string, header map[string][]string) (context.Context, trace.Span) {
	return t.TakeAll(ctx, name, stream, []map[string][]string{header})
}

// TakeAll is Take for several messages: it goes on with the trace of the first that has one, and links the others.
func (t *Tracer) TakeAll(ctx context.Context, name, stream string, headers []map[string][]string) (context.Context, trace.Span) {
	var links []trace.Link
	within := ctx
	for _, header := range headers {
		if header == nil {
			continue
		}
		one := From(ctx, header)
		if within == ctx {
			within = one
		} else if t != nil && trace.SpanContextFromContext(one).IsSampled() {
			links = append(links, trace.LinkFromContext(one))
		}
	}
	if t == nil || !trace.SpanContextFromContext(within).IsSampled() {
		return within, noop.Span{}
	}
	return t.tracer.Start(within, name, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...), requested(within), about(stream, "process"))
}

// Answer begins the span of what somebody outside says came of what they were told with a traceparent. It goes on with the
// traceparent that comes back, if that is of the trace that was told: nobody picks another, or begins one.
func (t *Tracer) Answer(ctx context.Context, name, told, heard string, about ...attribute.KeyValue) (context.Context, trace.Span) {
	was, is := parent(told), parent(heard)
	if !was.IsSampled() || was.TraceID() != is.TraceID() {
		return ctx, noop.Span{}
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, is.WithTraceFlags(was.TraceFlags()).WithTraceState(was.TraceState()))
	if t == nil {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(about...))
}

func parent(text string) trace.SpanContext {
	return trace.SpanContextFromContext(propagator{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": text}))
}

// Failed ends a span, with why it failed in one word; empty if it did not.
func Failed(span trace.Span, why string) {
	if why != "" {
		span.SetStatus(codes.Error, why)
	}
	span.End()
}

func requested(ctx context.Context) trace.SpanStartEventOption {
	return trace.WithAttributes(attribute.String("portcullis.request", RequestOf(ctx)))
}

func about(stream, operation string) trace.SpanStartEventOption {
	return trace.WithAttributes(attribute.String("messaging.system", "nats"), attribute.String("messaging.destination.name", stream),
		attribute.String("messaging.operation.type", operation))
}
