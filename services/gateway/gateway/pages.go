package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/gateway/docs"
	"portcullis.dev/services/internal/pace"
)

// haste bounds how often one address may ask for pages. Calls are counted by the services that answer them, which know
// whose they are.
type haste struct {
	*pace.Keeper[string]
	pace pace.Pace
}

const mostReaders = 20_000 // addresses that are remembered

func newHaste() haste {
	return haste{pace.NewKeeper[string](mostReaders), pace.Pace{PerSecond: 200, Burst: 2000}}
}

// check refuses a page to an address that asks too often. Whoever watches over this process is never refused.
func (h haste) check(page bool, address string, r *http.Request, now func() time.Time) error {
	if !page || slices.Contains([]string{"/healthz", "/readyz"}, r.URL.Path) {
		return nil
	}
	wait := h.Take(pace.Network(address), h.pace, time.Now())
	if wait == 0 {
		return nil
	}
	return fault.New(fault.RateLimited, "Your address asks for pages too often. Try again in a moment").Until("retryTime", now().Add(wait), now())
}

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
