package identity

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// own answers the caller's own name for a call that is about oneself only.
func own(ctx context.Context, name string) (who.Caller, error) {
	c, err := signedInPerson(ctx)
	if err != nil {
		return c, err
	}
	name, err = named(c, name)
	if err == nil && name != c.User {
		err = fault.New(fault.PermissionDenied, "People enrol their own MFA: nobody else may see its secret").With("rule", "ownMfa")
	}
	return c, err
}

// EnrollMfa makes a secret that counts after its first code. Whoever replaces a working factor proves to
// have it: by a grant, by a code, or, once the phone is lost, by a recovery code.
func (s *Service) EnrollMfa(ctx context.Context, r *identityv1.EnrollMfaRequest) (*identityv1.EnrollMfaResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := own(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	uid := s.roll.Record(c.User).GetUid()
	if err := s.mayReplace(ctx, v, c, uid, r); err != nil {
		return nil, err
	}
	secret := proof.NewSecret()
	sealed, err := s.deps.Box.Seal(secret, sealing(c.User, uid))
	if err != nil {
		return nil, err
	}
	err = s.updateFactor(ctx, v, c.User, uid, func(f *identityv1.FactorRecord) error {
		f.PendingSecret = sealed
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.pending(ctx, v, c.User, uid); err != nil {
		return nil, err
	}
	key, err := proof.Key(s.product(), c.User, secret)
	if err != nil {
		return nil, err
	}
	qr, err := proof.QR(key)
	return &identityv1.EnrollMfaResponse{Uri: key.URL(), QrPng: qr}, err
}

func (s *Service) mayReplace(ctx context.Context, v *vault, c who.Caller, uid string, r *identityv1.EnrollMfaRequest) error {
	f, err := s.factor(ctx, v, c.User, uid)
	if err != nil || !f.GetActive() {
		return err
	}
	switch {
	case r.GetCode() != "":
		allowance, err := s.ownAllowance(ctx, v, c, uid)
		if err != nil {
			return err
		}
		return s.useCode(ctx, v, usage{name: c.User, uid: uid, code: r.GetCode(), allowance: allowance, recovery: true})
	case r.GetGrant() != "":
		return s.act(ctx, v, c, operation{}, actReplace, c.User, enrolling{r})
	}
	return fault.New(fault.GrantRequired, "You have a working MFA. To replace it, send a code of it, a recovery code, or a grant along")
}

// enrolling is the request as an act; it has no id and no justification of its own.
type enrolling struct{ *identityv1.EnrollMfaRequest }

func (enrolling) GetRequestId() string     { return "" }
func (enrolling) GetJustification() string { return "" }

// pending shows a first enrolment on the user's record. A working factor works until it is replaced.
func (s *Service) pending(ctx context.Context, v *vault, name, uid string) error {
	_, err := s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		state := record.GetUser().GetMfa()
		if record.GetUid() != uid || state == identityv1.User_ACTIVE || state == identityv1.User_PENDING {
			return journal.ErrUnchanged
		}
		record.User.Mfa = identityv1.User_PENDING
		return nil
	})
	return err
}

// ActivateMfa makes an enrolled secret the person's factor, once it has shown its first code, and answers
// the recovery codes. A factor that it replaces is gone, and so are the sign-ins that were made with it.
func (s *Service) ActivateMfa(ctx context.Context, r *identityv1.ActivateMfaRequest) (*identityv1.ActivateMfaResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := own(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	uid := s.roll.Record(c.User).GetUid()
	codes, hashes := proof.NewRecoveryCodes(c.User)
	var now *identityv1.FactorRecord
	var replaced bool
	err = s.updateFactor(ctx, v, c.User, uid, func(f *identityv1.FactorRecord) error {
		replaced = f.GetActive()
		now = f
		return s.activate(f, c.User, uid, proof.CleanCode(r.GetCode()), hashes)
	})
	if err != nil {
		return nil, err
	}
	record, err := s.activated(ctx, v, c.User, uid, now, replaced)
	if err != nil {
		return nil, err
	}
	return &identityv1.ActivateMfaResponse{User: s.show(record.GetUser()), RecoveryCodes: codes, UsableTime: timestamppb.New(s.usableTime(now))}, nil
}

func (s *Service) activate(f *identityv1.FactorRecord, name, uid, code string, hashes [][]byte) error {
	if len(f.GetPendingSecret()) == 0 {
		return fault.New(fault.MFANotEnrolled, "There is nothing to activate. Enrol first: POST /v1/users/me/mfa:enroll")
	}
	secret, err := s.deps.Box.Open(f.GetPendingSecret(), sealing(name, uid))
	if err != nil {
		return err
	}
	at := s.deps.Now()
	step, ok := proof.MatchStep(secret, code, at)
	if !ok || !proof.LooksLikeCode(code) {
		return fault.New(fault.CodeInvalid, "This code is wrong. Send the six digits that your MFA app shows now; is your phone's clock right?")
	}
	sealed := f.GetPendingSecret()
	renew(f)
	f.SealedSecret, f.Active, f.ActivateTime = sealed, true, timestamppb.New(at)
	f.UsedSteps, f.RecoveryHashes = proof.Use(nil, step), hashes
	return nil
}

// renew empties a factor, but for whose it is.
func renew(f *identityv1.FactorRecord) {
	uid, nonce := f.GetUid(), f.GetNonce()
	proto.Reset(f)
	f.Uid, f.Nonce = uid, nonce
}

// activated shows the new factor on the user's record.
func (s *Service) activated(ctx context.Context, v *vault, name, uid string, f *identityv1.FactorRecord, replaced bool) (*identityv1.UserRecord, error) {
	return s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		if record.GetDeleted() || record.GetUid() != uid {
			return noUser(name)
		}
		if replaced {
			s.cut(record)
		}
		record.User.Mfa, record.User.MfaTime = identityv1.User_ACTIVE, f.GetActivateTime()
		return nil
	})
}

