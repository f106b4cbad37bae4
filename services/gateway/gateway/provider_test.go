package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// fakeProvider is identity with a provider: the flow that it begins finishes with the code "right", and "enrolled" is
// followed by a code of the MFA app.
type fakeProvider struct {
	identityv1.UnimplementedProviderSignInsServer
	*world
}

func (p fakeProvider) BeginProviderSignIn(ctx context.Context, r *identityv1.BeginProviderSignInRequest) (*identityv1.BeginProviderSignInResponse, error) {
	return &identityv1.BeginProviderSignInResponse{
		Location: "https://op.example.com/auth?state=s", Flow: "begun", ExpireTime: timestamppb.New(noon.Add(10 * time.Minute)),
	}, p.enter(ctx, r, true)
}

func (p fakeProvider) FinishProviderSignIn(ctx context.Context, r *identityv1.FinishProviderSignInRequest) (*identityv1.FinishProviderSignInResponse, error) {
	if err := p.enter(ctx, r, true); err != nil {
		return nil, err
	}
	if r.GetFlow() != "begun" {
		return nil, fault.New(fault.Unauthenticated, "Begin again").With("rule", "providerFlow")
	}
	if r.GetCode() == "plain" {
		return &identityv1.FinishProviderSignInResponse{SignIn: signedIn(), To: "/plain"}, nil
	}
	if r.GetCode() == "enrolled" {
		return &identityv1.FinishProviderSignInResponse{Flow: "waiting", To: "/devices", ExpireTime: timestamppb.New(noon.Add(10 * time.Minute))}, nil
	}
	return &identityv1.FinishProviderSignInResponse{SignIn: signedIn(), To: "/devices"}, nil
}

func (p fakeProvider) GetSignInOptions(context.Context, *identityv1.GetSignInOptionsRequest) (*identityv1.SignInOptions, error) {
	return &identityv1.SignInOptions{Provider: "Acme"}, nil
}

func signedIn() *identityv1.SignIn {
	return &identityv1.SignIn{Token: "good", ExpireTime: timestamppb.New(noon.Add(15 * time.Minute)), By: "oidc"}
}

func (p fakeProvider) CompleteProviderSignIn(ctx context.Context, r *identityv1.CompleteProviderSignInRequest) (*identityv1.SignIn, error) {
	if err := p.enter(ctx, r, true); err != nil {
		return nil, err
	}
	if r.GetFlow() != "waiting" {
		return nil, fault.New(fault.Unauthenticated, "Begin again").With("rule", "providerFlow")
	}
	return signedIn(), nil
}

func (p fakeProvider) EndProviderSignIns(ctx context.Context, r *identityv1.EndProviderSignInsRequest) (*emptypb.Empty, error) {
	if err := p.enter(ctx, r, true); err != nil {
		return nil, err
	}
	if r.GetLogoutToken() != "valid" {
		return nil, fault.New(fault.InvalidArgument, "This logout token is not valid")
	}
	return &emptypb.Empty{}, nil
}

func (p fakeProvider) LeaveProvider(ctx context.Context, r *identityv1.LeaveProviderRequest) (*identityv1.LeaveProviderResponse, error) {
	return &identityv1.LeaveProviderResponse{Location: "https://op.example.com/bye"}, p.enter(ctx, r, true)
}

// cookie finds one that an answer sets.
func cookie(a *http.Response, name string) *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return &http.Cookie{}
}

func TestABrowserIsSentToTheProviderWithACookieThatComesBackFromThere(t *testing.T) {
	p := open(t)
	a := visit(t, p, "GET", "/oidc/begin?to=/devices", "")
	c := cookie(a, "portcullis-flow")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "https://op.example.com/auth?state=s" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	if c.Value != "begun" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 || c.Path != "/" {
		t.Errorf("got %+v", c)
	}
	if _, r := p.last(); r.(*identityv1.BeginProviderSignInRequest).GetTo() != "/devices" {
		t.Errorf("got %v", r)
	}
}

