package guard

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"portcullis.dev/pkg/fault"
)

// farewell is how long whoever is cut off may take to read why.
const farewell = 200 * time.Millisecond

// IdentifyRequest says who makes a request, from what the program has authenticated. An error refuses it.
type IdentifyRequest func(*http.Request) (Caller, error)

// Middleware refuses requests that may not pass now: a lockdown with status 503, Retry-After and its own body, all else as JSON
// {code, reason, message, details}. What goes on (a download, server-sent events, a WebSocket) is ended when it may not, whatever its
// handler is doing: one that has not answered gets the refusal, events end with one of the type "portcullis", a WebSocket with a close
// frame of code 1008 and the reason; anything else is broken off. The handler's context is cancelled with the refusal as the cause.
func Middleware(g *Guard, who IdentifyRequest) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := who(r)
			if err != nil {
				g.refuse(w, err)
				return
			}
			g.serve(w, r, c, next)
		})
	}
}

func (g *Guard) serve(w http.ResponseWriter, r *http.Request, c Caller, next http.Handler) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	a := &answer{under: w, header: w.Header().Clone(), websocket: strings.EqualFold(r.Header.Get("Upgrade"), "websocket"), over: make(chan error, 1)}
	l, err := g.enter(c, func(why error) { go a.cut(why); cancel(why) })
	if err != nil {
		if g.leave(l) {
			<-a.over //nolint:errcheck // by who cuts it, who is done with the answer then
		}
		g.refuse(w, err)
		return
	}
	a.leave = func() { g.leave(l) }
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		next.ServeHTTP(a, r.WithContext(ctx))
	}()
	var panicked any
	select {
	case why := <-a.over:
		g.leave(l)
		a.lastWords(g, why)
		return
	case panicked = <-done:
	}
	switch {
	case a.taken(): // it leaves when the connection is closed
	case g.leave(l):
		a.lastWords(g, <-a.over)
	default:
		a.finish()
	}
	if panicked != nil {
		panic(panicked)
	}
}

// refuse answers a refusal.
func (g *Guard) refuse(w http.ResponseWriter, err error) {
	status, body, after := fault.From(err).Answer(g.config.Texts, g.config.Now())
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone needs no answer
}

// answer is what a handler writes to. Once it is cut nothing of the handler's comes through any more.
type answer struct {
	under     http.ResponseWriter
	header    http.Header // the handler's own, for it may go on with it beside
	websocket bool
	leave     func()
	over      chan error // takes one: why it is cut

	mu     sync.Mutex // guards all below, and whatever is written
	begun  bool
	closed bool
	conn   *conn // of who has taken the connection over
}

func (a *answer) Header() http.Header { return a.header }

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.under }

func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.begin(status)
	}
}

// begin sends what stands before a body. The lock is held.
func (a *answer) begin(status int) {
	if a.begun {
		return
	}
	clear(a.under.Header()) // what the handler took away stays away
	maps.Copy(a.under.Header(), a.header)
	a.begun = status >= http.StatusOK || status == http.StatusSwitchingProtocols
	a.under.WriteHeader(status)
}

// passing does what puts a part of the body out, if it may.
func (a *answer) passing(do func() (int64, error)) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return 0, net.ErrClosed
	}
	a.begin(http.StatusOK)
	return do()
}

func (a *answer) Write(data []byte) (int, error) {
	n, err := a.passing(func() (int64, error) { n, err := a.under.Write(data); return int64(n), err })
	return int(n), err
}

// ReadFrom copies piece by piece: a source that is silent must not keep what it goes to from being cut.
func (a *answer) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{a}, r) }

// Flush sends what was written.
func (a *answer) Flush() { _ = a.FlushError() } // who wants to know asks FlushError

// FlushError does so for http.ResponseController.
func (a *answer) FlushError() error {
	_, err := a.passing(func() (int64, error) { return 0, http.NewResponseController(a.under).Flush() })
	return err
}

// Hijack hands the connection over. It counts as going on until it is closed.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, nil, net.ErrClosed
	}
	under, buffered, err := http.NewResponseController(a.under).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.conn = &conn{Conn: under, leave: a.leave}
	return a.conn, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(a.conn)), nil
}

// cut lets nothing of the handler's through from now on. A write that waits for its reader is given up.
func (a *answer) cut(why error) {
	soon := time.Now().Add(farewell)
	control := http.NewResponseController(a.under)
	_ = control.SetWriteDeadline(soon) // a connection that was taken over has its own
	_ = control.SetReadDeadline(time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.conn != nil {
		a.conn.cut(why, a.websocket)
		return
	}
	a.over <- why
}

// taken reports whether a handler has the connection.
func (a *answer) taken() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn != nil
}

// finish ends what the handler has ended.
func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.under.Header(), a.header) // trailers
	a.closed = true
}

// lastWords says why, and ends the connection: by a panic that the server knows.
func (a *answer) lastWords(g *Guard, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		g.refuse(a.under, why)
		return
	}
	if h := a.under.Header(); strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") && h.Get("Content-Encoding") == "" {
		_, body, _ := fault.From(why).Answer(g.config.Texts, g.config.Now())
		_, _ = fmt.Fprintf(a.under, "\n\nevent: portcullis\ndata: %s\n\n", body) // who has gone hears no more
		_ = http.NewResponseController(a.under).Flush()
	}
	panic(http.ErrAbortHandler)
}
