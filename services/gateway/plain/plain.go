// Package plain is the panel without a script: the last way in when the console's bundle does not load, in a
// browser of any age. It is forms and nothing else, and asks the same public REST API as everybody.
package plain

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/pkg/emergency"
)

//go:embed plain.tmpl
var source string

var page = template.Must(template.New("plain").Parse(source))

// Panel is the page and the forms on it.
type Panel struct {
	// API answers REST calls, with the cookie and the address of whoever asks.
	API   http.Handler
	Texts emergency.Texts
	cross http.CrossOriginProtection
}

const (
	maxForm = 64 << 10
	// consoleHeader makes the API keep the token in a cookie.
	consoleHeader = "X-Portcullis-Console"
)

func (p *Panel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// form-action lets the forms go to this very host.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		p.show(w, r, http.StatusOK, nil)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if p.cross.Check(r) != nil { // another site must not even sign somebody in here
		p.show(w, r, http.StatusForbidden, &refusal{Reason: "PERMISSION_DENIED", Message: p.text(r)["elsewhere"]})
		return
	}
	if err := r.ParseForm(); err != nil {
		p.show(w, r, http.StatusBadRequest, &refusal{Message: "The form could not be read"})
		return
	}
	act := map[string]func(*ask) (string, *refusal){
		"/plain/sign-in": signIn, "/plain/code": complete, "/plain/sign-out": signOut, "/plain/apply": apply, "/plain/cancel": cancel,
	}[r.URL.Path]
	if act == nil {
		http.NotFound(w, r)
		return
	}
	a := &ask{panel: p, outer: r, w: w}
	to, refused := act(a)
	if refused != nil {
		p.show(w, r, refused.status, refused)
		return
	}
	http.Redirect(w, r, "/plain"+to, http.StatusSeeOther)
}

// ask makes REST calls on behalf of whoever sent a request.
type ask struct {
	panel *Panel
	outer *http.Request
	w     http.ResponseWriter
}

type refusal struct {
	status  int
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Locked  struct {
		Message string `json:"message"`
	} `json:"response"`
}

// answer is what the API wrote.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}
func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(text)
}

