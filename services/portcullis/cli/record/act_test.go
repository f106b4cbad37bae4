package record

import (
	"testing"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestAListOfEntriesSaysWhatAnActDid(t *testing.T) {
	for want, e := range map[string]*auditv1.AuditEntry{
		"re-armed the token backup":                                  {Change: emergencyv1.Entry_ACT, Target: "backup", Detail: "token.rearm "}, // as servers before this one answer it
		"granted System Administrator to bruno (by groups at https)": {Change: emergencyv1.Entry_ACT, Target: "bruno", Detail: "user.grant-administrator by groups at https"},
		"did what is guarded like the brake: gate.paint (red)":       {Change: emergencyv1.Entry_ACT, Target: "red", Detail: "gate.paint"},
		"L-0001":            {Change: emergencyv1.Entry_APPLIED, Target: "L-0001"},
		"D-0001 (LOCKDOWN)": {Change: emergencyv1.Entry_DRILL_STARTED, Target: "D-0001", Detail: "LOCKDOWN"},
	} {
		if got := target(e); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
