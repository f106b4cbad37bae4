package scenario

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"portcullis.dev/deploy/e2e/client"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// d3 is the body of requirement D3, byte for byte.
func d3(until time.Time) string {
	m := "Portcullis is under Lockdown until " + said(until)
	return fmt.Sprintf(`{"response":{"status":503,"mensagem":"%s","erro":true,"cod_erro":100,"message":"%s","error":true,"error_code":100}}`, m, m)
}

// isD3 fails the test unless the answer is exactly the lockdown's.
func (w *world) isD3(who string, until time.Time, a *client.Answer, err error) {
	w.Helper()
	if err != nil {
		w.Errorf("%s: %v", who, err)
		return
	}
	if a.Status != http.StatusServiceUnavailable || strings.TrimRight(string(a.Body), "\n") != d3(until) {
		w.Errorf("%s got\n%s, want 503\n%s", who, a, d3(until))
	}
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if left := time.Until(until).Seconds(); err != nil || float64(after) < left || float64(after) > left+3 {
		w.Errorf("%s: Retry-After is %q, want the %.1f seconds left, rounded up", who, a.Header.Get("Retry-After"), left)
	}
}

func lockdownCloses(w *world) {
	root, other, third := w.root(), w.root(), w.root()
	alice := w.person("alice")
	program, agent := w.token(root, "API"), w.token(root, "AGENT")
	ofAlice, ofRoot := w.hold("alice", "web-1"), w.hold(root.Name, "db-1")
	w.must(program.Call(http.MethodGet, "/v1/devices", nil))
	w.must(agent.Call(http.MethodGet, "/v1/devices", nil))
	posture := w.watch(alice.Token)
	checks := w.checkStream(program.Token)

	asked := time.Now()
	l := w.lockdown(root, nil)
	answered := time.Now()
	end := w.moment(l, "endTime")
	if l.Text("status") != "ONGOING" || w.moment(l, "startTime").Before(asked.Add(-time.Second)) {
		w.Errorf("the lockdown reads %s", l)
	}

	// Every session ends, and says why and until when; so do streams that were open.
	w.endsWithin(ofAlice, answered, time.Second)
	w.endsWithin(ofRoot, answered, time.Second)
	if read := ofAlice.Output(); !strings.Contains(read, l.Text("id")) || !strings.Contains(read, said(end)) {
		w.Errorf("alice's session ended with %q, which does not name %s and %s", read, l.Text("id"), said(end))
	}
	w.cutByLockdown("a stream of checks", checks.err(time.Second))
	posture.cut(w, time.Second)
	w.everyDoorHolds(root, l.Text("id"))

	// Everyone but administrators is refused, in D3's words.
	if read := w.shut("alice", "web-1"); !strings.Contains(read, "Portcullis is under Lockdown until "+said(end)) {
		w.Errorf("alice reads %q", read)
	}
	w.shut(root.Name, "db-1") // a session is refused to everyone
	a, err := program.Call(http.MethodGet, "/v1/devices", nil)
	w.isD3("a program", end, a, err)
	a, err = agent.Call(http.MethodGet, "/v1/devices", nil)
	w.isD3("an agent", end, a, err)
	a, err = w.stranger("alice").SignIn()
	w.isD3("alice, who signs in", end, a, err)
	wrong := w.stranger("alice")
	wrong.Password = "not alice's password"
	a, err = wrong.SignIn()
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
	_, err = gatev1.NewDevicesClient(w.grpc()).ListDevices(bearer(program.Token), &gatev1.ListDevicesRequest{})
	w.cutByLockdown("a program over gRPC", err)
	_, err = identityv1.NewSignInsClient(w.grpc()).CreateSignIn(context.Background(),
		&identityv1.CreateSignInRequest{Username: "alice", Password: password})
	w.cutByLockdown("alice, who signs in over gRPC", err)

	// What must stay open is open, and the panel works.
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} {
		w.must(client.Client{Base: w.HTTP}.Call(http.MethodGet, path, nil))
	}
	p := w.must(client.Client{Base: w.HTTP}.Call(http.MethodGet, "/v1/posture", nil))
	if !w.moment(p, "lockdown.until").Equal(end) || len(p.Objects("emergencies")) != 0 {
		w.Errorf("the posture without a token reads %s", p)
	}
	w.must(root.Call(http.MethodGet, "/v1/lockdowns/"+l.Text("id"), nil))
	a, err = other.Call(http.MethodGet, "/v1/lockdowns", nil)
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
	old := other.Client
	w.must(other.SignIn())
	p = w.must(other.Call(http.MethodGet, "/v1/posture", nil))
	if list := p.Objects("emergencies"); len(list) != 1 || list[0]["id"] != l.Text("id") {
		w.Errorf("the posture of an administrator reads %s", p)
	}
	w.everyDoorHolds(other, l.Text("id"))

	// Its end comes by itself. What it ended stays ended; what it refused works again.
	end = w.shorten(other, "lockdowns", l.Text("id"), 2*time.Second)
	a, err = program.Call(http.MethodGet, "/v1/devices", nil)
	w.isD3("a program, after the end was moved", end, a, err)
	time.Sleep(time.Until(end))
	w.must(program.Call(http.MethodGet, "/v1/devices", nil))
	w.must(agent.Call(http.MethodGet, "/v1/devices", nil))
	a, err = alice.Call(http.MethodGet, "/v1/users/alice", nil)
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
	for who, c := range map[string]client.Client{"another administrator": old, "a third": third.Client} {
		if a, err := c.Call(http.MethodGet, "/v1/lockdowns", nil); err != nil || a.Status != http.StatusUnauthorized {
			w.Errorf("the sign-in of %s works again after the lockdown: %v %v", who, a, err)
		}
		if a, err := c.Call(http.MethodPost, "/v1/sign-ins/current:refresh", object{}); err != nil || a.Status != http.StatusUnauthorized {
			w.Errorf("the sign-in of %s can be refreshed after the lockdown: %v %v", who, a, err)
		}
	}
	w.must(root.Call(http.MethodGet, "/v1/lockdowns", nil))
	w.must(alice.SignIn())
	w.open("alice", "web-1")
	if got := w.must(root.Call(http.MethodGet, "/v1/lockdowns/"+l.Text("id"), nil)); got.Text("status") != "ENDED" {
		w.Errorf("after its end the lockdown reads %s", got)
	}
}

