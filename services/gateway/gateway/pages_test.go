package gateway

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"strings"
	"testing"
	"time"

	"portcullis.dev/services/internal/pace"
)

func TestThePlainPageSaysWhetherALockdownIsOnAndUntilWhen(t *testing.T) {
	p := open(t)
	if a := p.call(t, "GET", "/plain", "", "Authorization", ""); a.status != 200 || !strings.Contains(a.body, "No lockdown is on.") || !strings.Contains(a.body, `href="/docs"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	p.lockDown(time.Date(2022, 8, 9, 22, 54, 0, 0, time.UTC))
	if a := p.call(t, "GET", "/plain", "", "Authorization", ""); !strings.Contains(a.body, "Portcullis is under Lockdown until 09/08/2022 22:54:00") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	p.setRefuse(errors.New("down"))
	if a := p.call(t, "GET", "/plain", ""); a.status != 200 || !strings.Contains(a.body, "can&#39;t be told now") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	p.stop()
	if a := p.call(t, "GET", "/plain", ""); a.status != 200 || !strings.Contains(a.body, "can&#39;t be told now") {
		t.Errorf("without a gate: got %d %s", a.status, a.body)
	}
}

func TestTheDocumentsPageHasEveryRouteAndEveryLinkLeadsSomewhere(t *testing.T) {
	p := open(t)
	a := p.call(t, "GET", "/docs", "", "Authorization", "")
	text := html.UnescapeString(a.body)
	for _, row := range strings.Split(strings.TrimSpace(contract), "\n") {
		verb, path, _ := strings.Cut(row, " ")
		if !strings.Contains(text, `<b class="`+verb+`">`+verb+`</b> <code>`+path+`</code>`) {
			t.Errorf("no %s", row)
		}
	}
	ids, links := map[string]bool{}, map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(a.body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, _ := token.(xml.StartElement)
		for _, attribute := range start.Attr {
			switch attribute.Name.Local {
			case "id":
				if ids[attribute.Value] {
					t.Errorf("two of id %s", attribute.Value)
				}
				ids[attribute.Value] = true
			case "href":
				links[attribute.Value] = true
			}
		}
	}
	for link := range links {
		if id, inside := strings.CutPrefix(link, "#"); inside && !ids[id] {
			t.Errorf("%s leads nowhere", link)
		}
		if strings.Contains(link, "//") {
			t.Errorf("%s leads outside", link)
		}
	}
	if len(ids) < 100 {
		t.Errorf("only %d things can be linked to", len(ids))
	}
}

func TestReadinessSaysWhatIsWaitedFor(t *testing.T) {
	var waits error
	p := open(t, func(_ *Config, d *Deps) { d.Ready = func() error { return waits } })
	if a := p.call(t, "GET", "/readyz", "", "Authorization", ""); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	waits = errors.New("identity: the journal")
	if a := p.call(t, "GET", "/readyz", ""); a.status != 503 || !strings.Contains(a.body, "identity: the journal") || a.header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := p.call(t, "GET", "/healthz", ""); a.status != 200 {
		t.Errorf("alive all the same: got %d %s", a.status, a.body)
	}
}

func TestWhatIsNotTheAPIStaysOpenInALockdown(t *testing.T) {
	p := open(t)
	p.lockDown(noon.AddDate(0, 0, 1))
	for _, path := range []string{"/", "/plain", "/docs", "/docs.css", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/posture"} {
		if a := p.call(t, "GET", path, "", "Authorization", ""); a.status != 200 {
			t.Errorf("%s: got %d", path, a.status)
		}
	}
	if a := p.call(t, "GET", "/v1/devices/db-1", ""); a.status != 503 {
		t.Errorf("the API: got %d", a.status)
	}
}

func TestMetricsCountByRowAndNotByWhatCallersMakeUp(t *testing.T) {
	p := open(t)
	p.call(t, "GET", "/v1/devices/db-1", "")
	p.call(t, "GET", "/v1/devices/db-2", "")
	p.call(t, "GET", "/v1/made-up", "")
	p.call(t, "MADEUP", "/v1/devices", "")
	text := p.call(t, "GET", "/metrics", "").body
	for _, want := range []string{
		`portcullis_http_answers_total{method="GET",path="/v1/devices/{name}",status="200"} 2`,
		`portcullis_http_answers_total{method="GET",path="none",status="404"} 1`,
		`portcullis_http_answers_total{method="other",path="none",status="405"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "made-up") || strings.Contains(text, "db-1") {
		t.Errorf("a caller's words are in\n%s", text)
	}
}

func TestAPageThatHasNotChangedIsNotSentAgain(t *testing.T) {
	p := open(t)
	first := p.call(t, "GET", "/openapi.json", "")
	if a := p.call(t, "GET", "/openapi.json", "", "If-None-Match", first.header.Get("Etag")); a.status != 304 || a.body != "" {
		t.Errorf("got %d, %d bytes", a.status, len(a.body))
	}
}

func TestAnAddressThatAsksForPagesTooOftenWaitsAndNobodyElseDoes(t *testing.T) {
	p := open(t, func(c *Config, _ *Deps) { c.TrustedProxies = []string{"127.0.0.1"} })
	const flood = "2001:db8:bad::1"
	p.gateway.front.haste.pace = pace.Pace{PerSecond: 0.001, Burst: 10}
	for range 100 {
		p.call(t, "GET", "/docs.css", "", "X-Forwarded-For", flood)
	}
	for _, path := range []string{"/docs", "/", "/plain", "/metrics"} {
		a := p.call(t, "GET", path, "", "X-Forwarded-For", flood)
		if a.status != 429 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"reason":"RATE_LIMITED"`) {
			t.Errorf("%s: got %d %q %.100s", path, a.status, a.header.Get("Retry-After"), a.body)
		}
		if a := p.call(t, "GET", path, "", "X-Forwarded-For", "192.0.2.7"); a.status != 200 {
			t.Errorf("%s from another address: got %d", path, a.status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/v1/posture"} { // who watches, and what services count
		if a := p.call(t, "GET", path, "", "X-Forwarded-For", flood); a.status != 200 {
			t.Errorf("%s: got %d %s", path, a.status, a.body)
		}
	}
}
