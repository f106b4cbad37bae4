package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"

	"portcullis.dev/pkg/fault"
)

// passage is one request on its way to an API server.
type passage struct {
	proxy     *Proxy
	question  question
	target    *target
	groups    []string
	transport http.RoundTripper
	// live is the session that it is; nil if it is brief.
	live *session
	// over answers why it must not go on; nil if it may.
	over func() error
}

func (g *passage) serve(w http.ResponseWriter, r *http.Request) {
	carrier := &httputil.ReverseProxy{
		Rewrite: g.rewrite, Transport: g.transport, ModifyResponse: g.answered, ErrorHandler: g.failed, BufferPool: g.proxy.buffers,
		ErrorLog: slog.NewLogLogger(g.proxy.deps.Log.Handler(), slog.LevelDebug),
	}
	if g.live != nil {
		carrier.FlushInterval = -1
	}
	carrier.ServeHTTP(w, r)
}

// passed are the headers that an API server gets from a person. All others stay here: whatever says who somebody is
// (Authorization, Impersonate-…, X-Remote-…, cookies), and what would change how a connection is read.
func passed() []string {
	return []string{
		"Accept", "Cache-Control", "Content-Encoding", "Content-Type", "If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since",
		"Kubectl-Command", "Kubectl-Session", "Range", "Sec-Websocket-Key", "Sec-Websocket-Version", "User-Agent", "X-Stream-Protocol-Version",
	}
}

// bearerProtocol begins a WebSocket protocol that is a token: a browser can send one in no other way.
const bearerProtocol = "base64url.bearer.authorization.k8s.io." // #nosec G101 -- what comes before one

// rewrite makes the request that the API server gets. What the person sent has lost its hop-by-hop headers already, those
// that Connection names among them: it can't take away what is set here.
func (g *passage) rewrite(r *httputil.ProxyRequest) {
	u, sent := r.Out.URL, r.Out.Header
	u.Scheme, u.Host, u.Path, u.RawPath = "https", g.target.address, g.question.path, g.question.rawPath
	r.Out.Host = ""
	h := http.Header{}
	for _, name := range passed() {
		if values := sent[name]; len(values) > 0 {
			h[name] = values
		}
	}
	if g.live == nil && len(sent["Accept-Encoding"]) > 0 {
		h["Accept-Encoding"] = sent["Accept-Encoding"] // what lasts must be legible
	}
	for _, name := range []string{"Connection", "Upgrade"} { // as the proxy has set them, if at all
		if g.question.kind == upgrades {
			h.Set(name, sent.Get(name))
		}
	}
	for _, list := range sent["Sec-Websocket-Protocol"] {
		if kept := withoutTokens(list); kept != "" {
			h.Add("Sec-Websocket-Protocol", kept)
		}
	}
	if g.target.token != "" {
		h.Set("Authorization", "Bearer "+g.target.token)
	}
	prefix := g.proxy.config.Prefix
	h.Set("Impersonate-User", prefix+g.question.user)
	for _, group := range g.groups {
		h.Add("Impersonate-Group", prefix+group)
	}
	if g.question.address != "" {
		h.Set("X-Forwarded-For", g.question.address) // for the cluster's own audit
	}
	r.Out.Header = h
}

func withoutTokens(list string) string {
	var kept []string
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); !strings.HasPrefix(one, bearerProtocol) {
			kept = append(kept, one)
		}
	}
	return strings.Join(kept, ", ")
}

// answered looks at what the API server answers, before the first byte of it passes.
func (g *passage) answered(r *http.Response) error {
	if r.StatusCode == http.StatusUnauthorized {
		return fault.New(fault.PermissionDenied, "The API server of %s doesn't take the credential that it was given. Ask an administrator to set it again", g.question.device)
	}
	if r.StatusCode == http.StatusForbidden && discovers(g.question.path) {
		return inWords(r)
	}
	switch {
	case g.live == nil && r.StatusCode != http.StatusSwitchingProtocols:
		return nil
	case r.StatusCode != http.StatusSwitchingProtocols:
		r.Body = g.live.stream(r)
		return nil
	}
	device, ok := r.Body.(io.ReadWriteCloser)
	if !ok || g.question.kind != upgrades {
		return errors.New("an API server switched protocols unasked")
	}
	r.Body = g.live.conversation(device, r)
	return nil
}

// inWords makes words of a Status: whoever may not be spoken for by this credential reads so, and not "unknown".
func inWords(r *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxHeader))
	if err != nil {
		return err
	}
	var s status
	if json.Unmarshal(text, &s) == nil && s.Message != "" {
		text = []byte(s.Message + "\n")
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = r.Body.Close() // read as far as it counts
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// failed answers for an API server that has not.
func (g *passage) failed(w http.ResponseWriter, r *http.Request, err error) {
	if why := g.over(); why != nil {
		err = why
	}
	if refusal := new(fault.Error); !errors.As(err, &refusal) {
		err = fault.New(fault.Unavailable, "The API server of %s broke off. Try again", g.question.device).Because(err)
	}
	g.proxy.refuse(w, r, g.question, err)
}

// buffers are used again.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return *kept
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(used []byte) { b.pool.Put(&used) }
