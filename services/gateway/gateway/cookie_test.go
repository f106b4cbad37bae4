package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// visit is a request of a browser, as far as the front looks at it.
func visit(t *testing.T, p *public, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://portcullis.test"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.gateway.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, a *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheConsolesTokenGoesIntoACookieThatNoScriptReads(t *testing.T) {
	p := open(t)
	signIn := `{"username":"bob","password":"right"}`
	a := visit(t, p, "POST", "/v1/sign-ins", signIn, "X-Portcullis-Console", "1")
	if a.StatusCode != 200 || len(a.Cookies()) != 1 {
		t.Fatalf("got %d, %v", a.StatusCode, a.Cookies())
	}
	if c := a.Cookies()[0]; c.Name != "portcullis" || c.Value != "good" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge <= 0 || c.Secure {
		t.Errorf("got %+v", c)
	}
	if text := read(t, a); strings.Contains(text, "good") {
		t.Errorf("the body has the token: %s", text)
	}
	if a := visit(t, p, "POST", "/v1/sign-ins", signIn); len(a.Cookies()) != 0 || !strings.Contains(read(t, a), `"token":"good"`) {
		t.Error("a program gets a cookie, or no token")
	}
}

func TestTheConsoleHearsThatNobodyIsSignedInWithoutAFailure(t *testing.T) {
	p := open(t)
	const refresh = "/v1/sign-ins/current:refresh"
	for what, headers := range map[string][]string{
		"no cookie":          {"X-Portcullis-Console", "1"},
		"one that has ended": {"X-Portcullis-Console", "1", "Cookie", "portcullis=bad", "Sec-Fetch-Site", "same-origin"},
	} {
		a := visit(t, p, "POST", refresh, "{}", headers...)
		if text := read(t, a); a.StatusCode != 200 || text != "{}" {
			t.Errorf("%s: got %d %s", what, a.StatusCode, text)
		}
		if c := a.Cookies(); len(headers) > 2 && (len(c) != 1 || c[0].MaxAge >= 0) {
			t.Errorf("%s: it is kept: %v", what, c)
		}
	}
	for what, a := range map[string]*http.Response{
		"a program":     visit(t, p, "POST", refresh, "{}"),
		"another's way": visit(t, p, "GET", "/v1/devices/db-1", "", "X-Portcullis-Console", "1"),
	} {
		if a.StatusCode != 401 {
			t.Errorf("%s: got %d", what, a.StatusCode)
		}
	}
}

func TestOnTLSTheCookieIsSecureAndOfThisVeryHost(t *testing.T) {
	p := open(t, func(c *Config, _ *Deps) { c.TrustedProxies = []string{"192.0.2.1"} })
	a := visit(t, p, "POST", "/v1/sign-ins", `{"username":"bob","password":"right"}`, "X-Portcullis-Console", "1", "X-Forwarded-Proto", "https")
	if c := a.Cookies(); len(c) != 1 || c[0].Name != "__Host-portcullis" || !c[0].Secure {
		t.Errorf("behind a trusted proxy: got %v", c)
	}
	if a := visit(t, p, "GET", "/v1/devices/db-1", "", "Cookie", "portcullis=good", "X-Forwarded-Proto", "https"); a.StatusCode != 401 {
		t.Errorf("the cookie that anybody could have set: got %d", a.StatusCode)
	}
}

func TestACookieIsACredentialForThisSiteAlone(t *testing.T) {
	p := open(t)
	for _, c := range []struct {
		what, method string
		headers      []string
		want         int
	}{
		{"reading", "GET", nil, 200},
		{"this site", "DELETE", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"this site, an old browser", "DELETE", []string{"Origin", "http://portcullis.test"}, 200},
		{"another site", "DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a neighbour", "DELETE", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another site, an old browser", "DELETE", []string{"Origin", "http://evil.test"}, 403},
	} {
		path := map[string]string{"GET": "/v1/devices/db-1", "DELETE": "/v1/sign-ins/current"}[c.method]
		a := visit(t, p, c.method, path, "", append(c.headers, "Cookie", "portcullis=good")...)
		if a.StatusCode != c.want {
			t.Errorf("%s: got %d %s", c.what, a.StatusCode, read(t, a))
		}
	}
}

func TestAuthorizationWinsOverACookie(t *testing.T) {
	p := open(t)
	if a := visit(t, p, "GET", "/v1/devices/db-1", "", "Cookie", "portcullis=good", "Authorization", "Bearer bad"); a.StatusCode != 401 || len(a.Cookies()) != 0 {
		t.Errorf("got %d, %v", a.StatusCode, a.Cookies())
	}
	if a := visit(t, p, "GET", "/v1/devices/db-1", "", "Cookie", "portcullis=bad", "Authorization", "Bearer good"); a.StatusCode != 200 {
		t.Errorf("got %d", a.StatusCode)
	}
}

func TestACookieThatIsOverIsForgotten(t *testing.T) {
	p := open(t)
	for what, a := range map[string]*http.Response{
		"one that is not valid": visit(t, p, "GET", "/v1/devices/db-1", "", "Cookie", "portcullis=bad"),
		"signing out":           visit(t, p, "DELETE", "/v1/sign-ins/current", "", "Cookie", "portcullis=good"),
	} {
		if c := a.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
			t.Errorf("%s: got %d, %v", what, a.StatusCode, c)
		}
	}
	if a := visit(t, p, "POST", "/v1/sign-ins", `{"username":"bob","password":"right"}`, "Cookie", "portcullis=bad", "X-Portcullis-Console", "1"); a.StatusCode != 200 {
		t.Errorf("signing in again: got %d", a.StatusCode)
	}
}

func TestThePlainPanelTakesNoFormOfAnotherSite(t *testing.T) {
	p := open(t)
	form := "username=bob&password=right"
	for from, want := range map[string]int{"cross-site": 403, "same-origin": 303} {
		a := visit(t, p, "POST", "/plain/sign-in", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", from)
		if a.StatusCode != want || (len(a.Cookies()) == 1) != (want == 303) {
			t.Errorf("%s: got %d, %v", from, a.StatusCode, a.Cookies())
		}
	}
	if a := visit(t, p, "GET", "/plain", "", "Cookie", "portcullis=good"); a.StatusCode != 200 || !strings.Contains(read(t, a), "No lockdown is on.") {
		t.Errorf("got %d", a.StatusCode)
	}
}
