package identity

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

const grantLife = 5 * time.Minute

// purpose is an act that a grant can be bound to, and the permission that does beside the panel's.
type purpose struct{ name, permission string }

func purposes() []purpose {
	return []purpose{
		{name: ""}, {name: "terminate"}, {name: "freeze"}, {name: "lockdown"}, {name: "cancel"}, {name: "shorten"},
		{name: "approve"}, {name: "drill"}, {name: "lock"}, {name: "enforcer"},
		{"policy", who.ManagePolicy}, {"user", who.ManageUsers},
		{"token", who.ManageTokens}, {"access-group", who.ManageDevices},
	}
}

// CreateGrant turns a fresh code of the MFA app into the proof that a guarded act takes. A recovery code
// does not do: it may have lain in a drawer for years.
func (s *Service) CreateGrant(ctx context.Context, r *identityv1.CreateGrantRequest) (*identityv1.CreateGrantResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.mayHaveGrant(ctx, r.GetPurpose())
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	if err := s.proveCode(ctx, v, c, r.GetCode(), now); err != nil {
		return nil, err
	}
	g := who.Grant{ID: rand.Text(), User: c.User, SignIn: c.SignIn, Purpose: r.GetPurpose(), Issued: now, Expires: now.Add(grantLife).Truncate(time.Second)}
	signed, err := v.signer.Grant(g)
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateGrantResponse{Grant: signed, ExpireTime: timestamppb.New(g.Expires)}, nil
}

// proveCode takes a fresh code of a person's MFA app, if that is old enough to act with.
func (s *Service) proveCode(ctx context.Context, v *vault, c who.Caller, code string, now time.Time) error {
	uid := s.roll.Record(c.User).GetUid()
	f, err := s.factor(ctx, v, c.User, uid)
	if err != nil {
		return err
	}
	if err := s.usable(f, now); err != nil {
		return err
	}
	allowance, err := s.ownAllowance(ctx, v, c, uid)
	if err != nil {
		return err
	}
	return s.useCode(ctx, v, usage{name: c.User, uid: uid, code: code, allowance: allowance})
}

// ProveCode takes a code as CreateGrant does. With the journal away, it judges by what was known last.
func (s *Service) ProveCode(ctx context.Context, r *identityv1.ProveCodeRequest) (*identityv1.ProveCodeResponse, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := signedInPerson(ctx)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	err = fault.New(fault.JournalUnavailable, "The record is away")
	if s.deps.View.State().Fresh {
		err = s.proveCode(ctx, v, c, r.GetCode(), now)
	}
	if fault.Is(err, fault.JournalUnavailable) {
		err = s.proveAway(c, r.GetCode(), now)
	}
	return &identityv1.ProveCodeResponse{}, err
}

func (s *Service) proveAway(c who.Caller, code string, now time.Time) error {
	u := usage{name: c.User, uid: s.roll.Record(c.User).GetUid(), code: proof.CleanCode(code), allowance: signedIn}
	return s.kept.Use(u.name, u.uid, func(f *identityv1.FactorRecord) error {
		if err := s.usable(f, now); err != nil {
			return err
		}
		_, err := s.judge(f, u, now)
		return err
	})
}

// keep follows people's factors, until the context ends. It stands in nobody's way: without, a hold takes no code while
// the journal is away.
func (s *Service) keep(ctx context.Context, v *vault) error {
	for {
		err := v.secret.Watch(ctx, journal.WatchConfig{Subjects: []string{factorSubject + ">"}, Entry: func(e journal.Entry) error {
			if err := s.kept.Put(strings.TrimPrefix(e.Subject, factorSubject), e.Data); err != nil {
				s.deps.Log.ErrorContext(ctx, "a factor can't be read", "sequence", e.Sequence, "error", err)
			}
			return nil
		}})
		if ctx.Err() != nil {
			return nil
		}
		s.deps.Log.ErrorContext(ctx, "people's factors can't be followed; reading them anew", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// mayHaveGrant lets holders of the panel's permission have any grant, and others only one for what they
// may do.
func (s *Service) mayHaveGrant(ctx context.Context, name string) (who.Caller, error) {
	c, err := signedInPerson(ctx)
	if err != nil {
		return c, err
	}
	all := purposes()
	i := slices.IndexFunc(all, func(p purpose) bool { return p.name == name })
	if i < 0 {
		var names []string
		for _, p := range all[1:] {
			names = append(names, p.name)
		}
		return c, fault.New(fault.InvalidArgument, "purpose: take one of %s, or none", strings.Join(names, ", ")).With("field", "purpose")
	}
	needs := []string{who.ControlEmergencies}
	if all[i].permission != "" {
		needs = append(needs, all[i].permission)
	}
	return s.must(ctx, needs...)
}

// usable refuses a factor that is missing, or too new to open the panel: a hijacked sign-in must not
// enrol its own.
func (s *Service) usable(f *identityv1.FactorRecord, now time.Time) error {
	if !f.GetActive() {
		return fault.New(fault.MFANotEnrolled, "This takes an active MFA. Enrol an app first: POST /v1/users/me/mfa:enroll, then mfa:activate with its first code")
	}
	from := s.usableTime(f)
	if now.Before(from) {
		return fault.New(fault.MFATooNew, "Your MFA is too new to act with. It can be used from %s on", s.deps.Texts.Time(from)).Until("usableTime", from, now)
	}
	return nil
}

func (s *Service) usableTime(f *identityv1.FactorRecord) time.Time {
	if f.GetExempt() {
		return f.GetActivateTime().AsTime()
	}
	return f.GetActivateTime().AsTime().Add(s.config.MFAMinAge)
}

// ownAllowance is whose wrong codes a signed-in person's count among: of the sign-ins at the known
// address, or else of all sign-ins together. Strangers who know the password have used up neither, not
// even from that address.
func (s *Service) ownAllowance(ctx context.Context, v *vault, c who.Caller, uid string) (string, error) {
	p, err := s.password(ctx, v, c.User, uid)
	if err != nil {
		return "", err
	}
	if address := proof.Address(c.Address); proof.Knows(p.GetKnownAddresses(), address) {
		return signedIn + address, nil
	}
	return signedIn, nil
}
