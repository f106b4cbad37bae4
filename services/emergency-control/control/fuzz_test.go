package control

import (
	"testing"
	"unicode/utf8"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func FuzzAListOfEmergenciesIsNarrowedOrRefused(f *testing.F) {
	for _, seed := range []string{"", "status=ONGOING", "status=ONGOING AND a=b", "MTI", "MA", pageToken(1 << 63), "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseFilter(text, "status")
		if below, err := parsePageToken(text); err == nil && below > 0 {
			if again, err := parsePageToken(pageToken(below)); err != nil || again != below {
				t.Fatalf("%q is %d, and that comes back as %d, %v", text, below, again, err)
			}
		}
	})
}

// FuzzReasonsAreWhatAPersonCanReadOrRefused takes any text for a justification, a ticket and the pattern that a policy asks
// tickets to have.
func FuzzReasonsAreWhatAPersonCanReadOrRefused(f *testing.F) {
	f.Add("Ransomware", "CHG-1", `CHG-\d+`)
	f.Add(" \n", "", "(")
	f.Add("a\x00b", "x\u202ey", ".*")
	f.Fuzz(func(t *testing.T, why, ticket, pattern string) {
		a := asked{justification: why, governance: ticket}
		for _, policy := range []*emergencyv1.Policy{{}, {GovernanceCode: emergencyv1.Policy_REQUIRED}, {GovernanceCode: emergencyv1.Policy_PATTERN, GovernancePattern: pattern}} {
			if a.reasons(policy) != nil {
				continue
			}
			if utf8.RuneCountInString(why) > emergency.MaxText || why == "" || policy.GetGovernanceCode() == emergencyv1.Policy_REQUIRED && ticket == "" {
				t.Fatalf("taken: %q, %q", why, ticket)
			}
		}
	})
}
