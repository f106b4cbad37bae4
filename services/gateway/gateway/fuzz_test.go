package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzPathAndBody: whatever comes in, the answer is no error of ours, and JSON of one of the two shapes.
func FuzzPathAndBody(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "/v1/freezes", `{"duration":"900s","justification":"x"}`},
		{"POST", "/v1/terminations", `{"selector":{"users":["a"]}}`},
		{"PATCH", "/v1/devices/db-1", `{"labels":{"a":"b"},"host":null}`},
		{"PATCH", "/v1/users/bob", `{"roles":[],"grant":"x"}`},
		{"POST", "/v1/directory:import", `{"users":[{"a":{"b":[1,2,{}]}}]}`},
		{"GET", "/v1/devices/a%2Fb?page_size=1&filter=%ff", ""},
		{"GET", "/v1/devices?pageSize=10&pageToken=x", ""},
		{"DELETE", "/v1/devices/..", ""},
		{"POST", "/v1/emergencies:preview", "{\n\"lockdown\":\n{\"startTime\":\"2022-13-01\"}}"},
		{"POST", "/v1/freezes/F-0007:cancel", `{"id":"F-0008"}`},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		target, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/v1/") || strings.Contains(path, ":watch") || strings.Contains(path, ":export") {
			return // the server would not take it, or would wait
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Method, r.URL = method, target
		r.Header.Set("Authorization", "Bearer good")
		w := httptest.NewRecorder()
		p.gateway.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented { // the fakes do not do everything
			t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q %q: no JSON: %s", method, path, body, w.Body)
		}
	})
}

// FuzzAClientsAddressIsOneThatATrustedProxyHasSeen takes any text for X-Forwarded-For, and for a cookie.
func FuzzAClientsAddressIsOneThatATrustedProxyHasSeen(f *testing.F) {
	for _, seed := range []string{"", "192.0.2.7", "evil, 192.0.2.7, 10.0.0.2", "::ffff:10.0.0.3, 10.0.0.2", "fe80::1%eth0", "[2001:db8::1]:80", ",,,"} {
		f.Add(seed, "portcullis="+seed)
	}
	trusted, err := parseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, forwarded, cookie string) {
		r := httptest.NewRequest(http.MethodGet, "/v1/posture", nil)
		r.Header["X-Forwarded-For"], r.Header["Cookie"] = []string{forwarded}, []string{cookie}
		r.RemoteAddr = "203.0.113.9:4022"
		if at := trusted.client(r); at != "203.0.113.9" {
			t.Fatalf("a stranger at 203.0.113.9 counts as %q by saying %q", at, forwarded)
		}
		r.RemoteAddr = "10.0.0.1:4022"
		if at := trusted.client(r); at != "10.0.0.1" && !strings.Contains(forwarded, ",") && at != strings.TrimSpace(forwarded) && !strings.Contains(at, ".") {
			if _, err := netip.ParseAddr(at); err != nil {
				t.Fatalf("%q is no address: %v", at, err)
			}
		}
		b := (&front{trusted: trusted}).browser(r)
		strip(r.Header)
		if err := b.use(r, new(http.CrossOriginProtection)); err == nil && b.token != "" && oneCredential(r.Header.Values("Authorization")) == nil && strings.ContainsAny(b.token, " \r\n") {
			t.Fatalf("%q is one credential", b.token)
		}
	})
}

// FuzzAFormOfThePlainPanelIsAnsweredWithAPage takes any form for any of the panel's acts.
func FuzzAFormOfThePlainPanelIsAnsweredWithAPage(f *testing.F) {
	for _, seed := range [][2]string{
		{"/plain/sign-in", "username=ana&password=right&code=123456"}, {"/plain/sign-out", ""},
		{"/plain/apply", "kind=freeze&word=FREEZE&minutes=120&justification=x&code=123456"}, {"/plain/apply", "kind=terminate&word=terminate&minutes=-1"},
		{"/plain/cancel", "id=F-0007&justification=%ff"}, {"/plain/cancel", "id="}, {"/plain", "id=%"}, {"/plain?id=L-1", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, path, form string) {
		target, err := url.ParseRequestURI(path)
		if err != nil || target.Path != "/plain" && !strings.HasPrefix(target.Path, "/plain/") {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form))
		r.URL = target
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		p.gateway.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("%q %q: %d %s", path, form, w.Code, w.Body)
		}
		if strings.Contains(w.Header().Get("Location"), "//") {
			t.Errorf("%q %q leads to %s", path, form, w.Header().Get("Location"))
		}
	})
}
