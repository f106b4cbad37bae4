package approval

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestWhoIsTiedByTheMeansToActIsNoSecondPersonInEitherDirectionNorByWayOfOthers(t *testing.T) {
	start := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	b := NewBook(24 * time.Hour)
	makes := func(after time.Duration, by, whom string) {
		b.Put(&emergencyv1.Entry{Change: emergencyv1.Entry_ACT, Actor: by, Time: timestamppb.New(start.Add(after)),
			Record: &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: "user.grant-administrator", Target: whom}}})
	}
	makes(0, "alice", "m1")
	makes(time.Hour, "m1", "m2")
	makes(time.Hour, "bob", "carol")
	for _, c := range []struct {
		asks, approves string
		at, until      time.Duration // 0: never tied
	}{
		{"alice", "m1", 2 * time.Hour, 24 * time.Hour},
		{"m1", "alice", 2 * time.Hour, 24 * time.Hour},
		{"alice", "m2", 2 * time.Hour, 24 * time.Hour},
		{"m2", "alice", 2 * time.Hour, 24 * time.Hour},
		{"m1", "m2", 24 * time.Hour, 25 * time.Hour},
		{"alice", "m2", 24 * time.Hour, 0},
		{"alice", "bob", 2 * time.Hour, 0},
		{"m2", "carol", 2 * time.Hour, 0},
	} {
		want := time.Time{}
		if c.until > 0 {
			want = start.Add(c.until)
		}
		if got := b.MadeUntil(c.asks, c.approves, start.Add(c.at)); !got.Equal(want) {
			t.Errorf("%s approves %s after %v: tied until %v, want %v", c.approves, c.asks, c.at, got, want)
		}
	}
}
