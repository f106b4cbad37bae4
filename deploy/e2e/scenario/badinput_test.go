package scenario

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/client"
)

// bad is a call that must be refused: with one of the statuses, for one of the reasons.
type bad struct {
	name, method, path string
	body               any
	status             []int
	reasons            []string
}

var (
	invalid  = []string{"INVALID_ARGUMENT"}
	notFound = []string{"NOT_FOUND", "INVALID_ARGUMENT"}
	bad400   = []int{http.StatusBadRequest}
	bad404   = []int{http.StatusNotFound, http.StatusBadRequest}
)

func badInput(w *world) {
	root := w.root()
	grant, err := root.Grant("")
	if err != nil {
		w.Fatal(err)
	}
	w.must(root.Call(http.MethodPost, "/v1/devices", object{"name": "lonely", "host": "127.0.0.1", "port": 1, "protocol": "SSH"}))
	head := w.head(root)
	for _, b := range slices.Concat(badEmergencies(grant), badNames(), badBodies(grant), badDirectory()) {
		w.expect(root.Client, b)
	}
	w.expect(client.Client{Base: w.HTTP, Token: "pct_nobody_nothing"}, bad{
		"a made-up token", http.MethodGet, "/v1/users", nil, []int{http.StatusUnauthorized}, []string{"UNAUTHENTICATED"},
	})
	w.expect(client.Client{Base: w.HTTP, Token: expired}, bad{
		"an expired token of another key", http.MethodGet, "/v1/users", nil, []int{http.StatusUnauthorized}, []string{"UNAUTHENTICATED"},
	})
	w.expect(client.Client{Base: w.HTTP}, bad{
		"no token", http.MethodGet, "/v1/users", nil, []int{http.StatusUnauthorized}, []string{"UNAUTHENTICATED"},
	})
	w.hugeBody(root)

	if now := w.head(root); now != head {
		w.Errorf("refused calls moved the record from %s to %s", head, now)
	}
	for _, kind := range []string{"freezes", "lockdowns", "terminations"} {
		if list := w.must(root.Call(http.MethodGet, "/v1/"+kind, nil)).Objects(kind); len(list) != 0 {
			w.Errorf("refused calls left %d %s", len(list), kind)
		}
	}
	// None of them has spent the grant.
	w.must(w.ask(root, "", "/v1/freezes", object{"grant": grant, "duration": "60s"}))
	logs := w.Tails(1_000_000)
	for what, secret := range map[string]string{
		"a password": password, "the first password": w.first.Password, "an MFA secret": root.Secret,
		"the first MFA secret": w.first.Secret, "a token": root.Token, "a grant": grant, "a wrong password": wrongPassword,
		"a private key": strings.Split(devicesOf["db-1"]().PrivateKey, "\n")[1],
	} {
		if strings.Contains(logs, secret) {
			w.Errorf("%s is in the log", what)
		}
	}
}

const wrongPassword = "certainly not the password"

