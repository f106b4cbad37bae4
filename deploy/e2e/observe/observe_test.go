// Package observe looks at the product as an operator does: its traces, its logs and its metrics, of real processes.
package observe

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/sink"
	"portcullis.dev/deploy/e2e/stack"
)

const (
	patience  = 30 * time.Second
	requestID = "incident-4711"
	// stranger is the trace that the caller claims to be in.
	stranger = "0af7651916cd43dd8448eb211c80319c"
)

var services = []string{"emergency-control", "identity", "access-gate", "session-broker", "bastion", "notifier", "gateway"}

// world is a product of separate processes, an administrator, and somebody who gets mail.
type world struct {
	*testing.T
	*stack.Stack
	collector *collector
	mails     chan sink.Mail
	root      *client.Person
	said      []string // what no trace may hold
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, collector: newCollector(t), mails: make(chan sink.Mail, 16)}
	server, err := sink.Start(func(m sink.Mail) { w.mails <- m })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Stack = stack.ForTest(t, stack.Separate, stack.Options{Environment: []string{
		"PORTCULLIS_MFA_MIN_AGE=0s", "PORTCULLIS_LOG_LEVEL=debug", "OTEL_BSP_SCHEDULE_DELAY=200",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + w.collector.address, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
	}})
	w.root = &client.Person{Client: client.Client{Base: w.HTTP}, Name: w.Admin.User, Password: w.Admin.Password, Secret: w.Admin.TOTPSecret}
	w.must(w.root.SignIn())
	w.must(w.root.Call(http.MethodPost, "/v1/users", client.Object{"name": "eveline", "email": "eveline@sink.test", "password": w.Admin.Password, "requestId": uuid.NewString()}))
	w.must(w.root.Call(http.MethodPost, "/v1/smtp-accounts", client.Object{
		"name": "Sink", "enabled": true, "sender": "brake@sink.test", "host": "127.0.0.1", "port": server.Port, "requestId": uuid.NewString(),
	}))
	w.must(w.root.Call(http.MethodPost, "/v1/notifications", client.Object{
		"name": "Lockdown", "enabled": true, "methods": []string{"EMAIL"}, "types": []string{"emergency.lockdown.started"}, "contacts": []string{"eveline"}, "requestId": uuid.NewString(),
	}))
	w.said = []string{w.Admin.Password, w.root.Token, "eveline", "brake@sink.test"}
	return w
}

func (w *world) must(a *client.Answer, err error) *client.Answer {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	if a.Status >= http.StatusBadRequest {
		w.Fatal(a)
	}
	return a
}

// call is one with an id, from somebody who claims to be in a trace.
func (w *world) call(method, path, id string, body client.Object) *client.Answer {
	w.Helper()
	var text []byte
	var err error
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			w.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.HTTP+path, bytes.NewReader(text))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", id)
	r.Header.Set("Traceparent", "00-"+stranger+"-b7ad6b7169203331-01")
	a, err := w.root.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func TestALockdownIsSeenFromItsRequestToItsMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	grant, err := w.root.Grant("lockdown")
	if err != nil {
		t.Fatal(err)
	}
	w.said = append(w.said, grant, "Suspected break-in")
	a := w.call(http.MethodPost, "/v1/lockdowns", requestID, client.Object{
		"duration": "600s", "justification": "Suspected break-in", "grant": grant, "requestId": uuid.NewString(),
	})
	if a.Status != http.StatusOK || a.Header.Get("X-Request-Id") != requestID {
		t.Fatal(a, a.Header)
	}
	select {
	case <-w.mails:
	case <-time.After(patience):
		t.Fatal("no mail comes")
	}
	eve := &client.Person{Client: client.Client{Base: w.HTTP}, Name: "eveline", Password: w.Admin.Password}
	if a, err := eve.SignIn(); err != nil || a.Status != http.StatusServiceUnavailable || a.Header.Get("X-Request-Id") == "" {
		t.Error("eveline is not refused: ", a, err)
	}
	t.Run("OneTraceGoesThroughAll", func(t *testing.T) { w.traced(t) })
	t.Run("NoTraceHoldsWhatWasSaid", func(t *testing.T) { w.discreet(t) })
	t.Run("EveryServiceLogsTheRequestsId", func(t *testing.T) { w.logged(t) })
	t.Run("ARefusalNamesItsRequest", func(t *testing.T) { w.refused(t) })
	t.Run("WhatIsServedAtMetricsIsWhatIsDocumented", func(t *testing.T) { w.measured(t) })
}

