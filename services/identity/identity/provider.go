package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

const keepLogouts = 16

// Arrive signs a person in whom the provider has identified, or says that a code must follow; it notes in
// the arrival who that is. The lockdown is decided by the roles as they were before, and by those after:
// groups open no lockdown, and close one.
func (s *Service) Arrive(ctx context.Context, a *identityv1.ProviderArrival) (*identityv1.SignIn, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	before := entrance{s.emergencies(), s.deps.Now()}
	if err := s.letIn(s.roll.Linked(a.GetIssuer(), a.GetSubject()), before); err != nil {
		return nil, err
	}
	record, err := s.settle(ctx, v, a)
	if err != nil {
		return nil, err
	}
	known := entrance{s.emergencies(), s.deps.Now()}
	if err := s.letIn(record.GetUser().GetName(), known); err != nil {
		return nil, err
	}
	p, err := s.arrived(ctx, v, record, a)
	if err != nil {
		return nil, err
	}
	enrolled, err := s.enrolled(ctx, v, p)
	if err != nil {
		return nil, err
	}
	if enrolled && !a.GetMfa() {
		a.Uid = record.GetUid()
		return &identityv1.SignIn{CodeRequired: true}, nil
	}
	return s.admit(v, p, known)
}

// Confirm signs the person of an arrival in who has a code. What has ended their sign-ins since they
// arrived has ended this one too.
func (s *Service) Confirm(ctx context.Context, a *identityv1.ProviderArrival, code string) (*identityv1.SignIn, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	known := entrance{s.emergencies(), s.deps.Now()}
	name := s.roll.Linked(a.GetIssuer(), a.GetSubject())
	if err := s.letIn(name, known); err != nil {
		return nil, err
	}
	record, err := s.stored(ctx, v, name)
	if err != nil {
		return nil, err
	}
	if record.GetUser().GetDisabled() {
		return nil, providerDisabled(name)
	}
	at := a.GetTime().AsTime()
	if record.GetUid() != a.GetUid() || a.GetUid() == "" || at.Before(record.GetSignInCutoff().AsTime()) || at.Before(s.view().Ended(entryOf(a))) {
		return nil, fault.New(fault.Unauthenticated, "This sign-in is over. Begin again").With("rule", "providerFlow")
	}
	p, err := s.arrived(ctx, v, record, a)
	if err != nil {
		return nil, err
	}
	if err := s.prove(ctx, v, p, code); err != nil {
		return nil, err
	}
	s.remember(ctx, v, p)
	return s.admit(v, p, known)
}

// Depart ends what came in by these words of the provider. The same logout token ends nothing twice.
func (s *Service) Depart(ctx context.Context, token string, words ...string) error {
	v, err := s.opened()
	if err != nil {
		return err
	}
	for _, word := range words {
		record := new(identityv1.RevocationRecord)
		entry, err := v.identity.Update(ctx, people.RevocationSubject+word, func(last journal.Entry, found bool) ([]byte, error) {
			proto.Reset(record)
			if found {
				if err := proto.Unmarshal(last.Data, record); err != nil {
					return nil, err
				}
			}
			if slices.Contains(record.GetLogoutTokens(), token) {
				return nil, fault.New(fault.InvalidArgument, "This logout token has been used").With("rule", "replayed")
			}
			return proto.Marshal(s.depart(record, word, token))
		})
		if err != nil {
			return refusal(err)
		}
		if err := s.await(ctx, entry.Sequence); err != nil {
			return err
		}
	}
	return nil
}

// depart lies ahead by as much as another replica's clock may, like cut.
func (s *Service) depart(record *identityv1.RevocationRecord, word, token string) *identityv1.RevocationRecord {
	at := s.deps.Now().Add(maxSkew)
	if before := record.GetIssuedBefore().AsTime(); before.After(at) {
		at = before
	}
	tokens := append(record.GetLogoutTokens(), token)
	return &identityv1.RevocationRecord{
		SignIn: word, IssuedBefore: timestamppb.New(at), ExpireTime: timestamppb.New(at.Add(signInLife)),
		LogoutTokens: tokens[max(0, len(tokens)-keepLogouts):],
	}
}

