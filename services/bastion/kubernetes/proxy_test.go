package kubernetes

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func refusalOf(t *testing.T, body string) status {
	t.Helper()
	var s status
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.Kind != "Status" || s.APIVersion != "v1" || s.Status != "Failure" {
		t.Errorf("a refusal reads %q (%v)", body, err)
	}
	return s
}

func TestAnAPIServerKnowsThePersonByImpersonationAlone(t *testing.T) {
	w := newWorld(t)
	forged := func(r *http.Request) {
		for name, value := range map[string]string{
			"Impersonate-User": "system:admin", "Impersonate-Group": "system:masters", "Impersonate-Uid": "0", "Impersonate-Extra-Scopes": "all",
			"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9",
			"Cookie": "session=1", "Connection": "Impersonate-User, Impersonate-Group, Authorization", "Kubectl-Command": "kubectl get", "Accept": "application/json",
			"Proxy-Authorization": "Basic eA==",
		} {
			r.Header.Set(name, value)
		}
		r.Header["impersonate-user"] = []string{"system:admin"}
	}
	if code, body := w.get("alice", "/prod"+pods, forged); code != http.StatusOK || !strings.Contains(body, `"PodList"`) {
		t.Fatalf("%d %s", code, body)
	}
	got := w.api.last("/pods").Header
	want := http.Header{
		"Authorization": {"Bearer " + apiToken}, "Impersonate-User": {"portcullis:alice"}, "Impersonate-Group": {"portcullis:viewers"},
		"X-Forwarded-For": {"127.0.0.1"}, "Kubectl-Command": {"kubectl get"}, "Accept": {"application/json"}, "User-Agent": {"Go-http-client/1.1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	w.get("root", "/prod"+pods)
	if got := w.api.last("/pods").Header["Impersonate-Group"]; !slices.Equal(got, []string{"portcullis:owners", "portcullis:viewers"}) {
		t.Errorf("root is in %v", got)
	}
	if seen := w.platform.addresses; !slices.Contains(seen, "127.0.0.1") {
		t.Errorf("the gate hears of the addresses %v", seen)
	}
}

func TestThePathGoesOnAsItWasWritten(t *testing.T) {
	w := newWorld(t)
	if code, body := w.get("alice", "/prod/a%20b/c%252Fd/%C3%A9?x=1%2C2&y=%20"); code != http.StatusOK || !strings.Contains(body, "odd") {
		t.Errorf("%d %s", code, body)
	}
	if got := w.api.last("é").URL; got.EscapedPath() != "/a%20b/c%252Fd/%C3%A9" || got.RawQuery != "x=1%2C2&y=%20" {
		t.Errorf("it asked for %s", got)
	}
	for path, want := range map[string]int{"/": 404, "": 404, "//prod/api": 404, "/pr%6fd/api": 404, "/prod/../prod/version": 404, "/prod": 404} {
		if code, body := w.get("alice", path); code != want {
			t.Errorf("%q: %d %s", path, code, body)
		}
	}
}

func TestNobodyIsLetInWithoutASignInOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	id, program, hash := who.NewToken()
	w.platform.put("identity.token."+id, &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Name: "ci", Channel: identityv1.Token_API, ArmedRevision: "1-1"}})
	w.platform.put("identity.user.gone", &identityv1.UserRecord{User: &identityv1.User{Name: "gone", Disabled: true}})
	w.platform.change(func(*emergency.Builder, emergency.Revision) {})
	bearer := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	good := "Bearer " + w.platform.signIn("alice")
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   int
	}{
		"nothing":            {bearer(), 401},
		"nonsense":           {bearer("Bearer nonsense"), 401},
		"another scheme":     {bearer("Basic YWxpY2U6eA=="), 401},
		"two at once":        {bearer(good, good), 401},
		"disabled":           {bearer("Bearer " + w.platform.signIn("gone")), 401},
		"the API server's":   {bearer("Bearer " + apiToken), 401},
		"a program":          {bearer("Bearer " + program), 403},
		"a cookie":           {func(r *http.Request) { r.Header.Set("Cookie", "token="+good) }, 401},
		"a WebSocket's":      {func(r *http.Request) { r.Header.Set("Sec-Websocket-Protocol", bearerProtocol+"eA") }, 401},
		"one without access": {bearer("Bearer " + w.platform.signIn("bob")), 403},
	} {
		code, body := w.get("", "/prod"+pods, c.change)
		if s := refusalOf(t, body); code != c.code || s.Code != c.code || s.Message == "" {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if n := w.api.count(); n != 0 {
		t.Errorf("%d requests have reached the API server", n)
	}
}

func TestAConnectionIsAStrangersUntilARequestProvesWhoIsThere(t *testing.T) {
	w := newWorld(t)
	strangers := func() (n int) { w.crowd.Range(func(any, any) bool { n++; return true }); return n }
	open := func() *tls.Conn {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.address, "https://"), &tls.Config{RootCAs: w.roots})
		must(t, err)
		return conn
	}
	proven, gone := open(), open()
	eventually(t, "two are there", func() bool { return strangers() == 2 })
	must(t, w.request("alice", "/prod/version").Write(proven))
	eventually(t, "one has said who", func() bool { return strangers() == 1 })
	must(t, gone.Close())
	eventually(t, "the other has gone", func() bool { return strangers() == 0 })
	must(t, proven.Close())
}

