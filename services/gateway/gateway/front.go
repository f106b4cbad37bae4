package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/gateway/console"
	"portcullis.dev/services/gateway/doors"
	"portcullis.dev/services/internal/telemetry"
)

// front is the first to see a request: it names it, finds out where it comes from, takes away what
// the outside may not say, and passes it on to the API or to a page.
type front struct {
	api      http.Handler
	pages    map[string]http.Handler
	console  *console.Console
	plain    http.Handler
	cross    http.CrossOriginProtection
	trusted  proxies
	strict   http.Header
	refusals refusals
	haste    haste
	metrics  *metrics
	log      *slog.Logger
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	e := &exchange{id: named(r), believed: f.trusted.has(peerOf(r)), address: f.trusted.client(r), browser: f.browser(r), answer: &answer{ResponseWriter: w}}
	e.answer.before = func(status int) {
		if status == http.StatusUnauthorized && fault.Is(e.err, fault.Unauthenticated) && e.browser.token != "" { // a wrong code ends nothing
			e.browser.forget(w)
		}
	}
	if !plainly(r) && !strings.HasPrefix(r.URL.Path, doors.Under) {
		strip(r.Header) // the plain panel's calls come through here again, and lose it then; doors are believed what they prove
	}
	maps.Copy(w.Header(), f.strict)
	w.Header().Set("X-Request-Id", e.id)
	r = r.WithContext(withExchange(r.Context(), e))
	f.serve(e, r)
	f.record(e, r, time.Since(start))
}

// named is the request's id: that of the page which makes the call, or the caller's own if it is one, or a new one.
func named(r *http.Request) string {
	if id := telemetry.RequestOf(r.Context()); id != "" {
		return id
	}
	if id := r.Header.Get("X-Request-Id"); telemetry.Plain(id) {
		return id
	}
	return string(telemetry.NewID())
}

func (f *front) serve(e *exchange, r *http.Request) {
	defer func() {
		trouble := recover()
		if trouble == nil {
			return
		}
		e.err = fmt.Errorf("a panic: %v\n%s", trouble, debug.Stack())
		if e.answer.begun() {
			f.record(e, r, 0)
			panic(http.ErrAbortHandler) // breaks the connection off: half an answer must not look whole
		}
		f.refusals.read(errors.New("panic")).write(e.answer)
	}()
	if err := e.browser.use(r, &f.cross); err != nil {
		f.refusals.read(err).write(e.answer)
		return
	}
	next := f.route(r)
	if err := f.haste.check(next != f.api, e.address, r, f.refusals.now); err != nil {
		f.refusals.read(err).write(e.answer)
		return
	}
	next.ServeHTTP(e.answer, r)
}

// plainly reports whether a request is for the panel without a script.
func plainly(r *http.Request) bool {
	return r.URL.Path == "/plain" || strings.HasPrefix(r.URL.Path, "/plain/")
}

func (f *front) route(r *http.Request) http.Handler {
	if page, ok := f.pages[r.URL.Path]; ok {
		return page
	}
	if plainly(r) {
		return f.plain
	}
	if f.console.Has(r) {
		return f.console
	}
	return f.api // answers what is not there, too
}

// strict are the headers that every answer has. Pages loosen the policy by as much as they need. The
// values are shared by all answers, which replace them and never change them.
func strict() http.Header {
	return http.Header{
		"Cache-Control":                {"no-store"},
		"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"no-referrer"},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
	}
}

// record counts the answer, and logs it if something is wrong inside: a refusal is no trouble of ours.
func (f *front) record(e *exchange, r *http.Request, took time.Duration) {
	status := e.answer.status
	if status == 0 {
		status = http.StatusOK
	}
	pattern := f.pattern(e, r)
	f.metrics.seen(pattern, r.Method, status, took)
	notReady := e.route == nil && e.err == nil // asked every second by whatever waits; what is missing logs for itself
	ctx := e.traced(r.Context())
	if f.log.Enabled(ctx, slog.LevelDebug) {
		f.log.DebugContext(ctx, "a request was answered", "method", methodLabel(r.Method), "path", pattern, "status", status, "took", took)
	}
	if status < http.StatusInternalServerError || status == http.StatusServiceUnavailable && (notReady || fault.Is(e.err, fault.Lockdown)) {
		return
	}
	f.log.ErrorContext(ctx, "a call failed", "method", r.Method, "path", pattern, "status", status,
		"took", took, "err", e.err)
}

// pattern names what was called without what the caller made up.
func (f *front) pattern(e *exchange, r *http.Request) string {
	if e.route != nil {
		return e.route.pattern
	}
	if _, ok := f.pages[r.URL.Path]; ok {
		return r.URL.Path
	}
	if f.route(r) != f.api {
		return "console"
	}
	return "none"
}

// methodLabel keeps made-up methods out of the metrics.
func methodLabel(method string) string {
	if strings.Contains(" GET HEAD POST PATCH DELETE ", " "+method+" ") {
		return method
	}
	return "other"
}

func statusLabel(status int) string { return strconv.Itoa(status) }

// metrics counts what the front has answered.
type metrics struct {
	answers *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portcullis_http_answers_total", Help: "HTTP answers by row, method and status.",
		}, []string{"path", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portcullis_http_answer_seconds", Help: "How long HTTP answers took; streams count to their end.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"path"}),
	}
	for _, one := range []prometheus.Collector{m.answers, m.took} {
		if err := r.Register(one); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) seen(path, method string, status int, took time.Duration) {
	m.answers.WithLabelValues(path, methodLabel(method), statusLabel(status)).Inc()
	m.took.WithLabelValues(path).Observe(took.Seconds())
}
