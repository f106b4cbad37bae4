package identity

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/who"
)

// edit is a change of a user: the fields that it names, as the request has them.
type edit struct {
	fields []string
	in     *identityv1.User
	// hands are those who had given the user the means to act when the change was noted, where it makes an administrator.
	hands []string
}

// editOf reads which fields a request changes: those of its mask; without one, those that it sets. What
// is output only is passed over, so that what was read can be sent back.
func editOf(r *identityv1.UpdateUserRequest) (edit, error) {
	e := edit{in: r.GetUser(), fields: r.GetUpdateMask().GetPaths()}
	known := e.in.ProtoReflect().Descriptor().Fields()
	for i := 0; len(r.GetUpdateMask().GetPaths()) == 0 && i < known.Len(); i++ {
		if e.in.ProtoReflect().Has(known.Get(i)) {
			e.fields = append(e.fields, string(known.Get(i).Name()))
		}
	}
	if slices.Equal(e.fields, []string{"*"}) {
		e.fields = everything()
	}
	for _, f := range e.fields {
		if known.ByName(protoreflect.Name(f)) == nil {
			return edit{}, fault.New(fault.InvalidArgument, "updateMask: a user has no field %q", shortened(f)).With("field", "updateMask")
		}
	}
	if e.has("password") && e.in.Password == nil {
		return edit{}, fault.New(fault.InvalidArgument, "password: a password can be replaced, not taken away").With("field", "password")
	}
	return e, nil
}

// everything are the fields that people may write, but for the password.
func everything() []string {
	return []string{"display_name", "email", "mobile", "language", "roles", "ssh_public_keys", "disabled"}
}

func (e edit) has(field string) bool { return slices.Contains(e.fields, field) }

// apply answers a user with the change made.
func (e edit) apply(before *identityv1.User) *identityv1.User {
	u, in := proto.CloneOf(before), editable(e.in)
	for _, f := range e.fields {
		switch f {
		case "display_name":
			u.DisplayName = in.GetDisplayName()
		case "email":
			u.Email = in.GetEmail()
		case "mobile":
			u.Mobile = in.GetMobile()
		case "language":
			u.Language = in.GetLanguage()
		case "roles":
			u.Roles = in.GetRoles()
			keepOnly(u.GetProvider(), u.GetRoles())
		case "provider":
			u.Provider = linkOf(u.GetProvider(), e.in.GetProvider())
		case "ssh_public_keys":
			u.SshPublicKeys = in.GetSshPublicKeys()
		case "disabled":
			u.Disabled = in.GetDisabled()
		}
	}
	return u
}

// UpdateUser changes a user. People change their own account, except for what they may do; others take the
// permission, and what would make or take over an administrator takes a grant.
func (s *Service) UpdateUser(ctx context.Context, r *identityv1.UpdateUserRequest) (*identityv1.User, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c := who.FromContext(ctx)
	name, err := named(c, r.GetUser().GetName())
	if err != nil {
		return nil, err
	}
	if name != c.User {
		if _, err := s.must(ctx, who.ManageUsers); err != nil {
			return nil, err
		}
	}
	e, err := editOf(r)
	if err != nil {
		return nil, err
	}
	o, err := v.operation(c, r.GetUser().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if err := s.update(ctx, v, o, c, name, e); err != nil {
		return nil, err
	}
	return s.shownUser(name)
}

func (s *Service) update(ctx context.Context, v *vault, o operation, c who.Caller, name string, e edit) error {
	before := s.roll.User(name)
	if before == nil {
		return noUser(name)
	}
	again, err := s.answered(o, "")
	if err != nil || again {
		return err
	}
	kind, err := s.agree(c, before, e)
	if err != nil {
		return err
	}
	if e.has("password") {
		if err := s.agreePassword(ctx, v, c, name, e); err != nil {
			return err
		}
	}
	if makes(kind) {
		e.hands = s.roll.Record(name).GetHands()
	}
	if err := s.act(ctx, v, c, o, kind, name, handing{e.in, e.hands}); err != nil {
		return err
	}
	record, err := s.writeUser(ctx, v, o, name, func(record *identityv1.UserRecord) error {
		return s.change(record, c, e, kind)
	})
	if err == nil && record.GetUser().GetProvider() != nil && e.has("provider") {
		return s.dropPassword(ctx, v, name, record.GetUid())
	}
	if err != nil || !e.has("password") {
		return err
	}
	return s.replacePassword(ctx, v, name, record.GetUid(), e.in.GetPassword())
}

// agree checks a change before anything is written or spent for it.
func (s *Service) agree(c who.Caller, before *identityv1.User, e edit) (kind string, err error) {
	after := e.apply(before)
	if err := errors.Join(s.check(after), s.linkable(after, e.has("password"))); err != nil {
		return "", err
	}
	if people.Working(before) && !people.Working(after) {
		if err := s.notLast(before.GetName()); err != nil {
			return "", err
		}
	}
	return s.review(c, before, after, e.has("password"))
}

// agreePassword checks a new password; one's own takes the one so far.
func (s *Service) agreePassword(ctx context.Context, v *vault, c who.Caller, name string, e edit) error {
	if err := proof.CheckPassword(name, e.in.GetPassword()); err != nil {
		return err
	}
	if name != c.User {
		return nil
	}
	if e.in.CurrentPassword == nil {
		return fault.New(fault.InvalidArgument, "currentPassword: send the password so far along").With("field", "currentPassword")
	}
	if _, err := s.verify(ctx, v, name, e.in.GetCurrentPassword(), c.Address); err != nil {
		if fault.Is(err, fault.Unauthenticated) {
			return fault.New(fault.PermissionDenied, "currentPassword: this is not your password").With("field", "currentPassword")
		}
		return err
	}
	return nil
}

// change makes the change on the record as it is now. Should it take a grant by now that it didn't take
// before, or make an administrator of somebody who was given the means to act meanwhile, it is not made.
func (s *Service) change(record *identityv1.UserRecord, c who.Caller, e edit, agreed string) error {
	if record.GetDeleted() {
		return noUser(e.in.GetName())
	}
	before := record.GetUser()
	kind, err := s.agree(c, before, e)
	if err != nil {
		return err
	}
	if kind != "" && kind != agreed || makes(kind) && !slices.Equal(e.hands, record.GetHands()) {
		return fault.New(fault.Aborted, "The user has been changed meanwhile. Look again, and try again")
	}
	after := e.apply(before)
	if err := s.check(after); err != nil { // which brings it to its one form
		return err
	}
	if before.GetDisabled() != after.GetDisabled() || e.has("password") || !sameLink(before.GetProvider(), after.GetProvider()) {
		s.cut(record)
	}
	if c.User != before.GetName() && gives(before, after, e.has("password")) {
		record.Hands = s.handed(record.GetHands(), c)
	}
	record.User = after
	return nil
}

// replacePassword sets a password, and ends the sign-ins that were made with the one before: those so far
// were ended with the record already, these are the ones that slipped in until now.
func (s *Service) replacePassword(ctx context.Context, v *vault, name, uid, password string) error {
	if err := s.setPassword(ctx, v, name, uid, password); err != nil {
		return err
	}
	_, err := s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		s.cut(record)
		return nil
	})
	return err
}
