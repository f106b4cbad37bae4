package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestABadTokenIsRefusedThroughHTTP(t *testing.T) {
	p := open(t)
	for _, header := range []string{"", "Bearer bad", "Bearer", "Bearer ", "Basic Z29vZA==", "good", "Bearer good extra", "Bearer good\xff"} {
		a := p.call(t, "GET", "/v1/devices/db-1", "", "Authorization", header)
		if a.status != 401 || !strings.Contains(a.body, `"reason":"UNAUTHENTICATED"`) {
			t.Errorf("%q: got %d %s", header, a.status, a.body)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/devices/db-1", nil)
	r.Header["Authorization"] = []string{"Bearer good", "Bearer bad"}
	w := httptest.NewRecorder()
	p.gateway.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("two tokens: got %d", w.Code)
	}
	if a := p.call(t, "GET", "/v1/devices/db-1", ""); a.status != 200 {
		t.Errorf("the good one: got %d %s", a.status, a.body)
	}
}

func TestPostureTakesNoToken(t *testing.T) {
	p := open(t)
	a := p.call(t, "GET", "/v1/posture", "", "Authorization", "")
	if a.status != 200 || strings.Contains(a.body, "until") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	p.lockDown(noon.AddDate(0, 0, 1))
	a = p.call(t, "GET", "/v1/posture", "", "Authorization", "")
	if a.status != 200 || !strings.Contains(a.body, `"until":"2022-08-10T12:00:00Z"`) {
		t.Errorf("in a lockdown: got %d %s", a.status, a.body)
	}
}

func TestSigningInDuringALockdownTellsARightPasswordFromAWrongOne(t *testing.T) {
	p := open(t)
	p.lockDown(noon.AddDate(0, 0, 1))
	for password, want := range map[string]int{"right": 503, "wrong": 401} {
		a := p.call(t, "POST", "/v1/sign-ins", `{"username":"bob","password":"`+password+`"}`, "Authorization", "")
		if a.status != want || want == 503 && !strings.HasPrefix(a.body, `{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until 10/08/2022 12:00:00"`) {
			t.Errorf("%s: got %d %s", password, a.status, a.body)
		}
	}
}

func TestNothingThatTheOutsideSaysOfItselfReachesAService(t *testing.T) {
	p := open(t)
	p.call(t, "GET", "/v1/devices/db-1", "",
		"Grpc-Metadata-Portcullis-Address", "6.6.6.6", "Grpc-Metadata-Authorization", "Bearer other", "Grpc-Metadata-x", "evil-1",
		"Portcullis-Address", "evil-2", "Portcullis-User", "evil-3", "X-Portcullis-Peer", "evil-4", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil-5",
		"Forwarded", "for=evil-6", "X-Real-Ip", "6.6.6.6", "Cookie", "evil-7", "User-Agent", "evil-8", "Grpc-Timeout", "1n", "Grpcgateway-Host", "evil-9",
		"Grpc-Metadata-X-Bin", "!", "Te", "trailers")
	seen, request := p.last()
	if request == nil {
		t.Fatal("the call did not arrive")
	}
	for name, values := range seen {
		text := name + ": " + strings.Join(values, ", ")
		if strings.Contains(text, "evil") || strings.Contains(text, "6.6.6.6") || strings.Contains(text, "other") {
			t.Errorf("arrived: %s", text)
		}
	}
	if got := seen.Get("portcullis-address"); len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("the address is %q", got)
	}
	if got := seen.Get("authorization"); len(got) != 1 || got[0] != "Bearer good" {
		t.Errorf("the credential is %q", got)
	}
}

func TestOnlyATrustedProxySaysWhereARequestComesFrom(t *testing.T) {
	trusted, err := parseProxies([]string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer string
		via  []string
		want string
	}{
		{"203.0.113.9:1", nil, "203.0.113.9"},
		{"203.0.113.9:1", []string{"6.6.6.6"}, "203.0.113.9"},
		{"10.1.2.3:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.1.2.3:1", []string{"6.6.6.6, 203.0.113.9"}, "203.0.113.9"},
		{"10.1.2.3:1", []string{"6.6.6.6, 203.0.113.9, 192.0.2.7"}, "203.0.113.9"},
		{"10.1.2.3:1", []string{"6.6.6.6", "203.0.113.9", "10.9.9.9"}, "203.0.113.9"},
		{"10.1.2.3:1", []string{"nonsense"}, "10.1.2.3"},
		{"10.1.2.3:1", []string{"203.0.113.9, nonsense"}, "10.1.2.3"},
		{"10.1.2.3:1", nil, "10.1.2.3"},
		{"[::ffff:10.1.2.3]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"[fd00::1%eth0]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[2001:db8::2]:1", []string{"6.6.6.6"}, "2001:db8::2"},
		{"pipe", []string{"6.6.6.6"}, ""},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.via}}
		if got := trusted.client(r); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.peer, c.via, got, c.want)
		}
	}
	if _, err := parseProxies([]string{"proxy.example"}); err == nil {
		t.Error("a name is not an address")
	}
}

func TestEveryAnswerHasARequestIDAndTheStrictHeaders(t *testing.T) {
	p := open(t)
	for _, path := range []string{"/v1/posture", "/v1/nothing", "/", "/plain", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/docs.css", "/v1/devices/a%2Fb"} {
		a := p.call(t, "GET", path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Content-Security-Policy": "default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-",
		} {
			if got := a.header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if scripted := path == "/"; !scripted && strings.Contains(a.header.Get("Content-Security-Policy"), "script") || strings.Contains(a.body, "<script") != scripted {
			t.Errorf("%s: has a script, or the console has none", path)
		}
		if len(a.header.Get("X-Request-Id")) < 20 {
			t.Errorf("%s: no request id", path)
		}
	}
}

func TestARequestIDOfTheCallerIsKeptIfItIsOne(t *testing.T) {
	p := open(t)
	for id, kept := range map[string]bool{"call-7-A": true, "a.b": false, "a b": false, "a\tb": false, strings.Repeat("a", 65): false, "<x>": false} {
		a := p.call(t, "GET", "/v1/devices/db-1", "", "X-Request-Id", id)
		seen, _ := p.last()
		got := a.header.Get("X-Request-Id")
		if (got == id) != kept || strings.Join(seen.Get("x-request-id"), "|") != got {
			t.Errorf("%q: answered %q, passed on %q", id, got, seen.Get("x-request-id"))
		}
	}
}
