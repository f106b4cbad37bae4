package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
)

// IDENTITY_SECRET and its subjects.
const (
	secretStream     = "IDENTITY_SECRET"
	passwordSubject  = "secret.password."
	factorSubject    = "secret.factor."
	keySubject       = "secret.signing-key"
	bootstrapSubject = "secret.bootstrap"
)

// Allowances of wrong codes, beside those of known addresses.
const (
	strangers = ""  // who comes from an address that the person never signed in from
	signedIn  = "+" // who holds a sign-in, and so had a code before
)

// last reads the last record of a subject; one that was never written is left as it is.
func last(ctx context.Context, stream *journal.Stream, subject string, into proto.Message) error {
	entry, err := stream.Last(ctx, subject)
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return refusal(fmt.Errorf("reading %s: %w", subject, err))
	}
	if err := proto.Unmarshal(entry.Data, into); err != nil {
		return fmt.Errorf("reading %s: %w", subject, err)
	}
	return nil
}

// update changes the last record of a subject under compare-and-set: into holds the record as it is when
// change is called, which may be more than once.
func update(ctx context.Context, stream *journal.Stream, subject string, into proto.Message, change func() error) error {
	_, err := stream.Update(ctx, subject, func(last journal.Entry, found bool) ([]byte, error) {
		proto.Reset(into)
		if found {
			if err := proto.Unmarshal(last.Data, into); err != nil {
				return nil, fmt.Errorf("reading %s: %w", subject, err)
			}
		}
		if err := change(); err != nil {
			return nil, err
		}
		return proto.Marshal(into)
	})
	return refusal(err)
}

// password answers a person's password record; an empty one if there is none. One that was written for
// another person of the same name does not count.
func (s *Service) password(ctx context.Context, v *vault, name, uid string) (*identityv1.PasswordRecord, error) {
	record := new(identityv1.PasswordRecord)
	if err := last(ctx, v.secret, passwordSubject+name, record); err != nil {
		return nil, err
	}
	if uid == "" || record.GetUid() != uid {
		return &identityv1.PasswordRecord{}, nil
	}
	return record, nil
}

// setPassword replaces a person's password. Those who had it keep their known addresses.
func (s *Service) setPassword(ctx context.Context, v *vault, name, uid, password string) error {
	hash, err := s.pool.Hash(ctx, password)
	if err != nil {
		return err
	}
	record := new(identityv1.PasswordRecord)
	return update(ctx, v.secret, passwordSubject+name, record, func() error {
		if record.GetUid() != uid {
			proto.Reset(record)
		}
		record.Uid, record.Hash, record.Time = uid, hash, timestamppb.New(s.deps.Now())
		return nil
	})
}

// dropPassword forgets a person's password, who signs in at a provider from now on.
func (s *Service) dropPassword(ctx context.Context, v *vault, name, uid string) error {
	record := new(identityv1.PasswordRecord)
	return update(ctx, v.secret, passwordSubject+name, record, func() error {
		if record.GetUid() != uid || record.GetHash() == "" {
			return journal.ErrUnchanged
		}
		record.Hash, record.Time = "", timestamppb.New(s.deps.Now())
		return nil
	})
}

// know remembers an address that a person has signed in from.
func (s *Service) know(ctx context.Context, v *vault, name, uid, address string) error {
	record := new(identityv1.PasswordRecord)
	return update(ctx, v.secret, passwordSubject+name, record, func() error {
		known := proof.Know(record.GetKnownAddresses(), address)
		if record.GetUid() != uid || len(known) == len(record.GetKnownAddresses()) && proof.Knows(record.GetKnownAddresses(), address) {
			return journal.ErrUnchanged
		}
		record.KnownAddresses = known
		return nil
	})
}

// factor answers a person's factor; an empty one if there is none.
func (s *Service) factor(ctx context.Context, v *vault, name, uid string) (*identityv1.FactorRecord, error) {
	record := new(identityv1.FactorRecord)
	if err := last(ctx, v.secret, factorSubject+name, record); err != nil {
		return nil, err
	}
	if uid == "" || record.GetUid() != uid {
		return &identityv1.FactorRecord{}, nil
	}
	return record, nil
}

// updateFactor changes a person's factor under compare-and-set. Two replicas never take the same code:
// the nonce keeps them from mistaking each other's entry for their own.
func (s *Service) updateFactor(ctx context.Context, v *vault, name, uid string, change func(*identityv1.FactorRecord) error) error {
	record := new(identityv1.FactorRecord)
	return update(ctx, v.secret, factorSubject+name, record, func() error {
		if record.GetUid() != uid {
			proto.Reset(record)
			record.Uid = uid
		}
		record.Nonce = rand.Text()
		return change(record)
	})
}

