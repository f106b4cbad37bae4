package hook

import (
	"strings"
	"testing"
)

func FuzzASigningKeyIsOneOrRefusedAndNeverRepeated(f *testing.F) {
	for _, seed := range []string{NewSecret(), "", "whsec_", "whsec_AAAA", "whsec_" + strings.Repeat("A", 88) + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := keyOf(text)
		if err == nil && (len(key) < shortestKey || len(key) > longestKey || !strings.HasPrefix(text, secretPrefix)) {
			t.Fatalf("%q is a key of %d bytes", text, len(key))
		}
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text) {
			t.Fatalf("the error repeats %q", text)
		}
	})
}
