package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
	"portcullis.dev/services/emergency-control/roster"
)

const plenty = listed + 200

// crowded is more doors than a list has, two connectors among them, and a lockdown that all have confirmed but these: one gate is silent,
// another waits, and of the connectors the last by name ended 3 sessions and has 2 open.
func crowded(t *testing.T) (*platform, *Service, *emergencyv1.Emergency) {
	t.Helper()
	p := newPlatform(t)
	s := p.replica()
	p.clock.stop()
	silent, waiting := host{s: s, id: "g0700"}, host{s: s, id: "g0800"}
	silent.door("b", "")
	c1, c2 := host{s: s, id: "c1"}, host{s: s, id: "z-last"}
	c1.says("", 0, "", 0, 0)
	c2.says("", 5, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	p.clock.advance(receipt.Silence + time.Second)
	waiting.door("b", "")
	for i := range plenty - 4 {
		host{s: s, id: fmt.Sprintf("a%04d", i)}.door("b", l.GetRevision())
	}
	c1.says(l.GetRevision(), 0, l.GetId(), 0, 7)
	c2.says(l.GetRevision(), 2, l.GetId(), 2, 3)
	return p, s, l
}

func TestAListOfReceiptsLeavesOutWhoConfirmedAndSumsUpAll(t *testing.T) {
	_, s, l := crowded(t)
	for _, ask := range []struct {
		most  *uint32
		told  int
		needs []string
	}{
		{nil, listed, []string{"g0700", "g0800", "z-last"}},
		{new(uint32(3)), 3, []string{"g0700", "g0800", "z-last"}},
		{new(uint32(1)), 1, []string{"g0700"}},
		{new(uint32(0)), 0, nil},
		{new(uint32(roster.Most)), plenty, []string{"a0000", "g0700", "g0800", "z-last"}},
	} {
		got := must(s.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: l.GetId(), Most: ask.most}))
		if len(got.GetReceipts()) != ask.told || got.GetOmittedReceipts() != uint32(plenty-ask.told) {
			t.Errorf("of %d at most %s: %d are told and %d left out", plenty, said(ask.most), len(got.GetReceipts()), got.GetOmittedReceipts())
		}
		names := map[string]bool{}
		for i, r := range got.GetReceipts() {
			if names[r.GetEnforcer()] = true; i > 0 && got.GetReceipts()[i-1].GetService()+got.GetReceipts()[i-1].GetEnforcer() >= r.GetService()+r.GetEnforcer() {
				t.Fatal("they are in no order")
			}
		}
		for _, name := range ask.needs {
			if !names[name] {
				t.Errorf("of %d at most %s: %s is left out", plenty, said(ask.most), name)
			}
		}
		sum := got.GetSummary()
		if sum.GetConfirmed() != plenty-2 || sum.GetWaiting() != 1 || sum.GetUnreachable() != 1 || sum.GetEndedSessions() != 10 || sum.GetOpenSessions() != 2 {
			t.Errorf("of at most %s all are %v", said(ask.most), sum)
		}
	}
}

func TestAListOfEnforcersLeavesOutWhoIsFreshAndSumsUpAll(t *testing.T) {
	p, s, _ := crowded(t)
	s.receipts.Take(&emergencyv1.Beat{Enforcer: "z-old", Service: "access-gate", BootId: "b", Bound: durationpb.New(time.Second), Age: durationpb.New(time.Minute)})
	const all = plenty + 1
	want := &emergencyv1.EnforcerSummary{Current: plenty - 2, Behind: 1, Old: 1, Silent: 1, OpenSessions: 2}
	for _, ask := range []struct {
		most  *uint32
		told  int
		needs []string
	}{
		{nil, listed, []string{"g0700", "g0800", "z-old"}}, {new(uint32(3)), 3, []string{"g0700", "g0800", "z-old"}}, {new(uint32(1)), 1, []string{"g0700"}}, {new(uint32(0)), 0, nil},
	} {
		got := must(s.ListEnforcers(p.as("admin"), &emergencyv1.ListEnforcersRequest{Most: ask.most}))
		if len(got.GetEnforcers()) != ask.told || got.GetOmittedEnforcers() != uint32(all-ask.told) || got.GetJournal() == nil {
			t.Errorf("of %d at most %s: %d are told and %d left out", all, said(ask.most), len(got.GetEnforcers()), got.GetOmittedEnforcers())
		}
		names := map[string]bool{}
		for _, e := range got.GetEnforcers() {
			names[e.GetId()] = true
		}
		for _, name := range ask.needs {
			if !names[name] {
				t.Errorf("of %d at most %s: %s is left out", all, said(ask.most), name)
			}
		}
		if diff := cmp.Diff(want, got.GetSummary(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMoreRowsThanThereCanBeAreRefusedInWords(t *testing.T) {
	_, s, l := crowded(t)
	for _, most := range []uint32{roster.Most + 1, 1<<32 - 1} {
		_, receipts := s.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: l.GetId(), Most: &most})
		_, enforcers := s.ListEnforcers(t.Context(), &emergencyv1.ListEnforcersRequest{Most: &most})
		for _, err := range []error{receipts, enforcers} {
			if refused(t, err, fault.InvalidArgument); !strings.Contains(err.Error(), "most: ask for 20000 at most") {
				t.Errorf("%d: %v", most, err)
			}
		}
	}
}

func said(most *uint32) string {
	if most == nil {
		return "the usual"
	}
	return fmt.Sprint(*most)
}
