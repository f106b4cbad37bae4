package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/session-broker/registry"
)

// recorded is a ground whose spans are kept.
type recorded struct {
	*ground
	spans  *tracetest.SpanRecorder
	tracer trace.Tracer
}

func newRecorded(t *testing.T) recorded {
	r := recorded{ground: newGround(t, registry.NewMemory()), spans: tracetest.NewSpanRecorder()}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	r.ground.trace, r.tracer = telemetry.NewTracer(provider), provider.Tracer("test")
	return r
}

// terminate applies a termination in a trace of its own, as the journal tells of it, and answers the trace's first span.
func (g recorded) terminate(r *replica, sel *emergencyv1.Selector) trace.SpanContext {
	ctx, span := g.tracer.Start(context.Background(), "apply")
	defer span.End()
	header := map[string][]string{}
	telemetry.Carry(ctx, header, true)
	id := fmt.Sprintf("T-%04d", g.view.sequence+1)
	must(g.t, r.trace(journal.Entry{Subject: "emergency.termination." + id, Header: header}))
	if got := g.view.terminate(sel); got != id {
		g.t.Fatalf("it is called %s", got)
	}
	return span.SpanContext()
}

// heard are the spans of ends below another, and of how many sessions they tell.
func (g recorded) heard(below trace.SpanContext) (spans, sessions int) {
	for _, s := range g.spans.Ended() {
		if s.Name() != "hear of ends" || s.Parent().SpanID() != below.SpanID() || s.SpanContext().TraceID() != below.TraceID() {
			continue
		}
		spans++
		for _, a := range s.Attributes() {
			if a.Key == "portcullis.sessions" {
				sessions += int(a.Value.AsInt64())
			}
		}
	}
	return spans, sessions
}

func TestTheTraceOfAnApplyEndsWhereTheSessionsDo(t *testing.T) {
	const many = 300 // several messages
	g := newRecorded(t)
	r := g.replica()
	site := g.site("host-1", r.addr)
	var all []*live
	for range many {
		all = append(all, site.open("alice", "db-1"))
	}
	other, single := site.open("bob", "web-1"), site.open("root", "web-1")
	ofAlice := g.terminate(r, &emergencyv1.Selector{Users: []string{"alice"}})
	ofBob := g.terminate(r, &emergencyv1.Selector{Users: []string{"bob"}}) // may be in one standing with the one before
	for _, l := range append(slices.Clone(all), other) {
		l.mustEnd(t, "")
	}
	ctx, order := g.tracer.Start(t.Context(), "order")
	eventually(t, "the broker has heard of the session, and takes the order", func() bool {
		_, err := r.EndSession(ctx, &sessionv1.EndSessionRequest{Id: single.ID()})
		return err == nil
	})
	order.End()
	for _, c := range []struct {
		below    trace.SpanContext
		sessions int
	}{{ofAlice, many}, {ofBob, 1}, {order.SpanContext(), 1}} {
		eventually(t, fmt.Sprintf("the trace ends with %d sessions", c.sessions), func() bool {
			_, sessions := g.heard(c.below)
			return sessions == c.sessions
		})
	}
	if spans, _ := g.heard(ofAlice); spans >= many/2 {
		t.Errorf("%d spans of %d sessions: it is one a message", spans, many)
	}
}

// Where a connector says another trace than it was told, or none as an old one does, nothing is drawn, and all else is as ever.
func TestAConnectorCanNeitherPickATraceNorBeginOne(t *testing.T) {
	g := newRecorded(t)
	r := g.replica()
	_, another := g.tracer.Start(t.Context(), "another")
	another.End()
	c := r.attach(t, &sessionv1.Hello{Connector: "host-1", BootId: "one",
		Sessions: []*sessionv1.Session{session("host-1", "a"), session("host-1", "b"), session("host-1", "c"), session("host-1", "d")}})
	c.standing(time.Second)
	apply := g.terminate(r, &emergencyv1.Selector{All: true})
	told := c.standing(5 * time.Second).GetCuts()[0]
	stranger := telemetry.Parent(trace.ContextWithSpanContext(context.Background(), another.SpanContext()))
	for id, traceparent := range map[string]string{"a": stranger, "b": "", "c": "00-nonsense", "d": told.GetTraceparent()} {
		c.say(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Ended{Ended: &sessionv1.Ended{
			Ids: []string{id}, Cause: told.GetEmergency(), Time: timestamppb.Now(), Traceparent: traceparent}}})
	}
	eventually(t, "all are on record as ended", func() bool {
		return !slices.ContainsFunc([]string{"a", "b", "c", "d"}, func(id string) bool { return g.recorded(id).GetState() != sessionv1.Session_ENDED })
	})
	if spans, sessions := g.heard(apply); spans != 1 || sessions != 1 {
		t.Errorf("%d spans of %d sessions", spans, sessions)
	}
	if len(g.spans.Started()) != 3 { // another, apply, and the one that may be
		t.Errorf("%d spans", len(g.spans.Started()))
	}
}

func TestNoMoreTracesAreKeptThanThereIsRoomFor(t *testing.T) {
	kept := &traces{of: map[string]string{}}
	for i := range tracesMost + 5 {
		kept.put(fmt.Sprint("L-", i), "of it")
	}
	if len(kept.of) != 5 || kept.get(fmt.Sprint("L-", tracesMost+4)) != "of it" {
		t.Errorf("%d are kept", len(kept.of))
	}
}
