// Package federation sends browsers to the OpenID provider and takes them back. It knows nothing of the
// provider: identity says where to go, and what a browser that comes back is worth.
package federation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/codes"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// The addresses. A provider is told those of finish and of ended, and may send people to /sign-in.
const (
	Begin  = "/oidc/begin"
	Finish = "/oidc/finish"
	Leave  = "/oidc/leave"
	Ended  = "/oidc/logout" // of the back channel

	signIn   = "/sign-in"
	plain    = "/plain" // whoever began there is taken back there, and needs no script
	within   = 30 * time.Second
	maxToken = 64 << 10
)

// Browser is the browser that asks, as its cookies have it.
type Browser interface {
	Flow(context.Context) string
	KeepFlow(ctx context.Context, w http.ResponseWriter, flow string, life time.Duration)
	KeepToken(ctx context.Context, w http.ResponseWriter, token string, life time.Duration)
}

// Pages are the redirects.
type Pages struct {
	Identity identityv1.ProviderSignInsClient
	Browser  Browser
	// Outgoing tells identity where a request comes from.
	Outgoing func(context.Context) context.Context
	Now      func() time.Time
}

// All are the pages by their addresses.
func (p *Pages) All() map[string]http.Handler {
	return map[string]http.Handler{
		Begin: p.only(http.MethodGet, p.begin), Finish: p.only(http.MethodGet, p.finish),
		Leave: p.only(http.MethodGet, p.leave), Ended: p.only(http.MethodPost, p.ended),
	}
}

func (p *Pages) only(method string, page http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		ctx, cancel := context.WithTimeout(p.Outgoing(r.Context()), within)
		defer cancel()
		page(w, r.WithContext(ctx))
	})
}

func (p *Pages) begin(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	begun, err := p.Identity.BeginProviderSignIn(r.Context(), &identityv1.BeginProviderSignInRequest{To: to})
	if err != nil {
		explain(w, err, to)
		return
	}
	p.Browser.KeepFlow(r.Context(), w, begun.GetFlow(), begun.GetExpireTime().AsTime().Sub(p.Now()))
	redirect(w, begun.GetLocation())
}

func (p *Pages) finish(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	done, err := p.Identity.FinishProviderSignIn(r.Context(), &identityv1.FinishProviderSignInRequest{
		Code: q.Get("code"), State: q.Get("state"), Error: q.Get("error"), Issuer: q.Get("iss"), Flow: p.Browser.Flow(r.Context()),
	})
	if err != nil {
		p.Browser.KeepFlow(r.Context(), w, "", -time.Second)
		explain(w, err, "")
		return
	}
	if in := done.GetSignIn(); in != nil {
		p.Browser.KeepFlow(r.Context(), w, "", -time.Second)
		p.Browser.KeepToken(r.Context(), w, in.GetToken(), in.GetExpireTime().AsTime().Sub(p.Now()))
		back(w, url.Values{"via": {"provider"}}, done.GetTo())
		return
	}
	p.Browser.KeepFlow(r.Context(), w, done.GetFlow(), done.GetExpireTime().AsTime().Sub(p.Now()))
	back(w, url.Values{"via": {"code"}}, done.GetTo())
}

func (p *Pages) leave(w http.ResponseWriter, r *http.Request) {
	left, err := p.Identity.LeaveProvider(r.Context(), &identityv1.LeaveProviderRequest{})
	if err != nil || left.GetLocation() == "" {
		redirect(w, signIn) // whoever leaves here has left, with or without the provider
		return
	}
	redirect(w, left.GetLocation())
}

// ended answers the provider as OpenID Connect Back-Channel Logout 1.0 has it.
func (p *Pages) ended(w http.ResponseWriter, r *http.Request) {
	token, err := logoutToken(r)
	if err == nil {
		_, err = p.Identity.EndProviderSignIns(r.Context(), &identityv1.EndProviderSignInsRequest{LogoutToken: token})
	}
	if err == nil {
		return
	}
	f := fault.From(err)
	status := http.StatusBadRequest
	if f.Code != codes.InvalidArgument && f.Code != codes.NotFound {
		status = http.StatusServiceUnavailable // not the token's fault: the provider may try again
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_request", "error_description": f.Message}) // who has gone needs no answer
}

func logoutToken(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", fault.New(fault.InvalidArgument, "Send logout_token as application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxToken))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return "", fault.New(fault.InvalidArgument, "The body is larger than %d bytes", maxToken)
	}
	if err != nil {
		return "", fault.New(fault.InvalidArgument, "The body could not be read").Because(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", fault.New(fault.InvalidArgument, "Send one logout_token")
	}
	return form.Get("logout_token"), nil
}

// explain sends a browser back, to be told in its reader's language what went wrong. Where it wanted to go is known, or
// identity still says so.
func explain(w http.ResponseWriter, err error, to string) {
	f := fault.From(err)
	q := url.Values{"problem": {f.Reason}}
	for _, detail := range []string{"rule", "until", "retryTime", "name"} {
		if value := f.Details[detail]; value != "" {
			q.Set(detail, value)
		}
	}
	back(w, q, cmp.Or(to, f.Details["to"]))
}

// back sends a browser to the panel without a script, if it began there, and else to the console.
func back(w http.ResponseWriter, q url.Values, to string) {
	at := signIn
	switch to {
	case plain:
		at = plain
	case "":
	default:
		q.Set("to", to)
	}
	redirect(w, at+"?"+q.Encode())
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
