package control

import (
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

func TestARecordThatDoesNotVerifyIsSaidToBeBrokenBeforeAnybodyNeedsIt(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.put(watch.Emergency, "emergency.policy", &emergencyv1.Entry{Epoch: 1, Sequence: 2, Subject: "emergency.policy", Actor: "nobody"})
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all := must(s.ListEnforcers(t.Context(), &emergencyv1.ListEnforcersRequest{}))
		if all.GetJournal().GetState() == emergencyv1.JournalHealth_BROKEN {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the journal is said to be %v", all.GetJournal())
		}
	}
	_, err := s.ApplyFreeze(p.as("admin"), p.freeze())
	if refused(t, err, fault.JournalUnavailable); !strings.Contains(err.Error(), "nothing is added to it") || !strings.Contains(err.Error(), "portcullis hold") {
		t.Error(err)
	}
}
