package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/gateway/docs"
)

//go:embed openapi.json
var openAPI []byte

// pages are what is served beside the API; all of it stays open in a lockdown.
func pages(d Deps, r refusals) (map[string]http.Handler, error) {
	reference, err := docs.Page(openAPI)
	if err != nil {
		return nil, err
	}
	all := map[string]http.Handler{
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
