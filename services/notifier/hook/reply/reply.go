// Package reply reads what an HTTP server answered to a message: never more of it than a bound, on one line, and
// without secrets.
package reply

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"portcullis.dev/services/notifier/message"
)

const (
	// Limit is how many bytes of an answer are read.
	Limit = 64 << 10
	// longest is how long a Retry-After is believed.
	longest = 24 * time.Hour
	// shown is how many characters of an answer people see.
	shown = 200
)

// Body is the beginning of an answer's body: as much as came of its first Limit bytes.
func Body(response *http.Response) []byte {
	body, _ := io.ReadAll(io.LimitReader(response.Body, Limit))
	return body
}

// Line is the beginning of a text of the other side's, on one line, with the secrets taken out that it may echo.
func Line(text string, secrets ...string) string {
	text = strings.ToValidUTF8(Redact(text, secrets...), "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > shown {
		return string(runes[:shown-1]) + "…"
	}
	return string(runes)
}

// Redact takes secrets out of a text, as they are and as an address or JSON writes them. One of less than four
// characters stays: taking it out would garble the text and hide nothing.
func Redact(text string, secrets ...string) string {
	var all []string
	for _, secret := range secrets {
		quoted := strconv.Quote(secret)
		all = append(all, secret, url.QueryEscape(secret), url.PathEscape(secret), quoted[1:len(quoted)-1])
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, secret := range all {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return text
}

// After is the time that a server wants to be left alone for: its Retry-After, in seconds or as a date; 0: it says
// none.
func After(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}

// Unreached is the failure of a request that brought no answer. The request's address, which may be a secret, is left
// out of it; who is what people know the other side by.
func Unreached(err error, who string, secrets ...string) *message.Failure {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return message.Fail(context.Canceled, "The attempt was broken off before "+who+" answered")
	case errors.Is(err, context.DeadlineExceeded):
		f := message.Fail(context.DeadlineExceeded, who+" did not answer in time")
		f.Server = true
		return f
	}
	return &message.Failure{Reason: who + " can't be reached: " + Line(err.Error(), secrets...), Server: true}
}
