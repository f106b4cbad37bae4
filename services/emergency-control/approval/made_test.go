package approval

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/who"
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

func TestAdministratorsWhomGroupsHaveMadeAreNotTiedByThat(t *testing.T) {
	start := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	b := NewBook(24 * time.Hour)
	act := func(e *emergencyv1.Entry, kind, whom string) {
		e.Change, e.Time = emergencyv1.Entry_ACT, timestamppb.New(start)
		e.Record = &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: kind, Target: whom}}
		b.Put(e)
	}
	for _, whom := range []string{"alice", "bob", "carol"} {
		act(&emergencyv1.Entry{Actor: "portcullis", SignInBy: who.ByProvider}, "user.grant-administrator", whom)
	}
	// A person who came by the provider is one like every other.
	act(&emergencyv1.Entry{Actor: "carol", SignIn: "s1", SignInBy: who.ByProvider}, "user.reset-mfa", "bob")
	now := start.Add(time.Hour)
	if until := b.MadeUntil("alice", "bob", now); !until.IsZero() {
		t.Errorf("two whom groups have made are tied until %v", until)
	}
	if until := b.MadeUntil("carol", "bob", now); !until.Equal(start.Add(24 * time.Hour)) {
		t.Errorf("who has reset an MFA of the other is tied until %v", until)
	}
}

func TestWhoGaveThemTheMeansToActBeforeIsTiedToAnAdministratorFromWhenTheyBecameOne(t *testing.T) {
	start := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	for name, e := range map[string]*emergencyv1.Entry{
		"by somebody":           {Actor: "carol", SignIn: "s1"},
		"by groups":             {Actor: "portcullis", SignInBy: who.ByProvider},
		"by a person of groups": {Actor: "carol", SignIn: "s1", SignInBy: who.ByProvider},
	} {
		b := NewBook(24 * time.Hour)
		e.Change, e.Time = emergencyv1.Entry_ACT, timestamppb.New(start)
		e.Record = &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: "user.grant-administrator", Target: "bob", Hands: []string{"alice", "dave"}}}
		b.Put(e)
		for hand, until := range map[string]time.Time{"alice": start.Add(24 * time.Hour), "dave": start.Add(24 * time.Hour), "erin": {}} {
			if got := b.MadeUntil("bob", hand, start.Add(time.Hour)); !got.Equal(until) {
				t.Errorf("%s: bob and %s are tied until %v, want %v", name, hand, got, until)
			}
		}
		if err := b.Independent(&emergencyv1.Approval{RequestedBy: "alice"}, By{User: "bob"}, start.Add(time.Hour)); err == nil {
			t.Errorf("%s: bob approves what alice asks for", name)
		}
		if err := b.Independent(&emergencyv1.Approval{RequestedBy: "alice"}, By{User: "bob"}, start.Add(24*time.Hour)); err != nil {
			t.Errorf("%s: a day later bob is told %v", name, err)
		}
	}
}
