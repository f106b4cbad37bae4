package kubernetes

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// follow opens an answer that lasts.
func (w *world) follow(user, path string) (*http.Response, *bufio.Reader) {
	w.t.Helper()
	answer, err := w.client().Do(w.request(user, path))
	must(w.t, err)
	w.t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s", path, answer.Status)
	}
	return answer, bufio.NewReader(answer.Body)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", text, err)
	}
	return text
}

func TestWhateverLastsIsASessionThatTheBrokerSees(t *testing.T) {
	w := newWorld(t)
	for name, open := range map[string]func() io.Closer{
		"exec": func() io.Closer { return w.exec("alice", "command=sh&stdin=true").conn },
		"watch": func() io.Closer {
			a, _ := w.follow("alice", "/prod"+pods+"?watch=true")
			return a.Body
		},
		"logs": func() io.Closer {
			a, _ := w.follow("alice", "/prod"+pods+"/web/log")
			return a.Body
		},
	} {
		at := open()
		eventually(t, name+" is open at the broker", func() bool { return len(w.hub.live()) == 1 })
		s := w.hub.live()[0]
		if s.GetUser() != "alice" || s.GetDevice() != "prod" || s.GetProtocol() != Protocol || s.GetAddress() != "127.0.0.1" || len(s.GetAccessGroups()) != 2 {
			t.Errorf("%s is the session %v", name, s)
		}
		_ = at.Close()
		eventually(t, name+" is over", func() bool { return len(w.hub.live()) == 0 && w.connector.Live() == 0 })
		<-w.api.gone // at the API server too
	}
	if code, _ := w.get("alice", "/prod"+pods); code != 200 || len(w.hub.ended) != 3 {
		t.Errorf("%d, and %d sessions: a question that is answered at once is none", code, len(w.hub.ended))
	}
}

func TestALockdownEndsEachInItsOwnProtocolWithinASecond(t *testing.T) {
	w := newWorld(t)
	exec := w.exec("alice", "command=sh&stdin=true")
	exec.types("hello")
	exec.shows("hello")
	_, events := w.follow("alice", "/prod"+pods+"?watch=1&allowWatchBookmarks=true")
	w.api.events <- event
	if got := line(t, events); got != event {
		t.Errorf("an event is %q", got)
	}
	_, text := w.follow("root", "/prod"+pods+"/web/log?follow=true")
	w.api.lines <- "one\ntw"
	w.api.lines <- "o\nthr"
	eventually(t, "all are open", func() bool { return len(w.hub.live()) == 3 })
	first := line(t, text)
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	why := "under lockdown (L-0003), until " + emergency.Texts{}.Time(until)
	if s := exec.isTold(); !strings.Contains(s.Message, why) || s.Status != "Failure" || s.Reason != "Forbidden" {
		t.Errorf("exec is told %+v", s)
	}
	var told struct {
		Type   string
		Object status
	}
	rest, err := io.ReadAll(events)
	lines := strings.SplitAfter(string(rest), "\n")
	if err == nil || json.Unmarshal([]byte(lines[max(0, len(lines)-2)]), &told) != nil || told.Type != "ERROR" || !strings.Contains(told.Object.Message, why) || told.Object.Code != 403 {
		t.Errorf("a watch is told %q, %v", rest, err)
	}
	rest, err = io.ReadAll(text)
	if all := first + string(rest); err == nil || !strings.HasPrefix(all, "one\ntw") || !strings.HasSuffix(all, "\n") || !strings.Contains(all, "\nPortcullis: session ended.") || !strings.Contains(all, why) {
		t.Errorf("a log is told %q, %v", all, err)
	}
	if took := time.Since(struck); took > time.Second {
		t.Errorf("it took %v", took)
	}
	for range 3 {
		<-w.api.gone
	}
	eventually(t, "the broker has heard of the ends", func() bool { return len(w.hub.live()) == 0 && w.connector.Live() == 0 })
}

