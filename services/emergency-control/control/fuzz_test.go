package control

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
)

// FuzzBeats takes what anybody may send who may send beats: nothing of it speaks for whom its subject does not name.
func FuzzBeats(f *testing.F) {
	for subject, b := range map[string]*emergencyv1.Beat{
		"beat.access-gate.g1": {Service: "access-gate", Enforcer: "g1", Revision: "7-2"}, "beat.guard.g1.folded": {Folded: []*emergencyv1.Beat{{Service: "guard", Enforcer: "a@t", BootId: "b"}, {Service: "identity"}}},
		"beat.connector.b1.folded": {Folded: []*emergencyv1.Beat{{Service: "connector", Enforcer: "c", BootId: "b"}, {Service: "guard"}}},
	} {
		data, err := proto.Marshal(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(subject, data)
	}
	fold := receipt.New(time.Now)
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		b := readBeat(subject, data)
		if b == nil {
			return
		}
		for _, one := range b.GetFolded() {
			if service := one.GetService(); service != "guard" && service != receipt.Connector || !strings.HasPrefix(subject, "beat."+service+".") {
				t.Fatalf("%s speaks for %v", subject, one)
			}
		}
		if len(b.GetFolded()) == 0 && b.GetEnforcer() != "" && subject != "beat."+b.GetService()+"."+b.GetEnforcer() {
			t.Fatalf("%s speaks for %v", subject, b)
		}
		fold.Take(b)
	})
}

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
