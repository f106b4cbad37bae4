package fault_test

import (
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
)

func TestAVerdictIsTheSameRefusalAtEveryDoor(t *testing.T) {
	now := time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)
	until := now.Add(90*time.Second + time.Millisecond)
	for name, one := range map[string]struct {
		verdict       emergency.Verdict
		reason        string
		status, after int
		says          string
	}{
		"a lockdown, by its own body": {emergency.Verdict{Reason: emergency.LockedDown, Emergency: "L-0001", Until: until}, fault.Lockdown, 503, 91, `"cod_erro":100`},
		"a freeze":                    {emergency.Verdict{Reason: emergency.Frozen, Emergency: "F-0001", Until: until}, fault.Frozen, 403, 91, `"emergency":"F-0001"`},
		"a lock without an end":       {emergency.Verdict{Reason: emergency.Locked, Emergency: "K-0001"}, fault.Locked, 403, 0, "until an administrator lifts it"},
		"a view that is too old":      {emergency.Verdict{Reason: emergency.Stale}, fault.Stale, 503, 1, `"STALE"`},
		"no access":                   {emergency.Verdict{Reason: emergency.NoAccess}, fault.PermissionDenied, 403, 0, "You have no access to db-1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := fault.Refused(emergency.Texts{}, one.verdict, "db-1", now)
			status, body, after := e.Answer(emergency.Texts{}, now)
			if e.Reason != one.reason || status != one.status || after != one.after || !strings.Contains(string(body), one.says) {
				t.Errorf("%s: %d, after %d s: %s", e.Reason, status, after, body)
			}
			if end, ok := e.End(); ok != !one.verdict.Until.IsZero() || !end.Equal(one.verdict.Until) {
				t.Errorf("until %s", end)
			}
		})
	}
}

func TestWhoIsCutOffReadsByWhatAndUntilWhen(t *testing.T) {
	now := time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)
	for kind, reason := range map[emergency.Kind]string{
		emergency.Lockdown: fault.Lockdown, emergency.Freeze: fault.Frozen, emergency.Lock: fault.Locked, emergency.Termination: fault.Aborted,
	} {
		e := fault.CutOff(emergency.Texts{}, &emergency.Cut{Kind: kind, Emergency: "X-0001", Reason: "Because"}, now)
		if e.Reason != reason || e.Details["emergency"] != "X-0001" || !strings.Contains(e.Message, "session ended. Because") {
			t.Errorf("%s: %v", kind, e)
		}
	}
}