func lockdownBreakGlass(w *world) {
	root, other := w.root(), w.root()
	spared, shut := w.token(root, "API"), w.token(root, "API")
	tokens := w.must(root.Call(http.MethodGet, "/v1/tokens", nil)).Objects("tokens")
	if len(tokens) < 2 {
		w.Fatalf("the tokens are %v", tokens)
	}
	id := tokenID(spared.Token)
	bruno := w.person("bruno")
	live := w.hold("bruno", "web-1")
	l := w.lockdown(root, object{"breakGlassUsers": []string{"bruno"}, "breakGlassTokens": []string{id}, "revokeTokens": true})
	end := w.moment(l, "endTime")
	w.everyDoorHolds(root, l.Text("id"))
	w.must(spared.Call(http.MethodGet, "/v1/devices", nil))
	a, err := shut.Call(http.MethodGet, "/v1/devices", nil)
	w.isD3("a program that is not named", end, a, err)
	w.endsWithin(live, time.Now(), time.Second) // it ended like every other; new ones may start
	w.must(bruno.SignIn())
	w.open("bruno", "web-1")
	w.shut("alice", "web-1")

	w.cancel(w.again(other), "lockdowns", l.Text("id"))
	a, err = shut.Call(http.MethodGet, "/v1/devices", nil)
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
}

// watched is a stream of postures as newline-delimited JSON.
type watched struct {
	lines <-chan string
}

func (w *world) watch(token string) watched {
	w.Helper()
	lines, err := client.Client{Base: w.HTTP, Token: token}.Stream(w.Context(), "/v1/posture:watch")
	if err != nil {
		w.Fatal(err)
	}
	select {
	case first := <-lines:
		if !strings.Contains(first, `"emergencies"`) {
			w.Errorf("the first posture of a stream reads %s", first)
		}
	case <-time.After(5 * time.Second):
		w.Fatal("a stream of postures says nothing")
	}
	return watched{lines}
}

// cut fails the test unless the stream ends in time, and tells nothing besides that somebody without a
// sign-in may not know.
func (s watched) cut(w *world, patience time.Duration) {
	w.Helper()
	deadline := time.After(patience)
	last := ""
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				if !strings.Contains(last, "Portcullis is under Lockdown until ") {
					w.Errorf("the last line of a stream that a lockdown has cut reads %s", last)
				}
				return
			}
			if strings.Contains(line, "break-in") || strings.Contains(line, "INC-4711") {
				w.Errorf("a stream of somebody who may not read the record tells of it: %s", line)
			}
			last = line
		case <-deadline:
			w.Errorf("a stream that was open before the lockdown lives on; its last line reads %s", last)
			return
		}
	}
}

// cutByLockdown fails the test unless a gRPC error says what D3 says.
func (w *world) cutByLockdown(who string, err error) {
	w.Helper()
	s := status.Convert(err)
	var reason string
	var retry time.Duration
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	if s.Code() != codes.Unavailable || reason != "LOCKDOWN" || retry <= 0 || retry > 11*time.Minute ||
		!strings.HasPrefix(s.Message(), "Portcullis is under Lockdown until ") {
		w.Errorf("%s: got %v, reason %q, retry after %v; want UNAVAILABLE LOCKDOWN", who, err, reason, retry)
	}
}

func bearer(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}
