package emergency

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/testing/protocmp"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestACutSurvivesTheWire(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, cut := range []Cut{
		{Emergency: "T-0007", Kind: Termination, Revision: Revision{1, 7}, Selector: &emergencyv1.Selector{Users: []string{"alice"}}, Reason: "why"},
		{Emergency: "L-0042", Kind: Lockdown, Revision: Revision{2, 42}, Start: start, Until: start.Add(time.Hour), Begun: true,
			Selector: &emergencyv1.Selector{All: true}, SparedSignIn: "x"},
		{Emergency: "F-0009", Kind: Freeze, Revision: Revision{2, 9}, Start: start, Until: start.Add(time.Hour),
			Selector: &emergencyv1.Selector{AccessGroups: []string{"g"}}, MemberDevices: []string{"db"}, SparedUsers: []string{"root"}},
	} {
		got, err := CutFrom(cut.Proto())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(cut, got, protocmp.Transform(), cmpopts.IgnoreUnexported(Cut{})); d != "" {
			t.Error(d)
		}
	}
	if _, err := CutFrom(&emergencyv1.Cut{CutoffRevision: "seven"}); err == nil {
		t.Error("a cut without a readable revision was taken")
	}
}

func TestWhoIsDisabledOrUnknownIsNotEnabled(t *testing.T) {
	b := NewBuilder()
	b.PutUser("alice", false, false)
	b.PutUser("bob", false, true)
	b.PutDevice("db", false)
	b.PutDevice("old", true)
	b.PutUser("root", true, false)
	b.PutUser("admin", true, false)
	b.PutUser("gone", true, true)
	s := b.Snapshot(time.Now())
	if got := s.Administrators(); !slices.Equal(got, []string{"admin", "root"}) {
		t.Errorf("administrators are %v", got)
	}
	if !s.UserEnabled("alice") || s.UserEnabled("bob") || s.UserEnabled("carol") {
		t.Error("users")
	}
	if !s.DeviceEnabled("db") || s.DeviceEnabled("old") || s.DeviceEnabled("none") {
		t.Error("devices")
	}
}
