package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

func TestBadBodiesAreRefusedByNameAndNothingIsCalled(t *testing.T) {
	p := open(t)
	deep := strings.Repeat(`{"users":[`, 40) + strings.Repeat(`]}`, 40)
	for _, c := range []struct{ path, body, reason, field string }{
		{"/v1/freezes", `{"justificatio":"x"}`, "INVALID_ARGUMENT", "justificatio"},
		{"/v1/terminations", `{"selector":{"al":true}}`, "INVALID_ARGUMENT", "selector.al"},
		{"/v1/terminations", "{\n \"justification\": \"é\",\n \"selector\": {\"users\": [\"a\", 7]}}", "INVALID_ARGUMENT", "selector.users"},
		{"/v1/terminations", `{"selector":{"users":["a"],"devices":["b"]},"grant":["x"]}`, "INVALID_ARGUMENT", "grant"},
		{"/v1/freezes", `{"duration":"2h"}`, "INVALID_ARGUMENT", "duration"},
		{"/v1/freezes", `{"duration":"abc"}`, "INVALID_ARGUMENT", "duration"},
		{"/v1/freezes", `{"duration":7200}`, "INVALID_ARGUMENT", "duration"},
		{"/v1/freezes", `{"duration":"99999999999999999999s"}`, "DURATION_OUT_OF_RANGE", "duration"},
		{"/v1/freezes", `{"duration":"-315576000001s"}`, "DURATION_OUT_OF_RANGE", "duration"},
		{"/v1/freezes", `{"startTime":"tomorrow"}`, "INVALID_ARGUMENT", "startTime"},
		{"/v1/freezes", `{"grant":"a","grant":"b"}`, "INVALID_ARGUMENT", "grant"},
		{"/v1/freezes", `{"justificationPublic":"yes"}`, "INVALID_ARGUMENT", "justificationPublic"},
		{"/v1/devices", `{"port":70000.5}`, "INVALID_ARGUMENT", "port"},
		{"/v1/devices", `{"port":-1}`, "INVALID_ARGUMENT", "port"},
		{"/v1/devices", `{"protocol":"TELNET"}`, "INVALID_ARGUMENT", "protocol"},
		{"/v1/devices", `{"labels":{"a":null}}`, "INVALID_ARGUMENT", "labels.a"},
		{"/v1/emergencies:preview", `{"freeze":{},"lockdown":{}}`, "INVALID_ARGUMENT", "lockdown"},
		{"/v1/freezes", `[]`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `null`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `"x"`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `{"grant":`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `{} {}`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `{}x`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `{"justification":"\ud800"}`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", "{\"justification\":\"\xff\"}", "INVALID_ARGUMENT", ""},
		{"/v1/directory:import", `{"users":[` + deep + `]}`, "INVALID_ARGUMENT", ""},
		{"/v1/freezes", `{"` + strings.Repeat("a", 1<<20) + `":1}`, "INVALID_ARGUMENT", strings.Repeat("a", 64) + "…"},
	} {
		a := p.call(t, "POST", c.path, c.body)
		want := fmt.Sprintf(`"reason":%q`, c.reason)
		if a.status != 400 || !strings.Contains(a.body, want) || len(a.body) > 600 {
			t.Errorf("%.80s: got %d %.300s", c.body, a.status, a.body)
		}
		field := fmt.Sprintf(`"field":%q`, c.field)
		if c.field == "" && strings.Contains(a.body, `"field"`) || c.field != "" && !strings.Contains(a.body, field) {
			t.Errorf("%.80s: no %s in %.300s", c.body, field, a.body)
		}
	}
	if _, request := p.last(); request != nil {
		t.Errorf("a service was called with %v", request)
	}
}

func TestASecretInABadBodyIsNotSaidBack(t *testing.T) {
	p := open(t)
	for _, body := range []string{`{"password":12345678}`, `{"password":"hunter12345678","x":1}`, `{"code":{"a":12345678}}`} {
		a := p.call(t, "POST", "/v1/sign-ins", body)
		if a.status != 400 || strings.Contains(a.body+p.log.String(), "12345678") {
			t.Errorf("%s: %d %s %s", body, a.status, a.body, p.log)
		}
	}
}

func TestOtherTypesThanJSONAreRefused(t *testing.T) {
	p := open(t)
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Content-Type", "application/json", 200},
		{"Content-Type", "application/json; charset=utf-8", 200},
		{"Content-Type", "", 200},
		{"Content-Type", "application/json; charset=latin1", 415},
		{"Content-Type", "text/plain", 415},
		{"Content-Type", "application/x-www-form-urlencoded", 415},
		{"Content-Type", "application/yaml", 415},
		{"Content-Type", ";;", 415},
		{"Content-Encoding", "gzip", 415},
	} {
		a := p.call(t, "POST", "/v1/freezes", `{"duration":"900s"}`, c.header, c.value)
		if a.status != c.want || c.want == 415 && !strings.Contains(a.body, `"code":"INVALID_ARGUMENT"`) {
			t.Errorf("%s %q: got %d %s", c.header, c.value, a.status, a.body)
		}
	}
}

