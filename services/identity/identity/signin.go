package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

const (
	tokenLife  = 15 * time.Minute
	signInLife = 12 * time.Hour // however often it is refreshed
)

// person is somebody whose password was right.
type person struct {
	record   *identityv1.UserRecord
	password *identityv1.PasswordRecord
	address  string
	known    bool
	entry    who.Entry
}

func (p person) name() string { return p.record.GetUser().GetName() }

// allowance is whose wrong codes this person's count among.
func (p person) allowance() string {
	if p.known {
		return p.address
	}
	return strangers
}

func wrongPassword() error {
	return fault.New(fault.Unauthenticated, "The user name or the password is wrong, or the user is disabled")
}

// verify takes a user's password. A user who does not exist or is disabled takes as long and gets the same
// answer as a wrong password.
//
// The user is read before the password: should the password be replaced in between, the sign-in is dated
// before that, and over.
func (s *Service) verify(ctx context.Context, v *vault, name, password, address string) (person, error) {
	record, err := s.stored(ctx, v, name)
	if err != nil {
		return person{}, err
	}
	p := person{record: record, address: proof.Address(address), password: &identityv1.PasswordRecord{}}
	if record != nil {
		if p.password, err = s.password(ctx, v, name, record.GetUid()); err != nil {
			return person{}, err
		}
	}
	p.known = proof.Knows(p.password.GetKnownAddresses(), p.address)
	may := func() error { return s.attempts.Check(name, p.address, p.known, s.deps.Now()) }
	if err := may(); err != nil {
		return person{}, err
	}
	right, err := s.pool.Verify(ctx, password, p.password.GetHash(), p.known, may)
	if err != nil {
		return person{}, err
	}
	if !right || record.GetUser().GetDisabled() || record.GetUser().GetProvider() != nil {
		s.attempts.Fail(name, p.address, p.known, s.deps.Now())
		return person{}, wrongPassword()
	}
	return p, nil
}

// enrolled reports whether a code must follow. When the user's record says so and there is no factor that
// could take one, nobody gets in without.
func (s *Service) enrolled(ctx context.Context, v *vault, p person) (bool, error) {
	f, err := s.factor(ctx, v, p.name(), p.record.GetUid())
	return f.GetActive() || p.record.GetUser().GetMfa() == identityv1.User_ACTIVE, err
}

// prove takes the code that follows the password, where the person has enrolled.
func (s *Service) prove(ctx context.Context, v *vault, p person, code string) error {
	enrolled, err := s.enrolled(ctx, v, p)
	if err != nil || !enrolled {
		return err
	}
	if code == "" {
		return codeRequired()
	}
	u := usage{name: p.name(), uid: p.record.GetUid(), code: code, allowance: p.allowance(), recovery: true}
	if err := s.useCode(ctx, v, u); err != nil {
		return err
	}
	return s.mirror(ctx, v, p)
}

func codeRequired() error {
	return fault.New(fault.CodeInvalid, "Send the six digits of your MFA app along, as code").With("codeRequired", "true")
}

// lacksCode reports whether everything was right that was sent, and a code must follow.
func lacksCode(err error) bool {
	return err != nil && fault.From(err).Details["codeRequired"] != ""
}

// remember notes, after a sign-in, where it came from. It does not fail for that.
func (s *Service) remember(ctx context.Context, v *vault, p person) {
	s.attempts.Clear(p.name(), p.address, p.known)
	if p.known {
		return
	}
	if err := s.know(ctx, v, p.name(), p.record.GetUid(), p.address); err != nil {
		s.deps.Log.WarnContext(ctx, "an address that somebody signed in from could not be kept", "user", p.name(), "error", err)
	}
}

// CreateSignIn signs a person in. During a lockdown the right password of somebody whom it does not let
// through is answered with the lockdown, before any code is taken; a lock on them answers likewise.
func (s *Service) CreateSignIn(ctx context.Context, r *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	p, err := s.verify(ctx, v, r.GetUsername(), r.GetPassword(), who.FromContext(ctx).Address)
	if err != nil {
		return nil, err
	}
	known := entrance{s.emergencies(), s.deps.Now()}
	if err := s.letIn(p.name(), known); err != nil {
		return nil, err
	}
	err = s.prove(ctx, v, p, r.GetCode())
	if r.GetInTwoSteps() && lacksCode(err) {
		return &identityv1.SignIn{CodeRequired: true}, nil
	}
	if err != nil {
		return nil, err
	}
	s.remember(ctx, v, p)
	return s.admit(v, p, known)
}

