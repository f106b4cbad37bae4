package screen_test

import (
	"testing"
	"time"

	"portcullis.dev/services/portcullis/cli/screen"
)

func FuzzAMomentIsATimeOrAnError(f *testing.F) {
	for _, seed := range []string{"22:30", "2026-11-30 22:30", "2026-11-30T22:30:00Z", "24:00", "02:30", "0000-00-00 00:00", ""} {
		f.Add(seed)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Skip("no time zones here: ", err)
	}
	now := time.Date(2026, 3, 8, 1, 59, 0, 0, zone) // the night that has no half past two
	f.Fuzz(func(t *testing.T, text string) {
		at, err := screen.ParseMoment(text, now, zone)
		if err == nil && len(text) <= len("15:04:05") && (at.Before(now) || at.Sub(now) > 25*time.Hour) {
			t.Fatalf("%q is next at %s, seen at %s", text, at, now)
		}
	})
}