func TestAnImportMayComeAsYAML(t *testing.T) {
	p := open(t)
	const text = "devices:\n- name: db-1 # é\n"
	a := p.call(t, "POST", "/v1/directory:import?requestId=7", text, "Content-Type", "application/yaml")
	_, request := p.last()
	r, _ := request.(*gatev1.ImportRequest)
	if a.status != 200 || r.GetDocument() != text || r.GetRequestId() != "7" {
		t.Errorf("got %d %s, %v", a.status, a.body, request)
	}
	if a := p.call(t, "POST", "/v1/directory:import?grant=x", text, "Content-Type", "application/yaml"); a.status != 400 {
		t.Errorf("an unknown parameter: %d %s", a.status, a.body)
	}
	if a := p.call(t, "POST", "/v1/directory:import", "a: \xff", "Content-Type", "application/yaml"); a.status != 400 {
		t.Errorf("invalid UTF-8: %d %s", a.status, a.body)
	}
}

func TestACallbackMayComeAsAFormAndIsPassedOnAsItCame(t *testing.T) {
	p := open(t)
	const text = "MessageStatus=undelivered&ErrorCode=30003&Body=%C3%A9+x&%FF=1"
	a := p.call(t, "POST", "/v1/sms-callbacks/twilio?delivery=d1", text,
		"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8", "X-Twilio-Signature", "c2lnbmF0dXJl")
	_, request := p.last()
	want := &notificationv1.ReceiveTwilioStatusRequest{Delivery: "d1", Signature: "c2lnbmF0dXJl", Form: text}
	if d := cmp.Diff(want, request, protocmp.Transform()); a.status != 200 || d != "" {
		t.Errorf("got %d %s\n%s", a.status, a.body, d)
	}
	if a := p.call(t, "POST", "/v1/sms-callbacks/twilio?signature=x", text, "Content-Type", "application/x-www-form-urlencoded"); a.status != 400 {
		t.Errorf("an unknown parameter: %d %s", a.status, a.body)
	}
}

// exchangeRaw writes a request by hand and answers what came back, and how much could be written.
func exchangeRaw(t *testing.T, p *public, head string, body io.Reader) (status int, text string, written int64) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	sent := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(c, body) // breaks off once the gateway has closed
		sent <- n
	}()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := io.ReadAll(answer.Body)
	_ = c.Close()
	return answer.StatusCode, string(all), <-sent
}

func TestABodyOf100MBIsRefusedWithoutBeingRead(t *testing.T) {
	p := open(t)
	const head = "POST /v1/freezes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	status, text, _ := exchangeRaw(t, p, head+"Content-Length: 104857600\r\n\r\n", strings.NewReader(""))
	if status != 413 || !strings.Contains(text, `"limit":"4194304"`) {
		t.Errorf("announced: %d %s", status, text)
	}
	endless := &chunks{of: bytes.Repeat([]byte(" "), 1<<16), left: 1600}
	status, text, written := exchangeRaw(t, p, head+"Transfer-Encoding: chunked\r\n\r\n", endless)
	if status != 413 || !strings.Contains(text, `"code":"INVALID_ARGUMENT"`) {
		t.Errorf("in chunks: %d %s", status, text)
	}
	if written > 32<<20 { // what was read, and what the buffers between took
		t.Errorf("the gateway took %d bytes", written)
	}
	if status, text, _ := exchangeRaw(t, p, strings.Replace(head, "freezes", "directory:import", 1)+"Content-Length: 104857600\r\n\r\n", strings.NewReader("")); status != 413 || !strings.Contains(text, `"limit":"33554432"`) {
		t.Errorf("an import: %d %s", status, text)
	}
}

// chunks are chunks of a chunked body, made as they are read.
type chunks struct {
	of, rest []byte
	left     int
}

