package console

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestEveryAddressThatAPersonOpensIsTheOnePage(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{
		"GET /": true, "GET /sessions": true, "GET /emergencies/L-0001": true, "HEAD /": true,
		"POST /": false, "POST /sessions": false, "GET /v1/users": false, "GET /v1": false, "GET /assets/none.js": false, "GET /index.html": true,
	} {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept", "text/html,*/*")
		if got := c.Has(r); got != want {
			t.Errorf("%s: got %v", target, got)
		}
	}
	if r := httptest.NewRequest("GET", "/sessions", nil); c.Has(r) {
		t.Error("a program that mistakes the path gets a page")
	}
}

// scripts are what the page loads before anything else.
var scripts = regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`)

func TestThePageLoadsOnlyItsOwnFilesCompressedAndForGood(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	page := w.Body.String()
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || strings.Contains(page, "<script>") || strings.Contains(page, "//") && strings.Contains(page, "https://") {
		t.Errorf("got %s\n%s", policy, page)
	}
	loaded := scripts.FindAllStringSubmatch(page, -1)
	if len(loaded) < 2 {
		t.Fatalf("it loads %v", loaded)
	}
	for _, file := range loaded {
		r := httptest.NewRequest("GET", file[1], nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if !c.Has(r) || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: got %v", file[1], w.Header())
		}
		zip, err := gzip.NewReader(w.Body)
		if err != nil {
			continue // too small to gain anything
		}
		if _, err := io.Copy(io.Discard, zip); err != nil {
			t.Errorf("%s: %v", file[1], err)
		}
	}
}

// A visit takes less: the browser suite counts what the panel and its report take, which is to be under 350 kB.
func TestAllScriptsOfAllPagesTogetherAreUnder450kBOverTheWire(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for name, f := range c.files {
		switch {
		case !strings.HasSuffix(name, ".js"):
		case f.zip != nil:
			total += len(f.zip)
		default:
			total += len(f.text)
		}
	}
	if total == 0 || total > 450_000 {
		t.Errorf("%d bytes", total)
	}
}