// expired is well-formed, signed with a key of nobody, and over since 2020.
const expired = "eyJhbGciOiJFZERTQSIsImtpZCI6Im5vYm9keSJ9.eyJzdWIiOiJhZG1pbiIsImV4cCI6MTU3NzgzNjgwMH0." +
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func badEmergencies(grant string) []bad {
	apply := func(more object) object {
		return with(object{"justification": "Practice", "grant": grant, "duration": "600s"}, more)
	}
	termination := func(selector object) object {
		return object{"justification": "Practice", "grant": grant, "selector": selector}
	}
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	long := strings.Repeat("x", 2001)
	var all []bad
	for _, path := range []string{"/v1/freezes", "/v1/lockdowns"} {
		post := func(name string, more object, reasons ...string) {
			all = append(all, bad{name + " at " + path, http.MethodPost, path, apply(more), bad400, reasons})
		}
		post("no duration", object{"duration": nil}, "DURATION_OUT_OF_RANGE")
		post("a negative duration", object{"duration": "-600s"}, "DURATION_OUT_OF_RANGE")
		post("a zero duration", object{"duration": "0s"}, "DURATION_OUT_OF_RANGE")
		post("59 seconds", object{"duration": "59s"}, "DURATION_OUT_OF_RANGE")
		post("a month and a second", object{"duration": "2592001s"}, "DURATION_OUT_OF_RANGE")
		post("10,000 years", object{"duration": "315576000000s"}, "DURATION_OUT_OF_RANGE")
		post("a duration beyond every bound", object{"duration": "99999999999999999999s"}, "INVALID_ARGUMENT", "DURATION_OUT_OF_RANGE")
		post("a duration that is no number", object{"duration": "soon"}, "INVALID_ARGUMENT")
		post("a bare number for a duration", object{"duration": 600}, "INVALID_ARGUMENT")
		post("a start in the past", object{"startTime": at(-2 * time.Minute)}, "START_IN_PAST")
		post("a start in two years", object{"startTime": at(2 * 365 * 24 * time.Hour)}, "INVALID_ARGUMENT", "DURATION_OUT_OF_RANGE")
		post("a start that is no time", object{"startTime": "tomorrow"}, "INVALID_ARGUMENT")
		post("no justification", object{"justification": ""}, "JUSTIFICATION_REQUIRED")
		post("a justification of blanks", object{"justification": " \n\t"}, "JUSTIFICATION_REQUIRED")
		post("a justification of 2,001 characters", object{"justification": long}, "INVALID_ARGUMENT")
		post("a governance code of 2,001 characters", object{"governanceCode": long}, "INVALID_ARGUMENT")
		post("a request id of 65 characters", object{"requestId": long[:65]}, "INVALID_ARGUMENT")
		post("an unknown field", object{"durration": "600s"}, "INVALID_ARGUMENT")
	}
	all = append(all,
		bad{"an empty selector", http.MethodPost, "/v1/terminations", termination(object{}), bad400, []string{"SELECTOR_EMPTY"}},
		bad{"an unknown user", http.MethodPost, "/v1/terminations", termination(object{"users": []string{"nobody"}}), bad404, notFound},
		bad{"an unknown device", http.MethodPost, "/v1/terminations", termination(object{"devices": []string{"nothing"}}), bad404, notFound},
		bad{"an unknown group", http.MethodPost, "/v1/terminations", termination(object{"accessGroups": []string{"none"}}), bad404, notFound},
		bad{"an unknown protocol", http.MethodPost, "/v1/terminations", termination(object{"protocols": []string{"GOPHER"}}), bad404, notFound},
		bad{"all and a name", http.MethodPost, "/v1/terminations", termination(object{"all": true, "users": []string{"alice"}}), bad400, append(invalid, "SELECTOR_EMPTY")},
		bad{"an unknown break-glass user", http.MethodPost, "/v1/lockdowns", apply(object{"breakGlassUsers": []string{"nobody"}}), bad404, notFound},
		bad{"cancelling what is not there", http.MethodPost, "/v1/freezes/F-9999:cancel", object{"justification": "x", "grant": grant}, []int{404}, []string{"NOT_FOUND"}},
		bad{"shortening what is not there", http.MethodPost, "/v1/lockdowns/L-9999:shorten", object{"justification": "x", "grant": grant, "endTime": at(time.Minute)}, []int{404}, []string{"NOT_FOUND"}},
		bad{"a preview of nothing", http.MethodPost, "/v1/emergencies:preview", object{}, bad400, invalid},
		bad{"a preview of an empty selector", http.MethodPost, "/v1/emergencies:preview", object{"termination": object{"selector": object{}}}, bad400, []string{"SELECTOR_EMPTY"}},
	)
	return all
}

func badNames() []bad {
	var all []bad
	for name, id := range map[string]string{
		"a slash": "F-1%2F..%2F2", "dots": "..", "dots, encoded": "%2e%2e", "a newline": "F-1%0aF-2",
		"a NUL": "F-1%00", "invalid UTF-8": "F-%ff%fe", "a wildcard": "*", "a subject wildcard": "%3E", "a space": "a%20b",
		"300 characters": strings.Repeat("a", 300),
	} {
		for _, path := range []string{"/v1/freezes/", "/v1/terminations/", "/v1/users/", "/v1/devices/", "/v1/sessions/", "/v1/access-groups/"} {
			all = append(all, bad{"an id with " + name + " at " + path, http.MethodGet, path + id, nil,
				[]int{http.StatusBadRequest, http.StatusNotFound}, notFound})
		}
	}
	for name, value := range map[string]string{
		"a slash": "a/b", "dots": "..", "a leading dot": ".a", "a newline": "a\nb", "a wildcard": "a*", "a greater-than": "a>",
		"a percent sign": "alice%db-1", "a space": "a b", "nothing": "", "129 characters": strings.Repeat("a", 129),
	} {
		all = append(all,
			bad{"a user's name with " + name, http.MethodPost, "/v1/users", object{"name": value, "password": password}, bad400, invalid},
			bad{"a device's name with " + name, http.MethodPost, "/v1/devices", object{"name": value, "host": "h", "port": 22, "protocol": "SSH"}, bad400, invalid},
			bad{"a group's name with " + name, http.MethodPost, "/v1/access-groups", object{"name": value}, bad400, invalid},
		)
	}
	return all
}

func badBodies(grant string) []bad {
	post := func(name string, body any) bad {
		return bad{name, http.MethodPost, "/v1/freezes", body, bad400, invalid}
	}
	return []bad{
		post("invalid UTF-8", "{\"justification\":\"\xff\xfe\",\"duration\":\"600s\",\"grant\":\""+grant+"\"}"),
		post("half a body", `{"duration":`),
		post("two bodies", `{"duration":"600s"}{"duration":"600s"}`),
		post("a list", `[]`),
		post("no JSON at all", `duration=600s`),
		post("a number for a text", `{"justification":5}`),
		post("deep nesting", strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000)),
		{"no such path", http.MethodPost, "/v1/nothing", object{}, []int{http.StatusNotFound}, []string{"NOT_FOUND"}},
		{"no such method", http.MethodPut, "/v1/freezes", object{}, []int{http.StatusMethodNotAllowed, http.StatusNotImplemented}, nil},
		{"a page of 1,001", http.MethodGet, "/v1/freezes?pageSize=1001", nil, bad400, invalid},
		{"a page of -1", http.MethodGet, "/v1/users?page_size=-1", nil, bad400, invalid},
		{"a page token of one's own", http.MethodGet, "/v1/freezes?pageToken=mine", nil, bad400, invalid},
		{"a filter that is none", http.MethodGet, "/v1/freezes?filter=~~", nil, bad400, invalid},
		{"an unknown status", http.MethodGet, "/v1/freezes?filter=status=WILD", nil, bad400, invalid},
		{"a wrong password", http.MethodPost, "/v1/sign-ins", object{"username": "bruno", "password": wrongPassword},
			[]int{http.StatusUnauthorized}, []string{"UNAUTHENTICATED"}},
		{"an unknown person", http.MethodPost, "/v1/sign-ins", object{"username": "nobody", "password": wrongPassword},
			[]int{http.StatusUnauthorized}, []string{"UNAUTHENTICATED"}},
	}
}

