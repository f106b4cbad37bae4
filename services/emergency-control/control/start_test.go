package control

import (
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestWhatIsDoneOnTheHostIsOnTheRecordThatControlGoesOnWith(t *testing.T) {
	p := newPlatform(t)
	trust := audit.Trust(p.key.Public().(ed25519.PublicKey))
	act := HostAct{Kind: "user.recover", Target: "admin", Actor: "host:root", Justification: "lost phone"}
	for range 2 { // on an empty record, and behind what is there
		err := note(t.Context(), Config{Key: p.key, Trust: trust, Product: "Portcullis"}, p.journal, p.clock.now, slog.New(slog.DiscardHandler), act)
		if err != nil {
			t.Fatal(err)
		}
	}
	s := p.replica()
	if _, err := s.ApplyFreeze(p.as("admin"), p.freeze()); err != nil {
		t.Fatal(err)
	}
	for sequence := uint64(2); sequence <= 3; sequence++ {
		e := must(s.ledger.entry(t.Context(), sequence))
		if e.GetChange() != emergencyv1.Entry_ACT || e.GetAct().GetTarget() != "admin" || e.GetActor() != "host:root" || e.GetJustification() != "lost phone" {
			t.Errorf("entry %d is %v", sequence, e)
		}
	}
	head, _, _ := s.ledger.head()
	if head < 4 {
		t.Errorf("the freeze does not follow: the head is %d", head)
	}
}

func TestARecordThatDoesNotVerifyTakesNoNote(t *testing.T) {
	p := newPlatform(t)
	trust := audit.Trust(p.key.Public().(ed25519.PublicKey))
	log, act := slog.New(slog.DiscardHandler), HostAct{Kind: "user.recover", Target: "admin"}
	if err := note(t.Context(), Config{Key: p.key, Trust: trust}, p.journal, p.clock.now, log, act); err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	err = note(t.Context(), Config{Key: other, Trust: audit.Trust(other.Public().(ed25519.PublicKey))}, p.journal, p.clock.now, log, act)
	if err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("got %v", err)
	}
}