// traced waits for the spans of the one trace, and looks how they hang together.
func (w *world) traced(t *testing.T) {
	want := []string{
		"gateway POST /v1/lockdowns", "emergency-control portcullis.emergency.v1.Emergencies/ApplyLockdown", "emergency-control append EMERGENCY",
		"notifier work on EMERGENCY", "notifier append OUTBOX", "notifier work on OUTBOX",
	}
	for _, service := range services {
		want = append(want, service+" hold EMERGENCY")
	}
	late := time.After(patience)
	for {
		got, root := w.theTrace()
		missing := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return got[name] != nil })
		if len(missing) == 0 {
			hangs(t, got, root)
			return
		}
		select {
		case <-w.collector.more:
		case <-late:
			t.Fatalf("the trace lacks %q; it has %d spans", missing, len(got))
		}
	}
}

// theTrace are the spans of the lockdown's trace by service and name, and the one that it begins with.
func (w *world) theTrace() (all map[string][]span, root span) {
	all = map[string][]span{}
	spans := w.collector.all()
	i := slices.IndexFunc(spans, func(s span) bool { return s.GetName() == "POST /v1/lockdowns" })
	if i < 0 {
		return all, root
	}
	for _, s := range spans {
		if s.trace() == spans[i].trace() {
			all[s.service+" "+s.GetName()] = append(all[s.service+" "+s.GetName()], s)
		}
	}
	return all, spans[i]
}

func hangs(t *testing.T, got map[string][]span, root span) {
	if root.trace() == stranger || len(root.GetParentSpanId()) > 0 {
		t.Error("a stranger's trace was gone on with")
	}
	if len(root.GetLinks()) != 1 {
		t.Error("a stranger's trace is not linked")
	}
	for name, under := range map[string]string{
		"access-gate hold EMERGENCY": "emergency-control append EMERGENCY", "notifier work on EMERGENCY": "emergency-control append EMERGENCY",
		"notifier work on OUTBOX": "notifier append OUTBOX",
	} {
		hangs := slices.ContainsFunc(got[under], func(s span) bool { return string(s.GetSpanId()) == string(got[name][0].GetParentSpanId()) })
		if !hangs {
			t.Errorf("%s does not hang on %s", name, under)
		}
	}
}

func (w *world) discreet(t *testing.T) {
	for _, s := range w.collector.all() {
		text := s.String()
		for _, said := range w.said {
			if strings.Contains(text, said) {
				t.Errorf("a span of %s holds %q: %s", s.service, said, text)
			}
		}
	}
}

// logged reads the logs, which are all there once the mail was: but for what is written right behind.
func (w *world) logged(t *testing.T) {
	for _, service := range services {
		deadline := time.Now().Add(patience)
		for !names(t, w.Process(service).Log(), requestID) {
			if time.Now().After(deadline) {
				t.Errorf("%s logs nothing for %s", service, requestID)
				break
			}
			time.Sleep(10 * time.Millisecond) // nothing tells of a line
		}
	}
}

// names reports whether a structured line is of the request.
func names(t *testing.T, log, id string) bool {
	for line := range strings.Lines(log) {
		var one struct{ Request, Trace string }
		if json.Unmarshal([]byte(line), &one) == nil && one.Request == id {
			if len(one.Trace) != 32 {
				t.Errorf("a line of the request has no trace: %s", line)
			}
			return true
		}
	}
	return false
}

func (w *world) refused(t *testing.T) {
	a := w.call(http.MethodGet, "/v1/users/nobody", "missing-1", nil)
	if a.Status != http.StatusNotFound || a.Text("details.requestId") != "missing-1" || a.Header.Get("X-Request-Id") != "missing-1" {
		t.Error(a, a.Header)
	}
	a = w.call(http.MethodGet, "/v1/nowhere", "not an id!", nil)
	if id := a.Header.Get("X-Request-Id"); len(id) < 20 || a.Text("details.requestId") != id {
		t.Error(a, a.Header)
	}
}
