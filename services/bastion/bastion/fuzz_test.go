package bastion

import (
	"strings"
	"testing"
)

func FuzzALoginNamesAUserAndADeviceOrNobody(f *testing.F) {
	for _, seed := range []string{"", "ana%db-1", "%", "ana%", "%db-1", "a%b%c", "ana@example.com%db"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		user, device, err := login(name)
		if err == nil && (user == "" || device == "" || strings.Contains(user, "%") || user+"%"+device != name) {
			t.Fatalf("%q is %q at %q", name, user, device)
		}
	})
}
