package drift_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/drift"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func sealer(t *testing.T) drift.Sealer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return drift.NewSealer(key)
}

func people(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("admin-%d", i))
	}
	return names
}

func preview(sessions uint32, administrators []string, change ...func(*emergencyv1.PreviewResponse)) *emergencyv1.PreviewResponse {
	p := &emergencyv1.PreviewResponse{Time: timestamppb.New(noon), Sessions: sessions, Administrators: administrators}
	for _, c := range change {
		c(p)
	}
	return p
}

func TestADigestFitsItsFieldAndSaysWhatWasSeen(t *testing.T) {
	k := sealer(t)
	most := preview(1<<32-1, people(2000), func(p *emergencyv1.PreviewResponse) {
		p.Devices, p.AccessGroups, p.SignIns, p.Tokens = 1<<32-1, 1<<32-1, 1<<32-1, 1<<32-1
	})
	seen := drift.Of(most, make([]byte, 32))
	digest := k.Digest(seen)
	if len(digest) > drift.MaxDigest {
		t.Errorf("it has %d characters, want at most %d", len(digest), drift.MaxDigest)
	}
	was, err := k.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	if d := seen.Since(was, drift.BoundOf(nil)); d.Past() || len(d.NotCompared) > 0 {
		t.Errorf("the same drifts from itself: %+v", d)
	}
}