// entrance is what a sign-in is decided by, and stamped with: a lockdown that comes after the decision must
// end it, however long the rest of the sign-in takes.
type entrance struct {
	emergencies *emergency.Snapshot
	now         time.Time
}

// letIn refuses with the lockdown or the lock that is in the way of a person at the console. Where it can't be told what
// is on, a strict identity lets in administrators only.
func (s *Service) letIn(name string, known entrance) error {
	verdict := emergency.Decide(known.emergencies, emergency.Request{User: name, Channel: emergency.Interactive}, known.now)
	if err := rpc.Shut(s.deps.Texts, verdict, known.now); err != nil {
		return err
	}
	if s.deps.Stale != nil && s.deps.Stale() && !known.emergencies.Administrator(name) {
		return rpc.Stale(s.deps.Texts)
	}
	if s.deps.Practise != nil {
		s.deps.Practise(known.emergencies, emergency.Request{User: name, Channel: emergency.Interactive}, known.now)
	}
	return nil
}

// admit stamps and signs a new sign-in. The stamp is what the decision was made by: whatever comes later
// ends it.
func (s *Service) admit(v *vault, p person, known entrance) (*identityv1.SignIn, error) {
	issued := known.now
	for _, over := range []time.Time{p.record.GetSignInCutoff().AsTime(), s.view().Ended(p.entry)} {
		if after := over.Add(1); after.After(issued) {
			issued = after
		}
	}
	in := who.SignIn{ID: rand.Text(), User: p.name(), Admission: known.emergencies.Admission(known.now), Issued: issued, Entry: p.entry}
	return s.sign(v, in, known.now)
}

func (s *Service) sign(v *vault, in who.SignIn, now time.Time) (*identityv1.SignIn, error) {
	in.Expires = now.Add(tokenLife)
	if end := in.Issued.Add(signInLife); end.Before(in.Expires) {
		in.Expires = end
	}
	in.Expires = in.Expires.Truncate(time.Second)
	token, err := v.signer.SignIn(in)
	if err != nil {
		return nil, err
	}
	s.present.Note(in, now)
	return &identityv1.SignIn{Token: token, ExpireTime: timestamppb.New(in.Expires), User: s.show(s.roll.User(in.User)),
		By: cmp.Or(in.Entry.By, who.ByPassword)}, nil
}

// RefreshSignIn answers a new token for the same sign-in: with the same id, the same admission and the
// same moment of signing in, so that whatever ends the old token ends the new one.
func (s *Service) RefreshSignIn(ctx context.Context, _ *identityv1.RefreshSignInRequest) (*identityv1.SignIn, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := signedInPerson(ctx)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	_, cut := s.emergencies().SignedOut(c.User, c.SignIn, c.Admission, now)
	record := s.roll.Record(c.User)
	gone := record == nil || record.GetDeleted() || record.GetUser().GetDisabled() || c.Issued.Before(record.GetSignInCutoff().AsTime())
	if cut || gone || !now.Before(c.Issued.Add(signInLife)) {
		return nil, fault.New(fault.Unauthenticated, "Your sign-in is over. Sign in again")
	}
	return s.sign(v, who.SignIn{ID: c.SignIn, User: c.User, Admission: c.Admission, Issued: c.Issued, Entry: c.Entry}, now)
}

func signedInPerson(ctx context.Context) (who.Caller, error) {
	c := who.FromContext(ctx)
	if c.User == "" || c.SignIn == "" {
		return c, fault.New(fault.PermissionDenied, "This is for people who have signed in, not for tokens of programs").With("rule", "people")
	}
	return c, nil
}

// DeleteSignIn signs the caller out.
func (s *Service) DeleteSignIn(ctx context.Context, _ *identityv1.DeleteSignInRequest) (*emptypb.Empty, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := signedInPerson(ctx)
	if err != nil {
		return nil, err
	}
	record := &identityv1.RevocationRecord{SignIn: c.SignIn, ExpireTime: timestamppb.New(c.Issued.Add(signInLife))}
	data, err := proto.Marshal(record)
	if err != nil {
		return nil, err
	}
	subject := people.RevocationSubject + c.SignIn
	entry, err := v.identity.Update(ctx, subject, func(_ journal.Entry, found bool) ([]byte, error) {
		if found {
			return nil, journal.ErrUnchanged
		}
		return data, nil
	})
	if err != nil {
		return nil, refusal(err)
	}
	s.present.Leave(c.SignIn)
	return &emptypb.Empty{}, s.await(ctx, entry.Sequence)
}
