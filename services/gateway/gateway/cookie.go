package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// A browser keeps its token in a cookie that no script can read: whoever signs in or refreshes with the
// header X-Portcullis-Console gets it there and not in the body. Any other program sends Authorization,
// which wins, and never sees a cookie.
const (
	consoleHeader = "X-Portcullis-Console"
	cookieName    = "portcullis"
	secureCookie  = "__Host-portcullis" // which a browser takes over TLS only, and of this very host
	flowSuffix    = "-flow"             // of the cookie that binds a sign-in at a provider to the browser that began it
)

// browser is what the cookie of a request and its place say, before anything is stripped.
type browser struct {
	console bool   // the console asks
	secure  bool   // TLS reaches the client
	token   string // out of the cookie; empty where Authorization is there too
	flow    string // out of the other cookie
}

func (f *front) browser(r *http.Request) browser {
	b := browser{console: r.Header.Get(consoleHeader) != "", secure: r.TLS != nil || f.trusted.has(peerOf(r)) && r.Header.Get("X-Forwarded-Proto") == "https"}
	signsIn := r.Method == http.MethodPost && r.URL.Path == "/v1/sign-ins" // whatever was there before
	if c, err := r.Cookie(b.name()); err == nil && r.Header.Get("Authorization") == "" && !signsIn {
		b.token = c.Value
	}
	if c, err := r.Cookie(b.name() + flowSuffix); err == nil {
		b.flow = c.Value
	}
	return b
}

func (b browser) name() string {
	if b.secure {
		return secureCookie
	}
	return cookieName
}

// use makes the cookie the credential of a request of this very site; another site's changes nothing.
func (b browser) use(r *http.Request, cross *http.CrossOriginProtection) error {
	if b.token == "" || !strings.HasPrefix(r.URL.Path, "/v1/") {
		return nil
	}
	if err := cross.Check(r); err != nil {
		return fault.New(fault.PermissionDenied, "This request comes from another site than this console. Sign in here and try again")
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	return nil
}

// keep gives the browser its token, for as long as it works.
func (b browser) keep(w http.ResponseWriter, token string, left time.Duration) {
	http.SetCookie(w, &http.Cookie{ // #nosec G124 -- Secure wherever TLS reaches the client; on loopback there is none
		Name: b.name(), Value: token, Path: "/", MaxAge: int(left.Seconds()), // not a moment: browsers' clocks are wrong
		HttpOnly: true, Secure: b.secure, SameSite: http.SameSiteStrictMode,
	})
}

// keepFlow lets the browser bring a flow back when another site sends it here.
func (b browser) keepFlow(w http.ResponseWriter, flow string, left time.Duration) {
	http.SetCookie(w, &http.Cookie{ // #nosec G124 -- as above
		Name: b.name() + flowSuffix, Value: flow, Path: "/", MaxAge: int(left.Seconds()),
		HttpOnly: true, Secure: b.secure, SameSite: http.SameSiteLaxMode,
	})
}

// jar is the cookies of the browser that asks.
type jar struct{}

func (jar) Flow(ctx context.Context) string { return exchangeOf(ctx).browser.flow }

func (jar) KeepFlow(ctx context.Context, w http.ResponseWriter, flow string, left time.Duration) {
	exchangeOf(ctx).browser.keepFlow(w, flow, left)
}

func (jar) KeepToken(ctx context.Context, w http.ResponseWriter, token string, left time.Duration) {
	exchangeOf(ctx).browser.keep(w, token, left)
}

// bring lets the console complete what its cookie, which no script can read, has begun.
func (b browser) bring(request proto.Message) {
	if r, ok := request.(*identityv1.CompleteProviderSignInRequest); ok && r.GetFlow() == "" {
		r.Flow = b.flow
	}
}

func (b browser) forget(w http.ResponseWriter) { b.keep(w, "", -time.Second) }

// nobody answers the console that asks who is signed in, where nobody is: that is an answer and no failure, which
// the browser would write on its console.
func (a *api) nobody(w http.ResponseWriter, e *exchange, err error) bool {
	asks := e.route != nil && e.route.rpc == identityv1.SignIns_RefreshSignIn_FullMethodName && e.browser.console
	if !asks || !fault.Is(err, fault.Unauthenticated) {
		return false
	}
	if e.browser.token != "" {
		e.browser.forget(w)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
	return true
}

// signed moves the token of a sign-in from the answer to the cookie.
func (a *api) signed(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	e := exchangeOf(ctx)
	switch m := m.(type) {
	case *identityv1.SignIn:
		if e.browser.console && m.GetToken() != "" {
			e.browser.keep(w, m.GetToken(), m.GetExpireTime().AsTime().Sub(a.refusals.now()))
			m.Token = ""
			if e.browser.flow != "" {
				e.browser.keepFlow(w, "", -time.Second)
			}
		}
	default:
		if e.route != nil && e.route.rpc == identityv1.SignIns_DeleteSignIn_FullMethodName && e.browser.token != "" {
			e.browser.forget(w)
		}
	}
	return nil
}
