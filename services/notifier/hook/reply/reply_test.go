package reply_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"portcullis.dev/services/notifier/hook/reply"
)

func TestAnAnswerIsReadToItsBound(t *testing.T) {
	endless := io.MultiReader(bytes.NewReader(make([]byte, reply.Limit)), never{})
	if got := reply.Body(&http.Response{Body: io.NopCloser(endless)}); len(got) != reply.Limit {
		t.Errorf("%d bytes were read", len(got))
	}
}

type never struct{}

func (never) Read([]byte) (int, error) { panic("more than the bound is read") }

func TestARequestsAddressIsNoPartOfItsFailure(t *testing.T) {
	f := reply.Unreached(&url.Error{Op: "Post", URL: "https://a.example/secret", Err: errors.New("connection refused")}, "a.example")
	if strings.Contains(f.Error(), "secret") || !strings.Contains(f.Reason, "connection refused") || !f.Server || f.Permanent {
		t.Errorf("%+v", f)
	}
	f = reply.Unreached(&url.Error{Op: "Post", URL: "https://a.example/secret", Err: context.DeadlineExceeded}, "a.example")
	if strings.Contains(f.Error(), "secret") || !f.Server || !errors.Is(f, context.DeadlineExceeded) {
		t.Errorf("%+v", f)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\r\nb \x1b[31m secret", "secret")
	f.Add(`{"sig":"a\"b+c"}`, `a"b+c`)
	f.Add("a%2Fb", "a/b\xff")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := reply.Line(text, secret)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 200 || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q became %q", text, got)
		}
		if len(secret) >= 4 && utf8.ValidString(secret) && !strings.Contains(secret, "…") && strings.Join(strings.Fields(secret), " ") == secret &&
			!strings.ContainsFunc(secret, unicode.IsControl) && !strings.Contains(strings.ReplaceAll(text, secret, ""), secret) && strings.Contains(got, secret) &&
			strings.Contains(text, secret) {
			t.Errorf("%q holds %q", got, secret)
		}
	})
}

func FuzzAfter(f *testing.F) {
	for _, seed := range []string{"7", "-7", "99999999999999999999", "Wed, 25 Nov 2026 21:00:00 GMT", "1e9", " 5 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		header := http.Header{"Retry-After": {text}}
		if got := reply.After(header, time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)); got < 0 || got > 24*time.Hour {
			t.Errorf("%q: %v", text, got)
		}
	})
}