func TestAnEmergencyRefusesWithItsReasonAndKubectlDoesNotTryAgain(t *testing.T) {
	w := newWorld(t)
	before := w.platform.signIn("root")
	until := time.Now().Add(time.Hour)
	w.strike(window(emergencyv1.Emergency_FREEZE, until))
	for _, path := range []string{"/prod" + pods, "/prod" + pods + "?watch=1", "/prod" + pods + "/web/log?follow=true"} {
		code, body := w.get("alice", path)
		if s := refusalOf(t, body); code != 403 || s.Reason != "Forbidden" || !strings.Contains(s.Message, "prod is frozen until "+emergency.Texts{}.Time(until)) {
			t.Errorf("%s in a freeze: %d %s", path, code, body)
		}
	}
	if code, _ := w.get("root", "/prod"+pods); code != 200 {
		t.Error("a freeze spares administrators")
	}
	asked := w.api.count()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	sentence := emergency.Texts{}.Lockdown(until)
	for name, bearer := range map[string]string{"a new sign-in": w.platform.signIn("root"), "one that it has ended": before, "nobody": "x"} {
		code, body := w.get("", "/prod"+pods, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bearer) })
		if s := refusalOf(t, body); code != 403 || !strings.Contains(s.Message, sentence) {
			t.Errorf("%s in a lockdown: %d %s", name, code, body)
		}
	}
	if w.api.count() != asked {
		t.Error("a request has reached the API server")
	}
	w.platform.change(func(b *emergency.Builder, r emergency.Revision) {
		for _, e := range w.platform.now.Emergency.Emergencies() {
			over := window(e.GetKind(), time.Now())(r)
			over.Id, over.CutoffRevision, over.StartTime = e.GetId(), e.GetCutoffRevision(), e.GetStartTime()
			b.PutEmergency(over)
		}
	})
	code, body := w.get("", "/prod"+pods, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+before) })
	if s := refusalOf(t, body); code != 401 || !strings.Contains(s.Message, "has ended your sign-in") {
		t.Errorf("what a lockdown has ended stays ended: %d %s", code, body)
	}
	if code, body := w.get("alice", "/prod"+pods); code != 200 {
		t.Errorf("afterwards: %d %s", code, body)
	}
}

