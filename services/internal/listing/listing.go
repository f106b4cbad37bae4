// Package listing reads what every list is asked with: a filter, a page's size, and where it begins.
package listing

import (
	"encoding/base64"
	"slices"
	"strings"

	"portcullis.dev/pkg/fault"
)

const (
	usualPage = 50
	maxPage   = 1000
)

// Filter reads key=value pairs joined by AND, each of these keys once at most.
func Filter(text string, keys ...string) (map[string]string, error) {
	f := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	for term := range strings.SplitSeq(text, " AND ") {
		key, value, ok := strings.Cut(term, "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		if _, twice := f[key]; !ok || twice || value == "" || !slices.Contains(keys, key) {
			return nil, bad("filter", "%.100q can't be read. Write key=value, joined by AND; the keys are %s", term, strings.Join(keys, ", "))
		}
		f[key] = value
	}
	return f, nil
}

// Matches reports whether a name is the one asked for; "web-*" asks for all that begin so.
func Matches(asked, name string) bool {
	if prefix, open := strings.CutSuffix(asked, "*"); open {
		return strings.HasPrefix(name, prefix)
	}
	return asked == name
}

// Size is how many rows a page has.
func Size(asked int32) int {
	if asked <= 0 {
		return usualPage
	}
	return min(int(asked), maxPage)
}

// Token writes where the next page begins, for nobody else to read.
func Token(place string) string { return base64.RawURLEncoding.EncodeToString([]byte(place)) }

// Place reads a token; empty is the beginning.
func Place(token string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", BadToken()
	}
	return string(raw), nil
}

// BadToken refuses a token that is none of ours.
func BadToken() error { return bad("pageToken", "This is not one of ours. Start again without it") }

func bad(field, format string, values ...any) error {
	return fault.New(fault.InvalidArgument, format, values...).With("field", field)
}
