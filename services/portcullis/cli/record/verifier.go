package record

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/audit"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// verifier walks the record and holds it to checkpoints.
type verifier struct {
	trust trust
	// notes are the checkpoints that somebody kept, own is the server's present one and vkey the key that it names.
	notes []string
	own   string
	vkey  ed25519.PublicKey

	on        *audit.Walk
	inside    []ed25519.PublicKey // keys that the record itself names
	kept      []audit.Checkpoint
	witnessed *audit.Checkpoint
	outside   bool // what witnessed it is signed with a key that is trusted from outside
}

var errEmpty = errors.New("it has no entries")

// walk answers what takes the stored entries, one after the other. The first flaw is kept, the rest looked at for
// entries out of their order.
func (v *verifier) walk() taking {
	return taking{
		entry: func(stored *auditv1.StoredEntry) {
			if v.on == nil {
				v.begin(stored)
			}
			entry := v.on.Next(stored.GetSequence(), stored.GetSubject(), stored.GetData())
			if key := entry.GetKey(); key != nil {
				v.inside = append(v.inside, key.GetPublicKey())
			}
		},
		fail: func(err error) {
			if v.on == nil {
				v.on = audit.NewWalk(v.trust.entries)
			}
			v.on.Fail(err)
		},
	}
}

// begin takes the record's own first key where none is trusted from outside.
func (v *verifier) begin(first *auditv1.StoredEntry) {
	if v.trust.entries != nil {
		v.on = audit.NewWalk(v.trust.entries)
		return
	}
	key, err := ownKey(first.GetData())
	if err != nil {
		v.on = audit.NewWalk(nil)
		v.on.Fail(audit.Unreadable(first.GetSequence(), err))
		return
	}
	v.inside = append(v.inside, key)
	v.on = audit.NewWalk(audit.Trust(key))
}

func ownKey(stored []byte) (ed25519.PublicKey, error) {
	signed, entry := new(emergencyv1.SignedEntry), new(emergencyv1.Entry)
	if err := errors.Join(proto.Unmarshal(stored, signed), proto.Unmarshal(signed.GetEntry(), entry)); err != nil {
		return nil, err
	}
	key := ed25519.PublicKey(entry.GetGenesis().GetKey().GetPublicKey())
	if len(key) != ed25519.PublicKeySize {
		return nil, errors.New("the first one that there is names no key: give --trust")
	}
	return key, nil
}

func (v *verifier) head() audit.Checkpoint {
	if v.on == nil {
		return audit.Checkpoint{}
	}
	return v.on.Head()
}

// verdict holds what was walked to every checkpoint; its error is the first flaw, or why there is no telling.
func (v *verifier) verdict() error {
	if v.on == nil && len(v.notes) == 0 {
		return errEmpty
	}
	if v.on == nil {
		v.on = audit.NewWalk(v.trust.entries)
	}
	if err := v.open(); err != nil {
		return err
	}
	all := v.kept
	if v.own != "" {
		keys := v.candidates()
		if v.vkey != nil {
			keys = append(keys, v.vkey)
		}
		own, err := audit.ReadCheckpoint(v.own, keys...)
		if err != nil {
			return fmt.Errorf("the server's present checkpoint: %w", err)
		}
		all = append([]audit.Checkpoint{own}, all...)
	}
	_, flaw := v.on.Verdict(all)
	v.witnessed, _ = v.on.Verdict(v.kept)
	if v.witnessed != nil {
		v.outside = signedBy(v.trust.keys(), v.witnessed.SignedBy) || v.trust.entries != nil
	}
	if flaw != nil {
		return flaw
	}
	return nil
}

// open reads the checkpoints that were kept. Where nothing is trusted from outside, the record's own keys and the one
// that the server names must do.
func (v *verifier) open() error {
	keys := v.candidates()
	if len(v.trust.keys()) == 0 && v.vkey != nil {
		keys = append(keys, v.vkey)
	}
	for _, note := range v.notes {
		c, err := audit.ReadCheckpoint(note, keys...)
		if errors.Is(err, audit.ErrUnknownSigner) {
			return fmt.Errorf("%w: give --trust with the checkpoint.vkey that was kept", err)
		}
		if err != nil {
			return err
		}
		v.kept = append(v.kept, c)
	}
	return nil
}

// candidates are the keys that may have signed a checkpoint. Those that entries name are trusted as the entries are.
func (v *verifier) candidates() []ed25519.PublicKey {
	return append(v.trust.keys(), v.inside...)
}

func signedBy(keys []ed25519.PublicKey, by ed25519.PublicKey) bool {
	for _, key := range keys {
		if key.Equal(by) {
			return true
		}
	}
	return false
}

// unanchored is why nobody outside of the server vouches for the record; empty if somebody does.
func (v *verifier) unanchored() string {
	switch {
	case v.trust.entries == nil && !v.outside:
		return "the key came from the record itself. Give --trust with a key that you trust, and --checkpoint with a checkpoint kept elsewhere"
	case v.witnessed == nil:
		return "no checkpoint kept elsewhere was given: whether the newest entries are missing, or the whole record is another one, can be told with --checkpoint only"
	case !v.outside:
		return "the key of the checkpoint came from the server itself. Give --trust with the checkpoint.vkey that was kept"
	}
	return ""
}

func (v *verifier) keyFrom() string {
	if v.trust.source == "" {
		return "the record's own (UNANCHORED)"
	}
	return v.trust.source
}