func TestARequestThatIsOnWhenACutComesIsAnsweredNoMore(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan bool, 2), make(chan bool)
	w.api.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		entered <- true
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	}
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	type answer struct {
		code int
		body string
	}
	ask := func(user string) <-chan answer {
		got := make(chan answer, 1)
		r := w.request(user, "/prod"+pods)
		go func() {
			a, err := w.client().Do(r)
			if err != nil {
				got <- answer{0, err.Error()}
				return
			}
			defer a.Body.Close()
			body := make([]byte, 4096)
			n, _ := a.Body.Read(body)
			got <- answer{a.StatusCode, string(body[:n])}
		}()
		<-entered
		return got
	}
	alice, root := ask("alice"), ask("root")
	w.strike(termination(&emergencyv1.Selector{Users: []string{"alice"}}))
	select {
	case got := <-alice:
		if s := refusalOf(t, got.body); got.code != 403 || !strings.Contains(s.Message, "Terminated by an administrator") {
			t.Errorf("%+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
	let()
	if got := <-root; got.code != 200 {
		t.Errorf("another's: %+v", got)
	}
}

func TestTheAPIServerIsVerifiedByTheDevicesAuthorities(t *testing.T) {
	w := newWorld(t)
	other := w.api.device("other")
	stranger, _ := certificateFor(t, "127.0.0.1")
	other.ServerCa = string(stranger)
	w.platform.add(other, w.api.credential())
	named := w.api.device("named")
	named.Host = "localhost" // which its certificate does not name
	w.platform.add(named, w.api.credential())
	none := w.api.device("none")
	none.CredentialSet = false
	w.platform.add(none, w.api.credential())
	ssh := w.api.device("ssh")
	ssh.Protocol = gatev1.Protocol_SSH
	w.platform.add(ssh, w.api.credential())
	wrong := w.api.device("wrong")
	w.platform.add(wrong, &gatev1.Credential{Username: "bastion", Password: "another"})
	broken := w.api.device("broken")
	w.platform.add(broken, &gatev1.Credential{Username: "bastion", PrivateKey: "s3cret"})
	down := w.api.device("down")
	down.Port = 1
	w.platform.add(down, w.api.credential())
	for device, want := range map[string]struct {
		code    int
		message string
	}{
		"other": {403, "Somebody may be in between"}, "named": {403, "Somebody may be in between"}, "none": {403, "no credential yet"}, "ssh": {400, "no Kubernetes cluster"},
		"wrong": {403, "doesn't take the credential"}, "broken": {403, "can't be used"}, "down": {503, "does not answer"},
	} {
		for _, query := range []string{"", "?watch=1"} {
			code, body := w.get("alice", "/"+device+pods+query)
			if s := refusalOf(t, body); code != want.code || !strings.Contains(s.Message, want.message) || strings.Contains(body, "s3cret") {
				t.Errorf("%s%s: %d %s", device, query, code, body)
			}
		}
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestACertificateIsACredentialToo(t *testing.T) {
	w := newWorld(t)
	cert, key := certificateFor(t, "127.0.0.1")
	w.platform.add(w.api.device("certified"), &gatev1.Credential{Username: "bastion", PrivateKey: string(key) + string(cert)})
	if code, body := w.get("alice", "/certified"+pods); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if got := w.api.last("/pods"); got.Header.Get("Authorization") != "" || len(got.TLS.PeerCertificates) != 1 || got.Header.Get("Impersonate-User") != "portcullis:alice" {
		t.Errorf("%v", got.Header)
	}
}

func TestANewCertificateCountsFromTheNextConnectionOn(t *testing.T) {
	w := newWorld(t)
	old := w.ca
	w.rotate()
	for name, c := range map[string]struct {
		ca   []byte
		good bool
	}{"before": {old, false}, "now": {w.ca, true}} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.address, "https://"), &tls.Config{RootCAs: pool(t, c.ca)})
		if (err == nil) != c.good {
			t.Errorf("whoever trusts the certificate of %s: %v", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	must(t, os.WriteFile(w.cert, []byte("half of i"), 0o600))
	if code, _ := w.get("alice", "/prod"+pods); code != 200 {
		t.Error("while it is replaced, the one before counts")
	}
}

func TestAProxyWithoutACertificateDoesNotStart(t *testing.T) {
	for _, c := range []Config{{}, {Cert: "/nowhere", Key: "/nowhere"}} {
		if _, err := New(c, Deps{}); err == nil || !strings.Contains(err.Error(), "kubectl-cert") {
			t.Errorf("%v", err)
		}
	}
}

func TestOnePersonDoesNotTakeEverybodysRoom(t *testing.T) {
	s := newShares()
	var leave func()
	for range maxOfOne {
		var err error
		leave, err = s.enter("alice")
		must(t, err)
	}
	if _, err := s.enter("alice"); err == nil {
		t.Error("she has still more")
	}
	if _, err := s.enter("bob"); err != nil {
		t.Errorf("he has none: %v", err)
	}
	leave()
	if _, err := s.enter("alice"); err != nil {
		t.Errorf("one has ended: %v", err)
	}
}

func TestASignInFromBeforeALockdownLeadsToNoClusterAfterIt(t *testing.T) {
	w := newWorld(t)
	bearer := func(of string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+of) }
	}
	old := w.platform.signIn("alice")
	if code, body := w.get("alice", "/prod"+pods, bearer(old)); code != 200 {
		t.Fatalf("before: %d %s", code, body)
	}
	w.strike(func(r emergency.Revision) *emergencyv1.Emergency {
		e := window(emergencyv1.Emergency_LOCKDOWN, time.Now())(r)
		e.CancelTime = timestamppb.Now()
		return e
	})
	if code, body := w.get("alice", "/prod"+pods, bearer(old)); code != 401 {
		t.Errorf("with the sign-in from before: %d %s", code, body)
	}
	if code, body := w.get("alice", "/prod"+pods, bearer(w.platform.signIn("alice"))); code != 200 {
		t.Errorf("signed in again: %d %s", code, body)
	}
}