func TestADigestIsRefusedThatNoControlOfThisDeploymentMade(t *testing.T) {
	k := sealer(t)
	good := k.Digest(drift.Of(preview(3, people(2)), []byte("request")))
	if _, err := sealer(t).Open(good); err == nil {
		t.Error("another deployment's was opened")
	}
	for i := range len(good) {
		bad := []byte(good)
		bad[i] = map[bool]byte{true: 'B', false: 'A'}[bad[i] == 'A']
		if _, err := k.Open(string(bad)); err == nil && i < len(good)-1 { // the last character has bits to spare
			t.Fatalf("one with another character at %d was opened", i)
		}
	}
	for _, bad := range []string{"", "AAAA", "!", good + "AAAA", good[:len(good)-4]} {
		if _, err := k.Open(bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
}

func TestCountsMayMoveByTenPerCentOrByFive(t *testing.T) {
	k, strict := sealer(t), uint32(0)
	for _, c := range []struct {
		was, is uint32
		policy  *emergencyv1.Policy
		past    bool
	}{
		{was: 0, is: 5}, {was: 0, is: 6, past: true}, {was: 50, is: 55}, {was: 50, is: 45}, {was: 50, is: 44, past: true},
		{was: 100, is: 110}, {was: 100, is: 111, past: true}, {was: 1000, is: 900}, {was: 1000, is: 899, past: true},
		{was: 1000, is: 1005, policy: &emergencyv1.Policy{DriftPercent: &strict}}, {was: 1000, is: 1006, policy: &emergencyv1.Policy{DriftPercent: &strict}, past: true},
	} {
		was, err := k.Open(k.Digest(drift.Of(preview(c.was, nil), nil)))
		if err != nil {
			t.Fatal(err)
		}
		d := drift.Of(preview(c.is, nil), nil).Since(was, drift.BoundOf(c.policy))
		if d.Past() != c.past {
			t.Errorf("from %d to %d: past the bound %t, want %t", c.was, c.is, d.Past(), c.past)
		}
		if c.past {
			e := fault.From(d.Refusal())
			if diff := cmp.Diff(map[string]string{"cause": "DRIFTED", "sessionsWas": fmt.Sprint(c.was), "sessionsIs": fmt.Sprint(c.is)}, e.Details); e.Reason != fault.PreviewDrifted || diff != "" {
				t.Errorf("refused as %s: %s", e.Reason, diff)
			}
		}
	}
}

func TestAnAdministratorWhoIsGoneIsPastTheBoundAndANewOneIsNot(t *testing.T) {
	k := sealer(t)
	for _, n := range []int{1, 3, 10, 11, 40} {
		was, err := k.Open(k.Digest(drift.Of(preview(0, people(n)), nil)))
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			is   []string
			past bool
		}{"the same": {people(n), false}, "one more": {people(n + 1), false}, "one fewer": {people(n)[1:], true}} {
			if d := drift.Of(preview(0, c.is), nil).Since(was, drift.BoundOf(nil)); d.Past() != c.past {
				t.Errorf("%d administrators, %s now: past the bound %t, want %t", n, name, d.Past(), c.past)
			}
		}
	}
}

func TestAnotherRequestAndAnOldPreviewAreRefused(t *testing.T) {
	k := sealer(t)
	was, err := k.Open(k.Digest(drift.Of(preview(1, nil), []byte("2h of lockdown"))))
	if err != nil {
		t.Fatal(err)
	}
	late := preview(1, nil, func(p *emergencyv1.PreviewResponse) { p.Time = timestamppb.New(noon.Add(drift.ValidFor + time.Second)) })
	for cause, is := range map[string]drift.Seen{
		"OTHER_REQUEST": drift.Of(preview(1, nil), []byte("3h of lockdown")), "OLD": drift.Of(late, []byte("2h of lockdown")),
	} {
		if e := fault.From(is.Since(was, drift.BoundOf(nil)).Refusal()); e.Reason != fault.PreviewDrifted || e.Details["cause"] != cause {
			t.Errorf("want %s, got %v", cause, e)
		}
	}
}

func TestWhatCouldNotBeCountedIsNotComparedAndIsNamed(t *testing.T) {
	k := sealer(t)
	unasked := preview(0, nil, func(p *emergencyv1.PreviewResponse) { p.UnreachableServices = []string{"session-broker", "identity"} })
	whole := preview(900, people(2), func(p *emergencyv1.PreviewResponse) { p.SignIns = 30 })
	for name, c := range map[string]struct {
		was, is *emergencyv1.PreviewResponse
		want    []string
	}{
		"neither now": {whole, unasked, []string{"sessions", "signIns", "administrators"}}, "neither then": {unasked, whole, []string{"sessions", "signIns", "administrators"}},
	} {
		was, err := k.Open(k.Digest(drift.Of(c.was, nil)))
		if err != nil {
			t.Fatal(err)
		}
		d := drift.Of(c.is, nil).Since(was, drift.BoundOf(nil))
		if diff := cmp.Diff(c.want, d.NotCompared); d.Past() || diff != "" {
			t.Errorf("%s: past the bound %t, %s", name, d.Past(), diff)
		}
	}
}

func TestASilentConnectorIsNeitherDriftNorAnExcuseForIt(t *testing.T) {
	k, sessions := sealer(t), []string{"sessions"}
	at := func(sessions uint32, silent ...string) *emergencyv1.PreviewResponse {
		return preview(sessions, people(2), func(p *emergencyv1.PreviewResponse) { p.UnreachableConnectors = silent })
	}
	for name, c := range map[string]struct {
		was, is *emergencyv1.PreviewResponse
		want    []string // not compared
		past    bool
	}{
		"it came back with its sessions":           {was: at(20, "bastion-2"), is: at(900), want: sessions},
		"it came back and others are gone":         {was: at(20, "bastion-2"), is: at(2), past: true},
		"it came back and has none":                {was: at(20, "bastion-2"), is: at(20), want: sessions},
		"it fell silent and had many":              {was: at(900), is: at(20, "bastion-2"), past: true},
		"it fell silent and had few":               {was: at(900), is: at(890, "bastion-2"), want: sessions},
		"it fell silent and others have more":      {was: at(20), is: at(900, "bastion-2"), past: true},
		"it was silent and is, others are as many": {was: at(20, "bastion-2"), is: at(20, "bastion-2"), want: sessions},
		"it was silent and is, others are fewer":   {was: at(20, "bastion-2"), is: at(2, "bastion-2"), past: true},
		"another is silent, which had many":        {was: at(900, "bastion-2"), is: at(20, "bastion-1"), past: true},
	} {
		was, err := k.Open(k.Digest(drift.Of(c.was, nil)))
		if err != nil {
			t.Fatal(err)
		}
		d := drift.Of(c.is, nil).Since(was, drift.BoundOf(nil))
		if diff := cmp.Diff(c.want, d.NotCompared); d.Past() != c.past || diff != "" {
			t.Errorf("%s: past the bound %t, want %t, %s", name, d.Past(), c.past, diff)
		}
		details := map[string]string{"cause": "DRIFTED", "sessionsWas": fmt.Sprint(c.was.GetSessions()), "sessionsIs": fmt.Sprint(c.is.GetSessions())}
		if silent := c.is.GetUnreachableConnectors(); silent != nil {
			details["unreachableConnectors"] = silent[0]
		}
		if e := fault.From(d.Refusal()); c.past && cmp.Diff(details, e.Details) != "" {
			t.Errorf("%s: %s", name, cmp.Diff(details, e.Details))
		}
	}
}

func FuzzADigestOfAnybodyIsReadWithoutHarm(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	k := drift.NewSealer(key)
	f.Add(k.Digest(drift.Of(preview(3, people(4)), []byte("request"))))
	f.Add("AQAA")
	f.Fuzz(func(t *testing.T, digest string) {
		if was, err := k.Open(digest); err == nil {
			if _, err := k.Open(k.Digest(was)); err != nil {
				t.Errorf("what was opened can't be made again: %v", err)
			}
		}
	})
}