func badDirectory() []bad {
	return []bad{
		{"a group with an unknown user", http.MethodPost, "/v1/access-groups", object{"name": "g", "users": []string{"nobody"}}, bad404, notFound},
		{"a group with an unknown device", http.MethodPost, "/v1/access-groups", object{"name": "g", "devices": []string{"nothing"}}, bad404, notFound},
		{"an unknown user in an edit", http.MethodPatch, "/v1/access-groups/websites", object{"users": []string{"nobody"}}, bad404, notFound},
		{"an unknown group", http.MethodPatch, "/v1/access-groups/none", object{"blockDuringFreezes": true}, []int{404}, []string{"NOT_FOUND"}},
		{"a user twice", http.MethodPost, "/v1/users", object{"name": "alice", "password": password}, []int{409}, []string{"ALREADY_EXISTS"}},
		{"a device twice", http.MethodPost, "/v1/devices", object{"name": "db-1", "host": "h", "port": 22, "protocol": "SSH"}, []int{409}, []string{"ALREADY_EXISTS"}},
		{"a port beyond all ports", http.MethodPost, "/v1/devices", object{"name": "d", "host": "h", "port": 65536, "protocol": "SSH"}, bad400, invalid},
		{"an unknown protocol of a device", http.MethodPost, "/v1/devices", object{"name": "d", "host": "h", "port": 22, "protocol": "GOPHER"}, bad400, invalid},
		{"a host key that is none", http.MethodPost, "/v1/devices", object{"name": "d", "host": "h", "port": 22, "protocol": "SSH", "hostKey": "ssh-rsa nonsense"}, bad400, invalid},
		{"a credential of an unknown device", http.MethodPost, "/v1/devices/nothing:setCredential", object{"username": "u", "password": "p"}, []int{404}, []string{"NOT_FOUND"}},
		{"a private key that is none", http.MethodPost, "/v1/devices/lonely:setCredential", object{"username": "u", "privateKey": "nonsense"}, bad400, invalid},
		{"an import with one bad row", http.MethodPost, "/v1/directory:import", object{"document": text(object{
			"devices": []object{{"name": "fine", "host": "h", "port": 22, "protocol": "SSH"}, {"name": "not/fine"}},
		})}, bad400, invalid},
		{"an import that is no document", http.MethodPost, "/v1/directory:import", object{"document": "\t: ["}, bad400, invalid},
		{"a check of an unknown channel", http.MethodPost, "/v1/access:check", object{"user": "alice", "channel": "WINDOW"}, bad400, invalid},
	}
}

func (w *world) expect(c client.Client, b bad) {
	w.Helper()
	a, err := c.Call(b.method, b.path, b.body)
	if err != nil {
		w.Errorf("%s: %v", b.name, err)
		return
	}
	if !slices.Contains(b.status, a.Status) || b.reasons != nil && !slices.Contains(b.reasons, a.Reason()) {
		w.Errorf("%s: %s %.60s got %.300s, want %v %v", b.name, b.method, b.path, a, b.status, b.reasons)
		return
	}
	for _, field := range []string{"code", "message"} {
		if a.Text(field) == "" {
			w.Errorf("%s: the refusal has no %s: %s", b.name, field, a)
		}
	}
}

// head is how far the record of emergencies goes.
func (w *world) head(p *client.Person) string {
	w.Helper()
	return w.must(p.Call(http.MethodGet, "/v1/audit/checkpoint", nil)).Text("revision")
}

// hugeBody sends 100 MB, or as much as the server reads before it refuses.
func (w *world) hugeBody(p *client.Person) {
	w.Helper()
	body := io.MultiReader(strings.NewReader(`{"justification":"`), io.LimitReader(xs{}, 100<<20), strings.NewReader(`"}`))
	request, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.HTTP+"/v1/freezes", body)
	if err != nil {
		w.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	a, err := p.Do(request)
	if err != nil {
		w.Errorf("a body of 100 MB: %v", err)
		return
	}
	if a.Status != http.StatusRequestEntityTooLarge || a.Reason() == "" {
		w.Errorf("a body of 100 MB got %.300s, want 413 and a reason", a)
	}
}

// xs is an endless text.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
