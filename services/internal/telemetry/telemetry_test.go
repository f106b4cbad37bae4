package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestALineNamesTheRequestAndTheTraceOfItsContext(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(Log(slog.NewJSONHandler(&out, nil))).With("service", "gate")
	header := map[string][]string{requestHeader: {"r-1"}, parentHeader: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	log.InfoContext(From(t.Context(), header), "one")
	log.InfoContext(t.Context(), "two")
	lines := strings.Split(out.String(), "\n")
	var one, two map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &one); err != nil || one["request"] != "r-1" || one["trace"] != "0af7651916cd43dd8448eb211c80319c" || one["service"] != "gate" {
		t.Error(lines[0], err)
	}
	if err := json.Unmarshal([]byte(lines[1]), &two); err != nil || two["request"] != nil || two["trace"] != nil {
		t.Error(lines[1], err)
	}
}

func TestWhatAContextCarriesComesOutOfTheHeaders(t *testing.T) {
	before := map[string][]string{requestHeader: {"r-1"}, parentHeader: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ctx := From(t.Context(), before)
	traced, named, nothing := map[string][]string{}, map[string][]string{}, map[string][]string{}
	Carry(ctx, traced, true)
	Carry(ctx, named, false)
	Carry(t.Context(), nothing, true)
	if got := trace.SpanContextFromContext(From(context.Background(), traced)); got.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || !got.IsRemote() {
		t.Error(traced)
	}
	if RequestOf(From(context.Background(), named)) != "r-1" || len(named) != 1 || len(nothing) != 0 || Carried(nothing) != nil {
		t.Error(named, nothing)
	}
}

func TestAnAnswerStaysInTheTraceThatWasTold(t *testing.T) {
	const of = "00-0af7651916cd43dd8448eb211c80319c-"
	told := Parent(From(t.Context(), map[string][]string{parentHeader: {of + "b7ad6b7169203331-01"}}))
	if told != of+"b7ad6b7169203331-01" || Parent(t.Context()) != "" || Parent(From(t.Context(), map[string][]string{parentHeader: {of + "b7ad6b7169203331-00"}})) != "" {
		t.Fatalf("told is %q", told)
	}
	var off *Tracer // lines of a log have the trace all the same
	for heard, goesOn := range map[string]bool{
		told: true, of + "aaaaaaaaaaaaaaaa-01": true, of + "aaaaaaaaaaaaaaaa-00": true, // what is sampled is not the other side's to say
		"": false, of: false, "nonsense": false, "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": false,
	} {
		ctx, span := off.Answer(t.Context(), "hear", told, heard)
		span.End()
		if got := trace.SpanContextFromContext(ctx); got.IsSampled() != goesOn || goesOn && got.SpanID().String() != heard[36:52] {
			t.Errorf("%q is gone on with as %v", heard, got)
		}
	}
	for _, untold := range []string{"", of + "b7ad6b7169203331-00"} {
		if ctx, _ := off.Answer(t.Context(), "hear", untold, told); trace.SpanContextFromContext(ctx).IsValid() {
			t.Errorf("nobody was told, and %q is gone on with", told)
		}
	}
}

func TestOnlyPlainTextNamesARequest(t *testing.T) {
	for id, plain := range map[string]bool{"a-B9": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false, "a b": false, "a\nb": false, "é": false, "a_b": false} {
		if Plain(id) != plain {
			t.Errorf("%q is plain: %v", id, !plain)
		}
		if got := RequestOf(From(t.Context(), map[string][]string{requestHeader: {id}})); (got == id) != plain && id != "" {
			t.Errorf("%q became %q", id, got)
		}
	}
	if !Plain(string(NewID())) {
		t.Error("what is made here is not plain")
	}
}

func TestTracesAreOffUntilTheEnvironmentNamesACollector(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, environ := range [][]string{
		nil, {"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_SDK_DISABLED=true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER=none"},
	} {
		if e, err := Open(t.Context(), environ, log); e != nil || err != nil {
			t.Errorf("%q: %v, %v", environ, e, err)
		}
	}
	for _, wrong := range []string{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"} {
		if _, err := Open(t.Context(), []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4317", wrong}, log); err == nil {
			t.Errorf("%s is fine", wrong)
		}
	}
	var off *Export
	if off.Of("gate", "gate-1") != nil {
		t.Error("an export that is off has a tracer")
	}
	off.Close()
}

// What is off takes no memory; BenchmarkOff says how little time.
func TestATracerThatIsOffAllocatesNothing(t *testing.T) {
	var off *Tracer
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, span := off.Send(ctx, "EMERGENCY", 1)
		Failed(span, "")
		_, span = off.Edge(ctx, "GET /", nil, false)
		span.End()
		_, span = off.Take(ctx, "hold", "EMERGENCY", nil)
		span.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(off.ServerOptions(false))+len(off.DialOptions()) != 0 {
		t.Error("gRPC has something to do for it")
	}
}

func BenchmarkOff(b *testing.B) {
	var off *Tracer
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, span := off.Send(ctx, "EMERGENCY", 1)
		Failed(span, "")
	}
}

func FuzzFrom(f *testing.F) {
	f.Add("r-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, id, parent, state string) {
		ctx := From(t.Context(), map[string][]string{requestHeader: {id}, parentHeader: {parent}, "Tracestate": {state}})
		if got := RequestOf(ctx); got != "" && !Plain(got) {
			t.Errorf("%q names a request", got)
		}
		var off *Tracer
		const told = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		after, _ := off.Answer(t.Context(), "hear", told, parent)
		if got := trace.SpanContextFromContext(after); got.IsValid() && got.TraceID().String() != told[3:35] {
			t.Errorf("%q picks a trace", parent)
		}
	})
}