// sealing is what a person's MFA secret is bound to.
func sealing(name, uid string) string { return factorSubject + name + " " + uid }

// usage is one attempt to use a code.
type usage struct {
	name, uid, code string
	// allowance is whose wrong attempts this one counts among: a known address, strangers or signedIn.
	allowance string
	// recovery takes a recovery code too.
	recovery bool
}

// useCode takes a code, once; a wrong one counts. The verdict is in the factor's record before it is
// answered.
func (s *Service) useCode(ctx context.Context, v *vault, u usage) error {
	u.code = proof.CleanCode(u.code)
	var verdict error
	err := s.updateFactor(ctx, v, u.name, u.uid, func(f *identityv1.FactorRecord) error {
		var changed bool
		changed, verdict = s.judge(f, u, s.deps.Now())
		if !changed {
			return journal.ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return err
	}
	return verdict
}

// judge says what a code is worth, and whether the factor's record has changed by it.
func (s *Service) judge(f *identityv1.FactorRecord, u usage, now time.Time) (changed bool, verdict error) {
	if !f.GetActive() {
		return false, fault.New(fault.MFANotEnrolled, "You have no working MFA. Enrol an app in your account, or ask an administrator to reset your MFA")
	}
	if err := proof.Locked(allowance(f, u.allowance), now); err != nil {
		return false, err
	}
	switch {
	case proof.LooksLikeCode(u.code):
		return s.judgeCode(f, u, now)
	case u.recovery:
		return judgeRecovery(f, u, now)
	}
	return false, fault.New(fault.CodeInvalid, "Send the six digits that your MFA app shows now. A recovery code lets you sign in, no more")
}

func (s *Service) judgeCode(f *identityv1.FactorRecord, u usage, now time.Time) (bool, error) {
	secret, err := s.deps.Box.Open(f.GetSealedSecret(), sealing(u.name, u.uid))
	if err != nil {
		return false, fmt.Errorf("opening the MFA secret of %s: %w", u.name, err)
	}
	step, ok := proof.MatchStep(secret, u.code, now)
	if !ok {
		return true, wrongCode(f, u, now)
	}
	if proof.Used(f.GetUsedSteps(), step) {
		return false, fault.New(fault.CodeUsed, "This code has been used. Wait for the next one").
			Until("retryTime", proof.NextCode(f.GetUsedSteps(), now), now)
	}
	f.UsedSteps = proof.Use(f.GetUsedSteps(), step)
	forget(f, u.allowance)
	return true, nil
}

func judgeRecovery(f *identityv1.FactorRecord, u usage, now time.Time) (bool, error) {
	i := proof.MatchRecovery(u.name, u.code, f.GetRecoveryHashes())
	if i < 0 {
		return true, wrongCode(f, u, now)
	}
	f.RecoveryHashes = slices.Delete(f.GetRecoveryHashes(), i, i+1)
	forget(f, u.allowance)
	return true, nil
}

func wrongCode(f *identityv1.FactorRecord, u usage, now time.Time) error {
	a := allowance(f, u.allowance)
	if a == nil {
		a = &identityv1.Allowance{Address: u.allowance}
		f.Allowances = append(f.Allowances, a)
	}
	proof.Fail(a, now)
	return fault.New(fault.CodeInvalid, "This code is wrong. Send the six digits that your MFA app shows now; is your phone's clock right?")
}

func allowance(f *identityv1.FactorRecord, address string) *identityv1.Allowance {
	i := slices.IndexFunc(f.GetAllowances(), func(a *identityv1.Allowance) bool { return a.GetAddress() == address })
	if i < 0 {
		return nil
	}
	return f.GetAllowances()[i]
}

// forget clears what was used up of an allowance, after a right code.
func forget(f *identityv1.FactorRecord, address string) {
	f.Allowances = slices.DeleteFunc(f.GetAllowances(), func(a *identityv1.Allowance) bool { return a.GetAddress() == address })
}

// wipe forgets a person's secrets. They would not count any more in any case.
func (s *Service) wipe(ctx context.Context, v *vault, name string) error {
	password, factor := new(identityv1.PasswordRecord), new(identityv1.FactorRecord)
	return errors.Join(
		update(ctx, v.secret, passwordSubject+name, password, blank(password)),
		update(ctx, v.secret, factorSubject+name, factor, blank(factor)),
	)
}

func blank(record interface {
	proto.Message
	GetUid() string
}) func() error {
	return func() error {
		if record.GetUid() == "" {
			return journal.ErrUnchanged
		}
		proto.Reset(record)
		return nil
	}
}