func TestNothingPassesOnceItIsOver(t *testing.T) {
	w := newWorld(t)
	exec := w.exec("alice", "command=sh&stdin=true")
	exec.types("before;")
	exec.shows("before;")
	w.strike(termination(&emergencyv1.Selector{Devices: []string{"prod"}}))
	exec.isTold()
	_, _ = exec.conn.Write([]byte("\x82\x86\x00\x00\x00\x00\x00after"))
	<-w.api.gone
	if got := w.api.stdin(); got != "before;" {
		t.Errorf("the command has read %q", got)
	}
	again := w.exec("alice", "command=sh&stdin=true")
	again.types("anew")
	again.shows("anew")
}

func TestAFreezeLetsWhatIsLiveGoOn(t *testing.T) {
	w := newWorld(t)
	exec := w.exec("alice", "command=sh&stdin=true")
	w.strike(window(emergencyv1.Emergency_FREEZE, time.Now().Add(time.Hour)))
	exec.types("still here")
	exec.shows("still here")
	_, answer := w.upgrade("alice", "/prod"+pods+"/web/exec", "Upgrade", "websocket", "Sec-WebSocket-Protocol", "v5.channel.k8s.io")
	body, _ := io.ReadAll(answer.Body)
	if s := refusalOf(t, string(body)); answer.StatusCode != 403 || !strings.Contains(s.Message, "prod is frozen until") {
		t.Errorf("a new one: %s %s", answer.Status, body)
	}
}

// What a person who does not read is sent fills every buffer on the way.
func TestAPeerThatDoesNotReadIsClosedAllTheSame(t *testing.T) {
	w := newWorld(t)
	w.exec("alice", "command=flood")
	answer, _ := w.follow("alice", "/prod"+pods+"/web/log?follow=1")
	for range 50 {
		w.api.lines <- strings.Repeat("flood\n", 100_000)
	}
	eventually(t, "both are open", func() bool { return len(w.hub.live()) == 2 })
	time.Sleep(200 * time.Millisecond) // for the buffers to fill; nothing here shows that they have
	struck := time.Now()
	w.strike(termination(&emergencyv1.Selector{All: true}))
	for range 2 {
		<-w.api.gone
	}
	eventually(t, "both are over", func() bool { return w.connector.Live() == 0 })
	if took := time.Since(struck); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("half of a log is taken for a whole one")
	}
}

// The cut comes while the session is decided on, and the gate knows nothing of it yet.
func TestASessionThatIsBeingOpenedDoesNotSlipInBesideACut(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.platform.hold = func(connector.Request) {
		if asked++; asked == 2 { // after dialling
			s := termination(&emergencyv1.Selector{All: true})(emergency.Revision{Epoch: 1, Sequence: 99})
			cut, _ := emergency.CutOf(s)
			cutNow := w.hub.standing
			cutNow.Revision = "1-99"
			cutNow.Cuts = []*emergencyv1.Cut{cut.Proto()}
			w.hub.send(cutNow)
			eventually(t, "the connector holds it", func() bool { return w.connector.Held().Sequence == 99 })
		}
	}
	code, body := w.get("alice", "/prod"+pods+"/web/log?follow=1")
	if s := refusalOf(t, body); code != 403 || !strings.Contains(s.Message, "Terminated") {
		t.Errorf("%d %s", code, body)
	}
	if n := w.api.count(); n > 0 {
		t.Errorf("%d requests have reached the API server", n)
	}
	if asked != 2 {
		t.Errorf("the gate was asked %d times", asked)
	}
}

func TestACommandIsNotStartedBeforeItsSessionIsLetIn(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan bool, 1), make(chan bool)
	asked := 0
	w.platform.hold = func(connector.Request) {
		if asked++; asked == 2 {
			entered <- true
			<-release
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		w.exec("alice", "command=rm")
	}()
	<-entered
	if n := w.api.count(); n > 0 {
		t.Errorf("%d requests have reached the API server", n)
	}
	close(release)
	<-done
	if w.api.count() != 1 {
		t.Error("it has not reached the API server")
	}
}

func TestWhenTheBastionStopsASessionSaysSo(t *testing.T) {
	w := newWorld(t)
	exec := w.exec("alice", "command=sh")
	w.stop()
	if s := exec.isTold(); !strings.Contains(s.Message, "The bastion stops here") {
		t.Errorf("it is told %+v", s)
	}
}

