package doors

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestWatchingCountsWhoNeverCameBesideTheSilentOfWhomSomeAreLeftOut(t *testing.T) {
	of := &emergencyv1.ListEnforcersResponse{OmittedEnforcers: 900, Summary: &emergencyv1.EnforcerSummary{Current: 800, Silent: 200, Missing: 6}}
	for i := range 2 {
		of.Enforcers = append(of.Enforcers, &emergencyv1.Enforcer{Id: fmt.Sprint("orders-", i), Service: "guard", Presence: emergencyv1.Enforcer_MISSING, Lacking: 3})
	}
	for i := range 98 {
		of.Enforcers = append(of.Enforcers, &emergencyv1.Enforcer{Id: fmt.Sprint(i), Service: "guard", Presence: emergencyv1.Enforcer_MISSING})
	}
	if got := rollOf(of); !strings.Contains(got, "and 190 more") {
		t.Errorf("of two groups and 200 that are silent 12 are named: %s", got)
	}
	clocks := &emergencyv1.ListEnforcersResponse{OmittedEnforcers: 60, Summary: &emergencyv1.EnforcerSummary{Current: 160, Missing: 3, Skewed: 160}}
	for i := range looked {
		clocks.Enforcers = append(clocks.Enforcers, &emergencyv1.Enforcer{Id: fmt.Sprint(i), Service: "guard", Fresh: true, ClockSkew: durationpb.New(9e9)})
	}
	if got := rollOf(clocks); strings.Contains(got, "none missing") {
		t.Errorf("three never came: %s", got)
	}
}