func (c *chunks) Read(to []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.rest = []byte(fmt.Sprintf("%x\r\n%s\r\n", len(c.of), c.of))
	}
	n := copy(to, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestCallsWithoutABodyRefuseOne(t *testing.T) {
	p := open(t)
	for _, method := range []string{"GET", "DELETE"} {
		if a := p.call(t, method, "/v1/devices/db-1", `{"grant":"x"}`); a.status != 400 {
			t.Errorf("%s: got %d %s", method, a.status, a.body)
		}
	}
}

func TestNamesInPathsThatCannotBeOneAreRefusedAndNeverABug(t *testing.T) {
	p := open(t)
	for path, want := range map[string]int{
		"/v1/devices/db-1": 200, "/v1/devices/db.1": 200, "/v1/devices/a@b": 200, "/v1/freezes/F-0007": 200,
		"/v1/devices/a%2Fb": 400, "/v1/devices/a%2fb": 400, "/v1/devices/a%5Cb": 400, "/v1/devices/%2e%2e": 400, "/v1/devices/.": 400, "/v1/devices/..": 400,
		"/v1/devices/a%0Ab": 400, "/v1/devices/a%00b": 400, "/v1/devices/%ff": 400, "/v1/devices/a%25b": 400,
		"/v1/devices/a%3Fb": 400, "/v1/devices/%E2%80%AE": 400, "/v1/devices/": 400,
		"/v1/freezes/F%2F1": 400, "/v1/devices/" + strings.Repeat("a", 129): 400,
		"/v1/devices/a/b": 404, "/v1/devices//": 404, "//v1/devices/a": 404, "/v1/../v1/devices/a": 404, "/v1/%64evices/a": 404,
		"/v1": 404, "/v1/": 404, "/v1/nothing": 404, "/V1/devices": 404, "/index.html": 404, "/metrics/": 404, "/v1/freezes/:cancel": 400,
	} {
		status, text, _ := exchangeRaw(t, p, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nConnection: close\r\n\r\n", strings.NewReader(""))
		if status != want || status >= 400 && !strings.Contains(text, `"reason":"`) {
			t.Errorf("%.60q: got %d %s, want %d", path, status, text, want)
		}
	}
	for _, target := range []string{"*", "http://other/v1/devices/a%zz", "/v1/devices/%zz", "/v1/devices?a=%zz", "/v1/devices?a;b"} {
		status, text, _ := exchangeRaw(t, p, "GET "+target+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nConnection: close\r\n\r\n", strings.NewReader(""))
		if status < 400 || status >= 500 {
			t.Errorf("%q: got %d %s", target, status, text)
		}
	}
}

func TestParametersThatACallDoesNotTakeAreRefused(t *testing.T) {
	p := open(t)
	for query, want := range map[string]int{
		"?pageSize=10": 200, "?page_size=10&filter=a%3Db": 200,
		"?pagesize=10": 400, "?pageSize=ten": 400, "?pageSize=1&pageSize=2": 400, "?pageSize=1&page_size=2": 400,
		"?filter=%ff": 400, "?%ff=1": 400, "?pageSize=99999999999": 400, "?a.b=c": 400, "?filter[a]=b": 400,
	} {
		a := p.call(t, "GET", "/v1/devices"+query, "")
		if a.status != want || want == 400 && !strings.Contains(a.body, `"field":`) {
			t.Errorf("%s: got %d %s", query, a.status, a.body)
		}
	}
	for query, want := range map[string]int{"?most=0": 501, "?most=20000": 501, "?most=-1": 400, "?most=": 400, "?most=all": 400, "?most=4294967296": 400} {
		for _, path := range []string{"/v1/enforcers", "/v1/emergencies/F-0001/receipts"} { // which nobody serves here
			if a := p.call(t, "GET", path+query, ""); a.status != want || want == 400 && !strings.Contains(a.body, `"field":"most"`) {
				t.Errorf("%s%s: got %d %s", path, query, a.status, a.body)
			}
		}
	}
	if a := p.call(t, "POST", "/v1/freezes?grant=x", "{}"); a.status != 400 {
		t.Errorf("beside a body: %d %s", a.status, a.body)
	}
	if a := p.call(t, "PATCH", "/v1/devices/db-1?updateMask=host", `{"port":1}`); a.status != 400 {
		t.Errorf("a mask beside a body: %d %s", a.status, a.body)
	}
	if a := p.call(t, "GET", "/v1/devices/db-1?name=other", ""); a.status != 400 {
		t.Errorf("the path's own field: %d %s", a.status, a.body)
	}
	if a := p.call(t, "GET", "/v1/posture:watch?x=1", ""); a.status != 400 {
		t.Errorf("a stream: %d %s", a.status, a.body)
	}
}

func TestOtherMethodsAreRefusedWithThoseThatAreTaken(t *testing.T) {
	p := open(t)
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/v1/devices", "GET, POST"}, {"POST", "/v1/devices/db-1", "DELETE, GET, PATCH"}, {"HEAD", "/v1/devices", "GET, POST"},
		{"OPTIONS", "/v1/freezes", "GET, POST"}, {"GET", "/v1/freezes/F-1:cancel", ""}, {"GET", "/v1/sign-ins", "POST"}, {"POST", "/healthz", "GET, HEAD"},
		{"DELETE", "/v1/policy", "GET, PATCH"},
	} {
		a := p.call(t, c.method, c.path, "")
		if c.allow == "" { // also a device of that odd name
			continue
		}
		if a.status != 405 || a.header.Get("Allow") != c.allow || c.method != "HEAD" && !strings.Contains(a.body, `"code":"UNIMPLEMENTED"`) {
			t.Errorf("%s %s: got %d %s, Allow: %s", c.method, c.path, a.status, a.body, a.header.Get("Allow"))
		}
	}
	if a := p.call(t, "POST", "/v1/devices/db-1", "", "X-HTTP-Method-Override", "DELETE"); a.status != 405 {
		t.Errorf("an override was believed: %d", a.status)
	}
}