func TestWhoComesBackIsSignedInByTheUsualCookie(t *testing.T) {
	p := open(t)
	a := visit(t, p, "GET", "/oidc/finish?code=right&state=s", "", "Cookie", "portcullis-flow=begun", "Sec-Fetch-Site", "cross-site")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/sign-in?to=%2Fdevices&via=provider" {
		t.Errorf("got %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if c := cookie(a, "portcullis"); c.Value != "good" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("got %+v", c)
	}
	if c := cookie(a, "portcullis-flow"); c.MaxAge >= 0 {
		t.Errorf("the flow is kept: %+v", c)
	}
}

func TestTheCodeAfterTheProviderIsCompletedWithACookieThatNoScriptReads(t *testing.T) {
	p := open(t)
	a := visit(t, p, "GET", "/oidc/finish?code=enrolled&state=s", "", "Cookie", "portcullis-flow=begun")
	if c := cookie(a, "portcullis-flow"); c.Value != "waiting" || a.Header.Get("Location") != "/sign-in?to=%2Fdevices&via=code" || cookie(a, "portcullis").Value != "" {
		t.Errorf("got %+v, %s", c, a.Header.Get("Location"))
	}
	const complete = "/v1/sign-ins/provider:complete"
	a = visit(t, p, "POST", complete, `{"code":"123456"}`, "Cookie", "portcullis-flow=waiting", "X-Portcullis-Console", "1", "Sec-Fetch-Site", "same-origin")
	if text := read(t, a); a.StatusCode != 200 || strings.Contains(text, "good") || cookie(a, "portcullis").Value != "good" || cookie(a, "portcullis-flow").MaxAge >= 0 {
		t.Errorf("got %d %s %v", a.StatusCode, text, a.Cookies())
	}
	if a := visit(t, p, "POST", complete, `{"code":"123456"}`); a.StatusCode != 401 {
		t.Errorf("without the cookie: %d", a.StatusCode)
	}
}

func TestWhatGoesWrongOnTheWayBackIsToldByTheConsole(t *testing.T) {
	p := open(t)
	problem := func() url.Values {
		a := visit(t, p, "GET", "/oidc/finish?code=right&state=s", "", "Cookie", "portcullis-flow=begun")
		to, err := a.Location()
		if err != nil || to.Path != "/sign-in" || cookie(a, "portcullis-flow").MaxAge >= 0 || cookie(a, "portcullis").Value != "" {
			t.Fatalf("got %v, %v, %v", to, err, a.Cookies())
		}
		return to.Query()
	}
	p.setRefuse(lockedDown(noon.Add(time.Hour)))
	if q := problem(); q.Get("problem") != "LOCKDOWN" || q.Get("until") != "2022-08-09T13:00:00Z" {
		t.Errorf("got %v", q)
	}
	p.setRefuse(fault.New(fault.AlreadyExists, "Taken").With("rule", "providerNameTaken").With("name", "ana").With("secret", "x"))
	if q := problem(); q.Encode() != "name=ana&problem=ALREADY_EXISTS&rule=providerNameTaken" {
		t.Errorf("got %v", q)
	}
}