// Its process may go on: whatever serves may start again there, and knows nothing of what was before.
func TestNoSessionOutlivesTheProxy(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan bool, 1), make(chan bool)
	w.platform.hold = func(connector.Request) {
		entered <- true
		<-release
	}
	refused := make(chan string, 1)
	go func() {
		_, answer := w.upgrade("alice", "/prod"+pods+"/web/exec", "Upgrade", "websocket", "Sec-WebSocket-Protocol", "v5.channel.k8s.io")
		body, _ := io.ReadAll(answer.Body)
		refused <- answer.Status + string(body)
	}()
	<-entered
	w.proxy.endAll("stopped")
	close(release)
	if got := <-refused; !strings.Contains(got, "403") || !strings.Contains(got, "The bastion stops here") {
		t.Errorf("it is answered %s", got)
	}
}

func TestAnAPIServerThatSwitchesProtocolsUnaskedIsNotFollowed(t *testing.T) {
	w := newWorld(t)
	w.api.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
		conn, _ := w.api.hijack(rw, "")
		_ = conn.Close()
		return true
	}
	for _, path := range []string{"", "?watch=1"} {
		if code, body := w.get("alice", "/prod"+pods+path); code != http.StatusServiceUnavailable {
			t.Errorf("%q: %d %s", path, code, body)
		}
	}
}

func TestAnUpgradeIsOfAProtocolThatCanBeEnded(t *testing.T) {
	w := newWorld(t)
	for _, headers := range [][]string{{"Upgrade", "h2c"}, {"Upgrade", "websocket", "Upgrade", "SPDY/3.1"}, {}, {"Upgrade", "SPDY/3.1, h2c"}} {
		_, answer := w.upgrade("alice", "/prod"+pods, headers...)
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %s", headers, answer.Status)
		}
	}
	if n := w.api.count(); n > 0 {
		t.Errorf("%d requests have reached the API server", n)
	}
	_, answer := w.upgrade("alice", "/prod"+pods+"/web/exec", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions", "permessage-deflate",
		"Sec-WebSocket-Protocol", bearerProtocol+"eA, v5.channel.k8s.io", "Sec-WebSocket-Protocol", bearerProtocol+"eQ")
	if answer.StatusCode != 101 {
		t.Fatal(answer.Status)
	}
	got := w.api.last("/exec").Header
	if len(got["Sec-Websocket-Protocol"]) != 1 || got.Get("Sec-Websocket-Protocol") != "v5.channel.k8s.io" || got.Get("Sec-Websocket-Extensions") != "" || got.Get("Impersonate-User") != "portcullis:alice" {
		t.Errorf("%v", got)
	}
}

func TestSPDYIsToldOnItsErrorStream(t *testing.T) {
	w := newWorld(t)
	conn, answer := w.upgrade("alice", "/prod"+pods+"/web/exec", "Upgrade", "SPDY/3.1", "X-Stream-Protocol-Version", "v4.channel.k8s.io")
	if answer.StatusCode != 101 {
		t.Fatal(answer.Status)
	}
	hello := make([]byte, 13)
	_, err := io.ReadFull(conn.r, hello)
	must(t, err)
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, time.Now().Add(time.Hour)))
	rest, err := io.ReadAll(conn.r)
	if err != nil || len(rest) < 8 || binary.BigEndian.Uint32(rest) != errorStream || rest[4] != 1 || int(binary.BigEndian.Uint32(rest[4:])&0xffffff) != len(rest)-8 {
		t.Fatalf("%q %v", rest, err)
	}
	var s status
	if err := json.Unmarshal(rest[8:], &s); err != nil || !strings.Contains(s.Message, "under lockdown") {
		t.Errorf("%s %v", rest[8:], err)
	}
}

func TestATunnelIsToldInItsClosingFrame(t *testing.T) {
	w := newWorld(t)
	conn, answer := w.upgrade("alice", "/prod"+pods+"/web/portforward", "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io")
	if answer.StatusCode != 101 {
		t.Fatal(answer.Status)
	}
	w.strike(termination(&emergencyv1.Selector{Protocols: []string{Protocol}}))
	if op, payload := conn.reads(); op != opClose || binary.BigEndian.Uint16(payload) != closePolicy || !strings.Contains(string(payload[2:]), "Terminated by an administrator") {
		t.Errorf("%d %q", op, payload)
	}
}