func entryOf(a *identityv1.ProviderArrival) who.Entry {
	return who.Entry{By: who.ByProvider, Session: who.ProviderSession(a.GetIssuer(), a.GetSession()), Subject: who.ProviderSubject(a.GetIssuer(), a.GetSubject())}
}

func (s *Service) arrived(ctx context.Context, v *vault, record *identityv1.UserRecord, a *identityv1.ProviderArrival) (person, error) {
	p := person{record: record, address: proof.Address(who.FromContext(ctx).Address), entry: entryOf(a)}
	var err error
	if p.password, err = s.password(ctx, v, p.name(), record.GetUid()); err == nil {
		p.known = proof.Knows(p.password.GetKnownAddresses(), p.address)
	}
	return p, err
}

// settle answers the user of an arrival: made now if there is none and the configuration makes users, with
// the roles that their groups give.
func (s *Service) settle(ctx context.Context, v *vault, a *identityv1.ProviderArrival) (*identityv1.UserRecord, error) {
	name := cmp.Or(s.roll.Linked(a.GetIssuer(), a.GetSubject()), a.GetName())
	if err := account.Name("name", name); err != nil {
		return nil, fault.New(fault.PermissionDenied, "The provider calls you %q, which can't be a user's name here. Ask an administrator", shortened(name)).With("rule", "providerName")
	}
	uid := rand.Text()
	draft := s.roll.Record(name)
	if draft == nil {
		draft = &identityv1.UserRecord{Deleted: true}
	}
	was := people.IsAdministrator(draft.GetUser()) && !draft.GetDeleted()
	if err := s.receive(draft, a, name, uid); err != nil && err != journal.ErrUnchanged {
		return nil, err
	}
	becomes := !was && people.IsAdministrator(draft.GetUser())
	if becomes {
		if _, err := s.deps.Acts.RecordGroupAct(ctx, &emergencyv1.RecordGroupActRequest{
			Target: name, Issuer: a.GetIssuer(), Address: who.FromContext(ctx).Address, Hands: draft.GetHands()}); err != nil {
			return nil, fault.From(err)
		}
	}
	return s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		was := people.IsAdministrator(record.GetUser()) && !record.GetDeleted()
		err := s.receive(record, a, name, uid)
		other := !becomes || !slices.Equal(record.GetHands(), draft.GetHands())
		if err == nil && !was && other && people.IsAdministrator(record.GetUser()) {
			return fault.New(fault.Aborted, "The user has been changed meanwhile. Try again")
		}
		return err
	})
}

// receive makes of a record what an arrival makes of it.
func (s *Service) receive(record *identityv1.UserRecord, a *identityv1.ProviderArrival, name, uid string) error {
	switch linked := s.roll.Linked(a.GetIssuer(), a.GetSubject()); {
	case linked != "" && linked != name:
		return fault.New(fault.Aborted, "The user has been changed meanwhile. Try again")
	case linked == "" && !s.config.OIDCCreateUsers:
		return fault.New(fault.PermissionDenied, "You have signed in at the provider, but have no user here. Ask an administrator to make one").With("rule", "providerUnknown")
	case linked == "" && !record.GetDeleted():
		return fault.New(fault.AlreadyExists, "There is a user %q here already, who is not the provider's. Ask an administrator to link the two, or for another name", name).
			With("rule", "providerNameTaken").With("name", name)
	case linked == "":
		record.User, record.Uid, record.Deleted, record.Hands = s.newcomer(a, name), uid, false, nil
	}
	if record.GetUser().GetDisabled() {
		return providerDisabled(name)
	}
	before := proto.CloneOf(record.GetUser())
	s.regroup(record.GetUser(), s.known(a.GetRoles()))
	if people.Working(before) && !people.Working(record.GetUser()) && s.notLast(name) != nil {
		s.deps.Log.Warn("the last administrator with a working MFA stays one, though no group at the provider says so any more", "user", name)
		s.regroup(record.GetUser(), append(s.known(a.GetRoles()), emergency.Administrator))
	}
	if record.GetUid() != uid && proto.Equal(before, record.GetUser()) {
		return journal.ErrUnchanged
	}
	return nil
}

