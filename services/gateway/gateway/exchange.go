package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"portcullis.dev/services/internal/telemetry"
)

// exchange is one request and its answer, as far as the steps after the first want to know it.
type exchange struct {
	// id is the request's, made here or taken from the caller.
	id string
	// believed says that the peer is a trusted proxy: its trace is gone on with.
	believed bool
	// address is the client's.
	address string
	browser browser
	// route is the REST row, nil if there is none.
	route *route
	// sent is the whole body as it came, body what is decoded of it.
	sent, body []byte
	query      map[string][]string
	answer     *answer
	// span is the call's, nil if it is none.
	span trace.Span
	// err is what a service answered instead, for the log.
	err error
}

type exchangeKey struct{}

func withExchange(ctx context.Context, e *exchange) context.Context {
	return telemetry.WithRequest(context.WithValue(ctx, exchangeKey{}, e), e)
}

// RequestID names the request.
func (e *exchange) RequestID() string { return e.id }

// traced answers a context in which lines name the trace too, where there is one.
func (e *exchange) traced(ctx context.Context) context.Context {
	if e.span == nil || !e.span.SpanContext().IsValid() {
		return ctx
	}
	return trace.ContextWithSpan(ctx, e.span)
}

// exchangeOf is the exchange that a context belongs to; an empty one if none.
func exchangeOf(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	return &exchange{answer: &answer{}}
}

// writeWithin is how long a client may take to read what is written at once, before it is cut off.
const writeWithin = 30 * time.Second

// answer is a ResponseWriter that remembers what was said, drops whatever comes after closed, and
// gives a client that doesn't read a bounded time.
type answer struct {
	http.ResponseWriter
	// before sees the status before it is sent, and may add headers; nil does nothing.
	before func(status int)
	status int
	bytes  int
	closed bool
}

// WriteHeader sends the status, once.
func (a *answer) WriteHeader(status int) {
	if a.closed || a.status != 0 {
		return
	}
	a.status = status
	if a.before != nil {
		a.before(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(text []byte) (int, error) {
	if a.closed {
		return len(text), nil
	}
	a.WriteHeader(http.StatusOK)
	// Not every writer has deadlines; those of tests have none.
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(writeWithin))
	n, err := a.ResponseWriter.Write(text)
	a.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController through, for flushing.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// begun reports whether the status is out.
func (a *answer) begun() bool { return a.status != 0 }

// ended ends the span of a call with what was answered, and nothing that was said.
func (e *exchange) ended() {
	if !e.span.IsRecording() {
		return
	}
	e.span.SetAttributes(attribute.String("http.request.method", e.route.verb), attribute.String("http.route", e.route.pattern),
		attribute.Int("http.response.status_code", e.answer.status))
	why := ""
	if e.answer.status >= http.StatusInternalServerError {
		why = strconv.Itoa(e.answer.status)
	}
	telemetry.Failed(e.span, why)
}
