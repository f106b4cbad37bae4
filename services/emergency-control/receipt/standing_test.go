package receipt

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestOfManyEnforcersThoseAreToldFirstWhoseClockIsWrongThenThoseThatStandWorst(t *testing.T) {
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	heard, gone := timestamppb.New(now), timestamppb.New(now.Add(-time.Minute))
	all := []*emergencyv1.Enforcer{
		{Id: "left", Presence: emergencyv1.Enforcer_DRAINED, LastSeenTime: gone},
		{Id: "current", Fresh: true, Revision: "7-3", LastSeenTime: heard, OpenSessions: new(uint32(1))},
		{Id: "behind", Fresh: true, Revision: "7-2", LastSeenTime: heard, OpenSessions: new(uint32(2))},
		{Id: "old", Bound: durationpb.New(time.Second), LastSeenTime: heard, OpenSessions: new(uint32(4))},
		{Id: "silent", Bound: durationpb.New(time.Second), LastSeenTime: gone, OpenSessions: new(uint32(8))},
		{Id: "never", Presence: emergencyv1.Enforcer_MISSING, Lacking: 3},
		{Id: "fast", Fresh: true, Revision: "7-3", LastSeenTime: heard, ClockSkew: durationpb.New(9 * time.Second)},
	}
	want := &emergencyv1.EnforcerSummary{Current: 2, Behind: 1, Old: 1, Silent: 1, Drained: 1, Missing: 3, Skewed: 1, OpenSessions: 7, SilentSessions: 8}
	first := []string{"fast", "never", "silent", "old", "behind", "current", "left"}
	for most := range len(all) + 1 {
		answer := &emergencyv1.ListEnforcersResponse{Enforcers: slices.Clone(all)}
		Bound(answer, most, revision("7-3"), now)
		var told []string
		for _, e := range answer.GetEnforcers() {
			told = append(told, e.GetId())
		}
		if slices.Sort(told); !slices.Equal(told, slices.Sorted(slices.Values(first[:most]))) || answer.GetOmittedEnforcers() != uint32(len(all)-most) {
			t.Errorf("of %d at most told are %v, and %d are left out", most, told, answer.GetOmittedEnforcers())
		}
		if diff := cmp.Diff(want, answer.GetSummary(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
}
