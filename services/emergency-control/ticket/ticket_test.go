package ticket

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// vendor is a stand-in on loopback, and what it was asked last.
type vendor struct {
	*httptest.Server
	asked atomic.Pointer[http.Request]
	calls atomic.Int64
}

func serve(t *testing.T, answer http.HandlerFunc) *vendor {
	v := &vendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.asked.Store(r)
		v.calls.Add(1)
		answer(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func desk(t *testing.T, c Config) *Desk {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = longest
	}
	d, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// wanted checks one look against what it should say.
func wanted(t *testing.T, got *emergencyv1.TicketCheck, state emergencyv1.TicketCheck_State, has string) {
	t.Helper()
	if got.GetState() != state || !strings.Contains(got.GetTitle()+got.GetWhy(), has) {
		t.Errorf("got %v, want %v with %q", got, state, has)
	}
}

const (
	found      = emergencyv1.TicketCheck_FOUND
	missing    = emergencyv1.TicketCheck_MISSING
	notChecked = emergencyv1.TicketCheck_NOT_CHECKED
)

// snow is ServiceNow's Table API as its reference has it: one table, a user, and what it answers to others.
func snow(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != "portcullis" || password != "s3cret:with:colons" {
		reply(http.StatusUnauthorized, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`)(w, r)
		return
	}
	if r.URL.Path != "/api/now/table/task" {
		reply(http.StatusBadRequest, `{"error":{"message":"Invalid table x","detail":null},"status":"failure"}`)(w, r)
		return
	}
	number, _ := strings.CutPrefix(r.URL.Query().Get("sysparm_query"), "number=")
	switch number {
	case "INC0010001", "inc0010001":
		reply(http.StatusOK, `{"result":[{"number":"INC0010001","short_description":"Ransomware on the file servers","state":"2","active":"true"}]}`)(w, r)
	case "OTHER":
		reply(http.StatusOK, `{"result":[{"number":"INC0010001","short_description":"not the one","state":"2","active":"true"}]}`)(w, r)
	case "OLD":
		reply(http.StatusNotFound, `{"error":{"message":"No Record found","detail":"Records matching query not found. Check query parameter or offset parameter"},"status":"failure"}`)(w, r)
	case "ACL":
		reply(http.StatusForbidden, `{"error":{"message":"Operation Failed","detail":"ACL Exception Query Failed due to security constraints"},"status":"failure"}`)(w, r)
	case "BUSY":
		w.Header().Set("Retry-After", "1200")
		reply(http.StatusTooManyRequests, `{"error":{"message":"Rate limit exceeded. REST API rejected by REST API rate limit","detail":null},"status":"failure"}`)(w, r)
	case "ODD":
		reply(http.StatusOK, `<html>Sign in</html>`)(w, r)
	default:
		reply(http.StatusOK, `{"result":[]}`)(w, r)
	}
}

func TestServiceNowSaysWhetherATicketExistsAndWhatItIsCalled(t *testing.T) {
	v := serve(t, snow)
	c := Config{System: "servicenow", URL: v.URL + "/", Credential: "portcullis:s3cret:with:colons", Table: "task"}
	d := desk(t, c)
	wanted(t, d.Look(t.Context(), " INC0010001 "), found, "Ransomware on the file servers")
	wanted(t, d.Look(t.Context(), "inc0010001"), found, "Ransomware on the file servers")
	if q := v.asked.Load().URL.Query(); q.Get("sysparm_fields") != "number,short_description,state,active" || q.Get("sysparm_limit") != "1" {
		t.Errorf("asked %v", q)
	}
	wanted(t, d.Look(t.Context(), "INC404"), missing, "")
	wanted(t, d.Look(t.Context(), "OTHER"), missing, "")
	wanted(t, d.Look(t.Context(), "OLD"), missing, "")
	wanted(t, d.Look(t.Context(), "ACL"), notChecked, "403")
	wanted(t, d.Look(t.Context(), "BUSY"), notChecked, "asked too often")
	wanted(t, d.Look(t.Context(), "ODD"), notChecked, "something else than a ticket")
	c.Credential = "portcullis:wrong"
	wanted(t, desk(t, c).Look(t.Context(), "INC0010001"), notChecked, "does not take our credential")
	c.Credential, c.Table = "portcullis:s3cret:with:colons", "nothing"
	wanted(t, desk(t, c).Look(t.Context(), "INC0010001"), notChecked, "400")
}

func TestACodeNeverBecomesAQueryThere(t *testing.T) {
	v := serve(t, snow)
	d := desk(t, Config{System: "servicenow", URL: v.URL, Credential: "portcullis:s3cret:with:colons", Table: "task"})
	for _, code := range []string{"INC1^ORactive=true", "javascript:gs.getUserID()", "INC1&sysparm_limit=1", "INC1\r\nX: y", "*", "INC1 INC2"} {
		wanted(t, d.Look(t.Context(), code), missing, "")
	}
	if n := v.calls.Load(); n != 0 {
		t.Errorf("%d of them were asked for", n)
	}
}

// atlassian is Jira's REST API, version 3, as its reference has it.
func atlassian(w http.ResponseWriter, r *http.Request) {
	user, token, _ := r.BasicAuth()
	if user != "brake@example.com" || token != "t0ken" {
		// Who can't be authenticated is nobody there, and nobody sees any issue.
		w.Header().Set("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
		reply(http.StatusNotFound, `{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}`)(w, r)
		return
	}
	switch key, _ := strings.CutPrefix(r.URL.Path, "/rest/api/3/issue/"); key {
	case "OPS-42", "OLD-7":
		reply(http.StatusOK, `{"id":"10002","key":"OPS-42","fields":{"summary":"Stolen laptop","status":{"name":"In Progress"}}}`)(w, r)
	case "OPS-401":
		reply(http.StatusUnauthorized, `{"message":"Client must be authenticated to access this resource.","status-code":401}`)(w, r)
	case "OPS-429":
		w.Header().Set("Retry-After", "5")
		reply(http.StatusTooManyRequests, `{"errorMessages":["Rate limit exceeded."]}`)(w, r)
	case "OPS-503":
		reply(http.StatusServiceUnavailable, `<html>maintenance</html>`)(w, r)
	case "OPS-0":
		reply(http.StatusNotFound, `<html>no such site</html>`)(w, r)
	default:
		reply(http.StatusNotFound, `{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}`)(w, r)
	}
}

func TestJiraSaysWhetherAnIssueExistsAndWhatItIsCalled(t *testing.T) {
	v := serve(t, atlassian)
	c := Config{System: "jira", URL: v.URL, Credential: "brake@example.com:t0ken"}
	d := desk(t, c)
	wanted(t, d.Look(t.Context(), "OPS-42"), found, "Stolen laptop")
	if q := v.asked.Load().URL.RawQuery; q != "fields=summary,status" {
		t.Errorf("asked %s", q)
	}
	wanted(t, d.Look(t.Context(), "OLD-7"), found, "Stolen laptop") // moved: it has another key now
	wanted(t, d.Look(t.Context(), "OPS-999"), missing, "")
	wanted(t, d.Look(t.Context(), "OPS-401"), notChecked, "does not take our credential")
	wanted(t, d.Look(t.Context(), "OPS-429"), notChecked, "asked too often")
	wanted(t, d.Look(t.Context(), "OPS-503"), notChecked, "503")
	wanted(t, d.Look(t.Context(), "OPS-0"), notChecked, "nothing is at its address")
	before := v.calls.Load()
	for _, code := range []string{"10002", "OPS-42/comment", "OPS-42?expand=all", "../user", "OPS-42\n"} {
		if code != "OPS-42\n" { // white space around a code is none of it
			wanted(t, d.Look(t.Context(), code), missing, "")
		}
	}
	if v.calls.Load() != before {
		t.Error("what is no key was asked for")
	}
	c.Credential = "brake@example.com:revoked"
	wanted(t, desk(t, c).Look(t.Context(), "OPS-42"), notChecked, "does not take our credential")
}

func TestAnySystemCanSayItByItsStatus(t *testing.T) {
	v := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer t0ken":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.EscapedPath() == "/tickets/CHG-1":
			reply(http.StatusOK, `{"items":[{"a/b":"Change the locks"}]}`)(w, r)
		case r.URL.EscapedPath() == "/tickets/gone":
			w.WriteHeader(http.StatusGone)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	c := Config{System: "http", URL: v.URL + "/tickets/{code}", Credential: "t0ken", Title: "/items/0/a~1b"}
	d := desk(t, c)
	wanted(t, d.Look(t.Context(), "CHG-1"), found, "Change the locks")
	wanted(t, d.Look(t.Context(), "gone"), missing, "")
	for code, asked := range map[string]string{
		"../admin": "/tickets/..%2Fadmin", "a b": "/tickets/a%20b", "a?b=c": "/tickets/a%3Fb=c", "a#b": "/tickets/a%23b", "a%2fb": "/tickets/a%252fb",
	} {
		wanted(t, d.Look(t.Context(), code), missing, "")
		if got := v.asked.Load().RequestURI; got != asked {
			t.Errorf("%q asks %s, want %s", code, got, asked)
		}
	}
	before := v.calls.Load()
	for _, code := range []string{"..", ".", "a\r\nHost: evil", "a\x00b"} {
		wanted(t, d.Look(t.Context(), code), missing, "")
	}
	if v.calls.Load() != before {
		t.Error("what would be another address was asked for")
	}
	c.Title = "/items/1/title"
	wanted(t, desk(t, c).Look(t.Context(), "CHG-1"), notChecked, "no title")
	c.Title = ""
	wanted(t, desk(t, c).Look(t.Context(), "CHG-1"), found, "")
	c.URL = v.URL + "/search?id={code}&x=1"
	desk(t, c).Look(t.Context(), "a&x=2")
	if q := v.asked.Load().URL.Query(); q.Get("id") != "a&x=2" || len(q["x"]) != 1 {
		t.Errorf("asked %v", q)
	}
}

func TestTheCredentialGoesNowhereElse(t *testing.T) {
	var leaked atomic.Bool
	thief := serve(t, func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(true)
		reply(http.StatusOK, `{}`)(w, r)
	})
	v := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, thief.URL+"/away", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/there":
			reply(http.StatusOK, `{}`)(w, r)
		default:
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}
	})
	d := desk(t, Config{System: "http", URL: v.URL + "/{code}", Credential: "t0ken"})
	wanted(t, d.Look(t.Context(), "away"), notChecked, "sends elsewhere")
	if leaked.Load() {
		t.Error("it was followed")
	}
	wanted(t, d.Look(t.Context(), "here"), found, "")
	wanted(t, d.Look(t.Context(), "loop"), notChecked, "sends elsewhere")
}

func TestASystemWithoutAnAnswerDelaysNobodyLongerThanConfigured(t *testing.T) {
	held := make(chan struct{})
	v := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	})
	defer close(held)
	d := desk(t, Config{System: "http", URL: v.URL + "/{code}", Timeout: 100 * time.Millisecond})
	began := time.Now()
	wanted(t, d.Look(t.Context(), "INC1"), notChecked, "no answer within 100ms")
	if took := time.Since(began); took > longest {
		t.Errorf("it took %s", took)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	wanted(t, desk(t, Config{System: "http", URL: gone.URL + "/{code}"}).Look(t.Context(), "INC1"), notChecked, "can't be reached")
}

func TestATitleIsPlainTextWhoeverWroteIt(t *testing.T) {
	for title, want := range map[string]string{
		"a\nb\tc": "a b c", "\x1b[31mred\x1b[0m": "[31mred [0m", "evil\u202egnp.exe": "evil gnp.exe", "  ": "", strings.Repeat("é", 300): strings.Repeat("é", 199) + "…",
	} {
		if got := plain(title); got != want {
			t.Errorf("%q is shown as %q, want %q", title, got, want)
		}
	}
}

func TestWithoutASystemNothingIsChecked(t *testing.T) {
	d := desk(t, Config{})
	wanted(t, d.Look(t.Context(), "INC1"), notChecked, "no ticket system is configured")
	if d.Configured() || d.Look(t.Context(), " ") != nil {
		t.Error("an empty code is looked up")
	}
}

func TestAConfigurationThatCanNotWorkIsRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"none of":         {System: "glpi", URL: "https://x"},
		"ticket-timeout":  {System: "jira", URL: "https://x", Timeout: 3 * time.Second},
		"such as https":   {System: "jira", URL: "ftp://x"},
		"a part of":       {System: "http", URL: "https://{code}.example.com/{code}"},
		"say by {code}":   {System: "http", URL: "https://x/tickets/"},
		"not into the":    {System: "jira", URL: "https://user:pw@x"},
		"user:password":   {System: "jira", URL: "https://x", Credential: "token"},
		"one line":        {System: "jira", URL: "https://x", Credential: "a:b\r\nX: y"},
		"JSON pointer":    {System: "http", URL: "https://x/{code}", Title: "title"},
		"name of a table": {System: "servicenow", URL: "https://x", Table: "task?x"},
		"without a query": {System: "servicenow", URL: "https://x?a=b", Table: "task"},
		"neither":         {System: "jira", URL: "https://x", Auth: "digest"},
	} {
		if c.Timeout == 0 {
			c.Timeout = longest
		}
		if _, err := New(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzNoCodeReachesAnotherAddress(f *testing.F) {
	for _, seed := range []string{"INC1", "../x", "a/b", "a?b", "a#b", "%2e%2e", "\r\n", "..", "😀", "a^ORb"} {
		f.Add(seed)
	}
	base := "https://tickets.example.com"
	f.Fuzz(func(t *testing.T, code string) {
		code = strings.TrimSpace(code)
		for name, s := range map[string]system{
			"http": newGeneric(Config{URL: base + "/t/{code}?id={code}"}), "jira": newJira(Config{URL: base}), "servicenow": newServiceNow(Config{URL: base, Table: "task"}),
		} {
			r, err := s.request(t.Context(), code)
			if err != nil || code == "" {
				continue
			}
			again, err := url.Parse(r.URL.String())
			if err != nil || again.Host != "tickets.example.com" || len(strings.Split(again.EscapedPath(), "/")) != map[string]int{"http": 3, "jira": 6, "servicenow": 5}[name] {
				t.Fatalf("%s: %q asks %s", name, code, r.URL)
			}
			if name == "http" && (again.Path != "/t/"+code || again.Query().Get("id") != code || len(again.Query()) != 1) {
				t.Fatalf("%q asks %s", code, r.URL)
			}
		}
	})
}

func FuzzAnAnswerIsATicketOrNone(f *testing.F) {
	f.Add(200, `{"result":[{"number":"INC1"}]}`, "INC1", "/a/0")
	f.Add(404, `{"errorMessages":["x"]}`, "OPS-1", "/")
	f.Add(200, `{"a":["b"]}`, "x", "/a/0")
	f.Fuzz(func(t *testing.T, status int, body, code, pointer string) {
		for _, s := range []system{generic{title: pointer}, serviceNow{}, jira{}} {
			title, err := s.read(status, http.Header{}, []byte(body), code)
			if err == nil && status != http.StatusOK || err != nil && title != "" {
				t.Fatalf("%T takes %d %q for %q, %v", s, status, body, title, err)
			}
		}
		var document any
		if json.Unmarshal([]byte(body), &document) == nil {
			pointed(document, pointer)
		}
	})
}
