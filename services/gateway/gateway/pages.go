package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/gateway/docs"
	"portcullis.dev/services/internal/rpc"
)

//go:embed openapi.json
var openAPI []byte

//go:embed home.tmpl
var homeText string

// pages are what is served beside the API; all of it stays open in a lockdown.
func pages(d Deps, r refusals) (map[string]http.Handler, error) {
	reference, err := docs.Page(openAPI)
	if err != nil {
		return nil, err
	}
	gate, err := d.Dial(rpc.Gate)
	if err != nil {
		return nil, err
	}
	home, err := template.New("home").Parse(homeText)
	if err != nil {
		return nil, err
	}
	all := map[string]http.Handler{
		"/":             &posture{gate: gatev1.NewPostureClient(gate), page: home, refusals: r},
		"/docs":         still("text/html; charset=utf-8", reference),
		"/docs.css":     still("text/css; charset=utf-8", docs.Style()),
		"/openapi.json": still("application/json", openAPI),
		"/healthz":      still("application/json", []byte(`{"status":"ok"}`)),
		"/readyz":       readiness{d.Ready, r},
		"/metrics":      d.Gather,
	}
	for path, page := range all {
		all[path] = readOnly(page, r)
	}
	return all, nil
}

// readOnly refuses what a page doesn't take, and lets it have our one style sheet.
func readOnly(page http.Handler, refusals refusals) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refusals.read(notAllowed(r.Method, "GET, HEAD")).write(w)
			return
		}
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		page.ServeHTTP(w, r)
	})
}

// still is a page that never changes while the program runs.
func still(kind string, text []byte) http.Handler {
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	})
}

// readiness says whether every service here can do its work.
type readiness struct {
	ready    func() error
	refusals refusals
}

func (p readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := p.ready(); err != nil {
		e := fault.New(fault.Unavailable, "Not ready yet: %v", err)
		e.RetryAfter = time.Second
		p.refusals.read(e).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ready"}`))
}

// posture is the front page: what the gate says to somebody without a token.
type posture struct {
	gate     gatev1.PostureClient
	page     *template.Template
	refusals refusals
}

// postureWithin is how long the front page waits for the gate before it says that it doesn't know.
const postureWithin = 2 * time.Second

func (p *posture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	view := struct{ Product, Lockdown, Unknown string }{Product: p.refusals.texts.Product}
	if view.Product == "" {
		view.Product = "Portcullis"
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(r.Context(), accompany(r.Context(), r)), postureWithin)
	defer cancel()
	state, err := p.gate.GetPosture(ctx, &gatev1.GetPostureRequest{}, grpc.WaitForReady(false))
	switch {
	case err != nil:
		view.Unknown = "Whether a lockdown is on can't be told now: the access gate does not answer."
	case state.GetLockdown() != nil:
		view.Lockdown = p.refusals.texts.Lockdown(state.GetLockdown().GetUntil().AsTime())
	}
	var text bytes.Buffer
	if err := p.page.Execute(&text, view); err != nil {
		p.refusals.read(err).write(w)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // a caller who has gone needs no answer
}
