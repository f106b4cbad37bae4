package listing_test

import (
	"slices"
	"testing"

	"portcullis.dev/services/internal/listing"
)

func FuzzAFilterHasItsKeysOnceAndValues(f *testing.F) {
	for _, seed := range []string{"", "name=web-*", `name="a b" AND kind=x`, "name= AND name=1", "a==b", " AND ", "name=\" AND kind=\""} {
		f.Add(seed)
	}
	keys := []string{"name", "kind"}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := listing.Filter(text, keys...)
		if err != nil {
			return
		}
		for key, value := range all {
			if !slices.Contains(keys, key) || value == "" {
				t.Fatalf("%q asks for %q=%q", text, key, value)
			}
			_ = listing.Matches(value, text)
		}
	})
}

func FuzzAPageTokenIsOursOrRefused(f *testing.F) {
	for _, seed := range []string{"", "YQ", "YQ==", "\n", "a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if back, err := listing.Place(listing.Token(text)); err != nil || back != text {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
		_, _ = listing.Place(text)
	})
}