// call asks, hands the cookie on, and reads the answer into out.
func (a *ask) call(method, path string, in, out any) *refusal {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return &refusal{status: http.StatusInternalServerError, Message: err.Error()}
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(a.outer.Context(), method, path, body) // #nosec G704 -- it goes to our own handler, and over no network
	if err != nil {
		return &refusal{status: http.StatusBadRequest, Message: err.Error()}
	}
	r.Host, r.RemoteAddr, r.TLS = a.outer.Host, a.outer.RemoteAddr, a.outer.TLS
	for _, name := range []string{"Cookie", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Proto"} {
		if v, ok := a.outer.Header[name]; ok {
			r.Header[name] = v
		}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(consoleHeader, "1")
	got := &answer{header: http.Header{}}
	a.panel.API.ServeHTTP(got, r)
	for _, cookie := range got.header.Values("Set-Cookie") {
		a.w.Header().Add("Set-Cookie", cookie)
	}
	if got.status >= http.StatusBadRequest {
		refused := &refusal{status: got.status}
		if json.Unmarshal(got.body.Bytes(), refused) != nil || refused.Message == "" && refused.Locked.Message == "" {
			refused.Message = http.StatusText(got.status)
		}
		refused.Message += refused.Locked.Message
		return refused
	}
	if out != nil {
		if err := json.Unmarshal(got.body.Bytes(), out); err != nil {
			return &refusal{status: http.StatusInternalServerError, Message: fmt.Sprintf("reading an answer: %v", err)}
		}
	}
	return nil
}

func (a *ask) field(name string) string { return strings.TrimSpace(a.outer.PostFormValue(name)) }

func signIn(a *ask) (string, *refusal) {
	return "", a.call(http.MethodPost, "/v1/sign-ins", map[string]string{
		"username": a.field("username"), "password": a.outer.PostFormValue("password"), "code": a.field("code"),
	}, nil)
}

// complete is the code of who comes from the provider; what was begun there is in a cookie.
func complete(a *ask) (string, *refusal) {
	return "", a.call(http.MethodPost, "/v1/sign-ins/provider:complete", map[string]string{"code": a.field("code")}, nil)
}

func signOut(a *ask) (string, *refusal) {
	return "", a.call(http.MethodDelete, "/v1/sign-ins/current", nil, nil)
}

// words are what one types to apply, and where that goes.
var words = map[string]struct{ word, path string }{
	"terminate": {"TERMINATE", "/v1/terminations"}, "freeze": {"FREEZE", "/v1/freezes"}, "lockdown": {"LOCKDOWN", "/v1/lockdowns"},
}

func apply(a *ask) (string, *refusal) {
	kind := words[a.field("kind")]
	if kind.path == "" || !strings.EqualFold(a.field("word"), kind.word) {
		return "", &refusal{status: http.StatusBadRequest, Reason: "INVALID_ARGUMENT", Message: a.panel.text(a.outer)["typeWord"]}
	}
	body := map[string]any{
		"justification": a.field("justification"), "governanceCode": a.field("governanceCode"), "requestId": a.field("requestId"),
	}
	if kind.word == "TERMINATE" {
		body["selector"] = map[string]bool{"all": true}
	} else {
		minutes, err := strconv.Atoi(a.field("minutes"))
		if err != nil {
			return "", &refusal{status: http.StatusBadRequest, Reason: "DURATION_OUT_OF_RANGE", Message: a.panel.text(a.outer)["minutesHint"]}
		}
		body["duration"] = strconv.Itoa(minutes*60) + "s"
	}
	return a.act(kind.path, a.field("kind"), body)
}

func cancel(a *ask) (string, *refusal) {
	path := map[string]string{"F": "/v1/freezes/", "K": "/v1/locks/", "L": "/v1/lockdowns/"}[a.field("id")[:min(1, len(a.field("id")))]]
	if path == "" || strings.ContainsAny(a.field("id"), "/?#%") {
		return "", &refusal{status: http.StatusBadRequest, Reason: "INVALID_ARGUMENT", Message: "There is no such emergency"}
	}
	return a.act(path+a.field("id")+":cancel", "cancel", map[string]any{
		"justification": a.field("justification"), "governanceCode": a.field("governanceCode"), "requestId": a.field("requestId"),
	})
}

// act makes a grant of the code and spends it. A form that is sent twice, whose code is used by then, gets the
// answer of the first time by its request id.
func (a *ask) act(path, purpose string, body map[string]any) (string, *refusal) {
	var grant struct{ Grant string }
	refused := a.call(http.MethodPost, "/v1/grants", map[string]string{"code": a.field("code"), "purpose": purpose}, &grant)
	if refused != nil && refused.Reason != "CODE_USED" {
		return "", refused
	}
	body["grant"] = grant.Grant
	var done struct{ ID string }
	if again := a.call(http.MethodPost, path, body, &done); again != nil {
		if refused != nil {
			return "", refused
		}
		return "", again
	}
	return "?id=" + done.ID, nil
}

// view is what the page shows.
type view struct {
	T                          map[string]string
	Product, Lockdown, Unknown string
	User                       string
	// Provider is where one may sign in too. Arrived is who has just come from there: a browser does not show its sign-in to
	// this site on the very way from another. Code asks for the code that comes after it.
	Provider                   string
	Arrived, Code              bool
	May                        bool
	Windows                    []window
	One                        *window
	RequestID, Reason, Refusal string
	Kind, Minutes, Why, Ticket string
}

type window struct {
	ID, Kind, Status, StartTime, EndTime, CreatedBy, Justification string
	Open, Ended, Unreachable                                       *uint32
	LastEndedMs                                                    *uint32
}

func (p *Panel) show(w http.ResponseWriter, r *http.Request, status int, refused *refusal) {
	v := view{T: p.text(r), Product: p.Texts.Product, RequestID: uuid.NewString(), Minutes: "120"}
	if v.Product == "" {
		v.Product = "Portcullis"
	}
	a := &ask{panel: p, outer: r, w: w}
	if refused != nil {
		v.Refusal, v.Reason = refused.Message, refused.Reason
		v.Kind, v.Why, v.Ticket = a.field("kind"), a.field("justification"), a.field("governanceCode")
		v.Minutes = a.field("minutes")
	}
	p.posture(a, &v)
	p.provider(a, &v)
	p.one(a, &v, r.URL.Query().Get("id"))
	var text bytes.Buffer
	if err := page.Execute(&text, v); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a caller who has gone needs no answer
}

// posture fills in who asks and what is on.
func (p *Panel) posture(a *ask, v *view) {
	var me struct {
		User struct {
			Name        string
			Permissions []string
		}
	}
	if _, signed := a.outer.Header["Cookie"]; signed && a.call(http.MethodPost, "/v1/sign-ins/current:refresh", map[string]string{}, &me) == nil {
		v.User = me.User.Name
		v.May = strings.Contains(strings.Join(me.User.Permissions, " "), "System.EmergencyPanel.Control")
	}
	var posture struct {
		Lockdown    *struct{ Until time.Time }
		Emergencies []window
	}
	if refused := a.call(http.MethodGet, "/v1/posture", nil, &posture); refused != nil {
		v.Unknown = v.T["unknown"]
		return
	}
	if posture.Lockdown != nil {
		v.Lockdown = p.Texts.Lockdown(posture.Lockdown.Until)
	}
	v.Windows = posture.Emergencies
}

// reasons are those of the API: nothing else that stands in a link is shown.
var reasons = regexp.MustCompile(`^[A-Z_]{1,40}$`)

// provider fills in how far who signs in at the provider is.
func (p *Panel) provider(a *ask, v *view) {
	if v.User != "" {
		return
	}
	var can struct{ Provider string }
	if a.call(http.MethodGet, "/v1/sign-ins/options", nil, &can) == nil {
		v.Provider = can.Provider
	}
	q := a.outer.URL.Query()
	v.Arrived = q.Get("via") == "provider"
	v.Code = q.Get("via") == "code" || a.outer.URL.Path == "/plain/code"
	if problem := q.Get("problem"); v.Refusal == "" && reasons.MatchString(problem) {
		v.Refusal, v.Reason = v.T["notThere"], problem
	}
}

// one fills in the emergency that was just applied, as far as it is.
func (p *Panel) one(a *ask, v *view, id string) {
	path := map[byte]string{'T': "/v1/terminations/", 'F': "/v1/freezes/", 'K': "/v1/locks/", 'L': "/v1/lockdowns/"}
	if id == "" || path[id[0]] == "" || strings.ContainsAny(id, "/?#%") {
		return
	}
	one := new(window)
	if a.call(http.MethodGet, path[id[0]]+id, nil, one) != nil {
		return
	}
	v.One = one
}