// mirror shows a factor on the user's record where an activation was cut short. A factor that was reset
// leaves NONE there, which is not touched.
func (s *Service) mirror(ctx context.Context, v *vault, p person) error {
	if p.record.GetUser().GetMfa() != identityv1.User_PENDING {
		return nil
	}
	f, err := s.factor(ctx, v, p.name(), p.record.GetUid())
	if err != nil || !f.GetActive() {
		return err
	}
	_, err = s.activated(ctx, v, p.name(), p.record.GetUid(), f, false)
	return err
}

// ResetMfa removes somebody's factor and ends their sign-ins. It takes a grant, whoever it is: with the
// password alone one could then enrol another app.
func (s *Service) ResetMfa(ctx context.Context, r *identityv1.ResetMfaRequest) (*identityv1.User, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageUsers)
	if err != nil {
		return nil, err
	}
	name, err := named(c, r.GetName())
	if err != nil {
		return nil, err
	}
	o, err := v.operation(c, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	again, err := s.answered(o, "")
	if err != nil {
		return nil, err
	}
	if !again {
		if err := s.mayReset(c, name); err != nil {
			return nil, err
		}
		if err := s.act(ctx, v, c, o, actResetMFA, name, r); err != nil {
			return nil, err
		}
	}
	return s.reset(ctx, v, o, c, name)
}

func (s *Service) mayReset(c who.Caller, name string) error {
	u := s.roll.User(name)
	switch {
	case u == nil:
		return noUser(name)
	case name == c.User:
		return fault.New(fault.PermissionDenied, "Nobody resets their own MFA. Replace it with a code of it, or a recovery code: POST /v1/users/me/mfa:enroll").With("rule", "resetOwn")
	case people.Working(u):
		if err := s.notLast(name); err != nil {
			return err
		}
	}
	if err := s.over(c, u); err != nil {
		return err
	}
	return s.holdsAll(c, s.permissions(u.GetRoles()), "Whoever resets an MFA may help to act as that user")
}

// reset takes the factor off the user's record first, under the condition that another administrator
// remains, and then off the factor's. One that was activated in between stays.
func (s *Service) reset(ctx context.Context, v *vault, o operation, c who.Caller, name string) (*identityv1.User, error) {
	before, err := s.factor(ctx, v, name, s.roll.Record(name).GetUid())
	if err != nil {
		return nil, err
	}
	record, err := s.writeUser(ctx, v, o, name, func(record *identityv1.UserRecord) error {
		if record.GetDeleted() {
			return noUser(name)
		}
		if err := s.mayReset(c, name); err != nil {
			return err
		}
		s.cut(record)
		record.User.Mfa, record.User.MfaTime, record.Hands = identityv1.User_NONE, nil, s.handed(record.GetHands(), c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if record.GetUser().GetMfa() == identityv1.User_ACTIVE {
		return s.show(record.GetUser()), nil
	}
	err = s.updateFactor(ctx, v, name, record.GetUid(), func(f *identityv1.FactorRecord) error {
		if !proto.Equal(f.GetActivateTime(), before.GetActivateTime()) {
			return journal.ErrUnchanged
		}
		renew(f)
		return nil
	})
	return s.show(record.GetUser()), err
}