func TestThePanelWithoutAScriptHasTheWholeWayByTheProvider(t *testing.T) {
	p := open(t)
	if text := read(t, visit(t, p, "GET", "/plain", "")); !strings.Contains(text, `<a href="/oidc/begin?to=/plain">Sign in at Acme</a>`) {
		t.Errorf("no way there: %s", text)
	}
	a := visit(t, p, "GET", "/oidc/finish?code=plain&state=s", "", "Cookie", "portcullis-flow=begun", "Sec-Fetch-Site", "cross-site")
	if a.Header.Get("Location") != "/plain?via=provider" || cookie(a, "portcullis").Value != "good" {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	// A browser that another site sent here doesn't show the sign-in before the next page.
	if text := read(t, visit(t, p, "GET", "/plain?via=provider", "")); !strings.Contains(text, `content="0; url=/plain"`) || strings.Contains(text, "<form") {
		t.Errorf("got %s", text)
	}
	if text := read(t, visit(t, p, "GET", "/plain?via=code", "", "Cookie", "portcullis-flow=waiting")); !strings.Contains(text, `action="/plain/code"`) {
		t.Errorf("no code is asked for: %s", text)
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Cookie"}
	a = visit(t, p, "POST", "/plain/code", "code=123456", append(form, "portcullis-flow=waiting")...)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/plain" || cookie(a, "portcullis").Value != "good" {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	a = visit(t, p, "POST", "/plain/code", "code=123456", append(form, "portcullis-flow=another")...)
	if text := read(t, a); a.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "UNAUTHENTICATED") || !strings.Contains(text, `action="/plain/code"`) {
		t.Errorf("got %d %s", a.StatusCode, text)
	}
}

func TestWhatGoesWrongOnTheWayBackToThePlainPanelIsToldThere(t *testing.T) {
	p := open(t)
	p.setRefuse(fault.New(fault.AlreadyExists, "Taken").With("to", "/plain"))
	a := visit(t, p, "GET", "/oidc/finish?code=right&state=s", "", "Cookie", "portcullis-flow=begun")
	if a.Header.Get("Location") != "/plain?problem=ALREADY_EXISTS" {
		t.Errorf("sent to %s", a.Header.Get("Location"))
	}
	p.setRefuse(nil)
	if text := read(t, visit(t, p, "GET", "/plain?problem=ALREADY_EXISTS", "")); !strings.Contains(text, "could not be signed in there") || !strings.Contains(text, "ALREADY_EXISTS") {
		t.Errorf("got %s", text)
	}
	if text := read(t, visit(t, p, "GET", "/plain?problem=Call+555-0100", "")); strings.Contains(text, "555") || strings.Contains(text, "could not be signed in there") {
		t.Errorf("a link puts words on the page: %s", text)
	}
}

func TestTheRedirectsAndTheBackChannelTakeTheirOwnMethods(t *testing.T) {
	p := open(t)
	for _, path := range []string{"/oidc/begin", "/oidc/finish", "/oidc/leave"} {
		for _, method := range []string{"HEAD", "POST", "DELETE"} {
			if a := visit(t, p, method, path, ""); a.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, a.StatusCode)
			}
		}
	}
	if a := visit(t, p, "GET", "/oidc/logout", ""); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got %d", a.StatusCode)
	}
	if a := visit(t, p, "GET", "/oidc/leave", ""); a.Header.Get("Location") != "https://op.example.com/bye" {
		t.Errorf("got %v", a.Header)
	}
}

func TestTheBackChannelTakesOneLogoutTokenInAForm(t *testing.T) {
	p := open(t)
	post := func(kind, body string) *http.Response {
		r := httptest.NewRequest("POST", "http://portcullis.test/oidc/logout", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		p.gateway.ServeHTTP(w, r)
		return w.Result()
	}
	const form = "application/x-www-form-urlencoded"
	if a := post(form+"; charset=utf-8", "logout_token=valid"); a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d", a.StatusCode)
	}
	for name, a := range map[string]*http.Response{
		"JSON": post("application/json", `{"logout_token":"valid"}`), "none": post(form, ""), "two": post(form, "logout_token=valid&logout_token=valid"),
		"not valid": post(form, "logout_token=other"), "too large": post(form, "logout_token="+strings.Repeat("a", 70_000)), "broken": post(form, "%zz"),
	} {
		if text := read(t, a); a.StatusCode != 400 || !strings.Contains(text, `"error":"invalid_request"`) {
			t.Errorf("%s: %d %s", name, a.StatusCode, text)
		}
	}
	p.setRefuse(fault.New(fault.Unavailable, "Later"))
	if a := post(form, "logout_token=valid"); a.StatusCode != 503 {
		t.Errorf("got %d", a.StatusCode)
	}
}