func providerDisabled(name string) error {
	return fault.New(fault.PermissionDenied, "The user %s is disabled. Ask an administrator", name).With("rule", "providerDisabled").With("name", name)
}

// newcomer is a user as the provider describes them. What can't be here is left out.
func (s *Service) newcomer(a *identityv1.ProviderArrival, name string) *identityv1.User {
	u := &identityv1.User{
		Name: name, CreateTime: timestamppb.New(s.deps.Now()), Provider: &identityv1.UserProvider{Issuer: a.GetIssuer(), Subject: a.GetSubject()},
	}
	if account.User(&identityv1.User{DisplayName: a.GetDisplayName()}) == nil {
		u.DisplayName = a.GetDisplayName()
	}
	if account.User(&identityv1.User{Email: a.GetEmail()}) == nil {
		u.Email = a.GetEmail()
	}
	return u
}

// known are those of the roles that there are.
func (s *Service) known(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool {
		missing := role != emergency.Administrator && role != who.Auditor && s.roll.Role(role) == nil
		if missing {
			s.deps.Log.Warn("oidc-roles names a role that is not there", "role", role)
		}
		return missing
	})
}

// regroup takes the roles away that came from the provider, and gives those that come from there now. Those
// given by hand stay.
func (s *Service) regroup(u *identityv1.User, roles []string) {
	p := u.GetProvider()
	byHand := slices.DeleteFunc(slices.Clone(u.GetRoles()), func(role string) bool { return slices.Contains(p.GetRoles(), role) })
	p.Roles = gained(byHand, roles)
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.GetRoles())
	u.Roles = slices.Sorted(slices.Values(append(byHand, p.GetRoles()...)))
}

// linkOf is a link as it is asked for; the same one keeps what came with it.
func linkOf(before, in *identityv1.UserProvider) *identityv1.UserProvider {
	switch {
	case in == nil:
		return nil
	case sameLink(before, in):
		return before
	}
	return &identityv1.UserProvider{Issuer: in.GetIssuer(), Subject: in.GetSubject()}
}

func sameLink(a, b *identityv1.UserProvider) bool {
	return (a == nil) == (b == nil) && a.GetIssuer() == b.GetIssuer() && a.GetSubject() == b.GetSubject()
}

// links reports whether a change lets somebody in as that user whom a provider vouches for.
func links(before, after *identityv1.User) bool {
	return after.GetProvider() != nil && !sameLink(before.GetProvider(), after.GetProvider())
}

// keepOnly forgets that roles came from the provider which the user no longer has.
func keepOnly(p *identityv1.UserProvider, roles []string) {
	if p != nil {
		p.Roles = slices.DeleteFunc(p.GetRoles(), func(role string) bool { return !slices.Contains(roles, role) })
	}
}

// linkable refuses a link that can't be, and a password beside one.
func (s *Service) linkable(u *identityv1.User, password bool) error {
	p := u.GetProvider()
	switch {
	case p == nil:
		return nil
	case password:
		return fault.New(fault.InvalidArgument, "password: %s comes from %s and has no password here. Make the user local first: take provider away", u.GetName(), p.GetIssuer()).
			With("field", "password").With("rule", "provider")
	case p.GetSubject() == "" || p.GetIssuer() == "":
		return fault.New(fault.InvalidArgument, "provider: name the issuer and the subject").With("field", "provider")
	}
	if other := s.roll.Linked(p.GetIssuer(), p.GetSubject()); other != "" && other != u.GetName() {
		return fault.New(fault.AlreadyExists, "provider: that subject is the user %s already", other).With("field", "provider").With("name", other)
	}
	return nil
}
