//go:build linux

package main

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/deploy/e2e/client"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func entry(sequence uint64, id string) *emergencyv1.Entry {
	return &emergencyv1.Entry{Sequence: sequence, Record: &emergencyv1.Entry_Emergency{Emergency: &emergencyv1.Emergency{Id: id}}}
}

func TestARestoredRecordIsTheSameUpToItsHeadAndHasAllThatWasAnsweredBefore(t *testing.T) {
	live := []*emergencyv1.Entry{entry(1, "L-1"), entry(2, "F-2"), entry(3, "F-3")}
	end := &emergencyv1.Entry{Sequence: 3, Change: emergencyv1.Entry_RESTORED}
	for name, c := range map[string]struct {
		restored []*emergencyv1.Entry
		good     bool
	}{
		"a part":             {[]*emergencyv1.Entry{entry(1, "L-1"), entry(2, "F-2"), end}, true},
		"all":                {append(append([]*emergencyv1.Entry{}, live...), end), true},
		"nothing":            {[]*emergencyv1.Entry{end}, false},
		"another":            {[]*emergencyv1.Entry{entry(1, "L-1"), entry(2, "F-9"), end}, false},
		"one left out":       {[]*emergencyv1.Entry{entry(1, "L-1"), entry(3, "F-3"), end}, false},
		"more than there is": {append(append([]*emergencyv1.Entry{}, live...), entry(4, "F-4"), end), false},
		"as if it went on":   {live, false},
	} {
		if err := sameUntilRestored(c.restored, live); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	acts := []*act{{id: "F-2", body: client.Object{"justification": "chaos"}}}
	if err := onRecord(live[:2], acts); err != nil {
		t.Error(err)
	}
	if onRecord(live[:1], acts) == nil {
		t.Error("nobody misses F-2")
	}
}

func TestACancelThatWasAnsweredBeforeABackupIsInIt(t *testing.T) {
	lifted := entry(3, "F-2")
	lifted.GetEmergency().CancelTime = timestamppb.Now()
	all := []*emergencyv1.Entry{entry(1, "L-1"), entry(2, "F-2"), lifted}
	cancelled := []*act{{id: "F-2", lifted: true}}
	if err := liftedOnRecord(all, cancelled); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		restored []*emergencyv1.Entry
		acts     []*act
	}{
		"it is from before the cancel":   {all[:2], cancelled},
		"it has another one's cancel":    {all, []*act{{id: "L-1", lifted: true}}},
		"it goes back behind the cancel": {append(slices.Clone(all), entry(4, "F-2")), cancelled},
		"it has nothing of it":           {all[:1], cancelled},
	} {
		if liftedOnRecord(c.restored, c.acts) == nil {
			t.Errorf("nobody notices that %s", name)
		}
	}
}

func TestARefusalWithoutANameIsNoticed(t *testing.T) {
	for reason, good := range map[string]bool{
		"JOURNAL_UNAVAILABLE": true, "JOURNAL_UNAVAILABLE/FULL": true, "CLOCK_SKEWED": true, "UNAVAILABLE": true, "STALE": true, "ABORTED": true, "GRANT_USED": true,
		"": false, "INTERNAL": false, "SOMETHING": false, "JOURNAL_UNAVAILABLE/ODD": false, "CLOCK_SKEWED/FULL": false, "UNIMPLEMENTED": false,
	} {
		if named(reason) != good {
			t.Errorf("%q is a name: %t", reason, !good)
		}
	}
}
