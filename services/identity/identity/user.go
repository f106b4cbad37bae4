package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/who"
)

// show is a user as the API answers it: nothing that was input only, and what the roles add up to.
func (s *Service) show(u *identityv1.User) *identityv1.User {
	if u == nil {
		return nil
	}
	u = proto.CloneOf(u)
	u.Password, u.CurrentPassword, u.Grant, u.RequestId, u.Justification, u.RecoveryCodesLeft = nil, nil, nil, nil, nil, nil
	u.Permissions = s.permissions(u.GetRoles())
	if u.GetMfa() == identityv1.User_MFA_UNSPECIFIED {
		u.Mfa = identityv1.User_NONE
	}
	if u.GetLanguage() == "" {
		u.Language = "en"
	}
	return u
}

// permissions are what roles add up to, sorted.
func (s *Service) permissions(roles []string) []string {
	var all []string
	for _, role := range roles {
		all = append(all, s.view().RolePermissions(role)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func noUser(name string) error {
	return fault.New(fault.NotFound, "There is no user %q. GET /v1/users lists them", shortened(name))
}

// shortened keeps a refusal readable, whatever was sent.
func shortened(name string) string {
	if len(name) > 128 {
		return name[:128] + "…"
	}
	return name
}

// named resolves "me", and refuses what can be nobody's name.
func named(c who.Caller, name string) (string, error) {
	if name == account.Me && c.User != "" {
		return c.User, nil
	}
	if !account.ValidName(name) {
		return "", account.Name("name", name)
	}
	return name, nil
}

// GetUser answers a user: oneself, or anybody to those who may read.
func (s *Service) GetUser(ctx context.Context, r *identityv1.GetUserRequest) (*identityv1.User, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c := who.FromContext(ctx)
	name, err := named(c, r.GetName())
	if err != nil {
		return nil, err
	}
	if name != c.User {
		if _, err := s.must(ctx, who.Read, who.ManageUsers); err != nil {
			return nil, err
		}
	}
	u, err := s.shownUser(name)
	if err != nil {
		return nil, err
	}
	if name == c.User && u.GetMfa() == identityv1.User_ACTIVE {
		f, err := s.factor(ctx, v, name, s.roll.Record(name).GetUid())
		if err != nil {
			return nil, err
		}
		u.RecoveryCodesLeft = proto.Uint32(uint32(len(f.GetRecoveryHashes())))
	}
	return u, nil
}

// ListUsers answers users by name.
func (s *Service) ListUsers(ctx context.Context, r *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	if _, err := s.must(ctx, who.Read, who.ManageUsers); err != nil {
		return nil, err
	}
	takes, err := account.Filter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	users := map[string]*identityv1.User{}
	page, next, err := account.Page(s.roll.Names(), r.GetPageSize(), r.GetPageToken(), func(name string) bool {
		u := s.show(s.roll.User(name))
		users[name] = u
		return u != nil && takes(u)
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListUsersResponse{NextPageToken: next}
	for _, name := range page {
		answer.Users = append(answer.Users, users[name])
	}
	return answer, nil
}

// CreateUser makes a user. The password is written after the record that it belongs to; the same request
// again writes it if that was cut short.
func (s *Service) CreateUser(ctx context.Context, r *identityv1.CreateUserRequest) (*identityv1.User, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageUsers)
	if err != nil {
		return nil, err
	}
	o, err := v.operation(c, r.GetUser().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	u, err := s.newUser(r.GetUser())
	if err != nil {
		return nil, err
	}
	subject := people.UserSubject + u.GetName()
	again, err := s.answered(o, subject)
	if err != nil {
		return nil, err
	}
	if !again {
		if err := s.createUser(ctx, v, o, c, u, r.GetUser()); err != nil {
			return nil, err
		}
	}
	if err := s.firstPassword(ctx, v, u.GetName(), r.GetUser().GetPassword()); err != nil {
		return nil, err
	}
	return s.shownUser(u.GetName())
}

// shownUser is a user as the API answers it.
func (s *Service) shownUser(name string) (*identityv1.User, error) {
	if u := s.show(s.roll.User(name)); u != nil {
		return u, nil
	}
	return nil, noUser(name)
}

// newUser is what a request makes of a user, checked.
func (s *Service) newUser(in *identityv1.User) (*identityv1.User, error) {
	if err := account.Name("name", in.GetName()); err != nil {
		return nil, err
	}
	u := editable(in)
	u.Name = in.GetName()
	if err := s.check(u); err != nil {
		return nil, err
	}
	if in.Password == nil {
		return u, nil
	}
	return u, proof.CheckPassword(in.GetName(), in.GetPassword())
}

// editable are the fields that people may write, copied.
func editable(u *identityv1.User) *identityv1.User {
	return &identityv1.User{
		DisplayName: u.GetDisplayName(), Email: u.GetEmail(), Mobile: u.GetMobile(), Language: u.GetLanguage(),
		Roles: slices.Clone(u.GetRoles()), SshPublicKeys: slices.Clone(u.GetSshPublicKeys()), Disabled: u.GetDisabled(),
	}
}

// check refuses fields that can't be, roles that are not there among them, and brings the rest to one form.
func (s *Service) check(u *identityv1.User) error {
	if err := account.User(u); err != nil {
		return err
	}
	slices.Sort(u.Roles)
	u.Roles = slices.Compact(u.GetRoles())
	for _, role := range u.GetRoles() {
		if role != emergency.Administrator && role != who.Auditor && s.roll.Role(role) == nil {
			return fault.New(fault.InvalidArgument, "roles: there is no role %q. GET /v1/roles lists them", shortened(role)).With("field", "roles").With("names", shortened(role))
		}
	}
	return nil
}

func (s *Service) createUser(ctx context.Context, v *vault, o operation, c who.Caller, u, in *identityv1.User) error {
	if s.roll.User(u.GetName()) != nil {
		return taken(u.GetName())
	}
	u.Provider = linkOf(nil, in.GetProvider())
	if err := s.linkable(u, in.Password != nil); err != nil {
		return err
	}
	kind, err := s.review(c, nil, u, in.Password != nil)
	if err != nil {
		return err
	}
	if err := s.act(ctx, v, c, o, kind, u.GetName(), in); err != nil {
		return err
	}
	uid := rand.Text()
	_, err = s.writeUser(ctx, v, o, u.GetName(), func(record *identityv1.UserRecord) error {
		if !record.GetDeleted() {
			return taken(u.GetName())
		}
		// What ended the sign-ins of somebody of the same name before stays: they are not this person's.
		u.CreateTime = timestamppb.New(s.deps.Now())
		record.User, record.Uid, record.Deleted, record.Hands = u, uid, false, nil
		if gives(nil, u, in.Password != nil) {
			record.Hands = s.handed(nil, c)
		}
		return errors.Join(s.linkable(u, in.Password != nil), s.check(u))
	})
	return err
}

func taken(name string) error {
	return fault.New(fault.AlreadyExists, "There is a user %q already. Change it, or take another name", name).With("field", "name")
}

// firstPassword sets the password of a new user, if there is none yet.
func (s *Service) firstPassword(ctx context.Context, v *vault, name, password string) error {
	record := s.roll.Record(name)
	if password == "" || record.GetDeleted() {
		return nil
	}
	before, err := s.password(ctx, v, name, record.GetUid())
	if err != nil || before.GetHash() != "" {
		return err
	}
	return s.setPassword(ctx, v, name, record.GetUid(), password)
}

// DeleteUser removes a user, and ends their sign-ins.
func (s *Service) DeleteUser(ctx context.Context, r *identityv1.DeleteUserRequest) (*emptypb.Empty, error) {
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
	if name == c.User {
		return nil, fault.New(fault.PermissionDenied, "Nobody deletes their own user. Ask another administrator").With("rule", "ownUser")
	}
	if err := s.noteDeletion(ctx, v, c, name); err != nil {
		return nil, err
	}
	_, err = s.writeUser(ctx, v, operation{}, name, func(record *identityv1.UserRecord) error {
		if record.GetDeleted() {
			return noUser(name)
		}
		if err := s.over(c, record.GetUser()); err != nil {
			return err
		}
		s.cut(record)
		record.Deleted, record.Uid, record.User, record.Hands = true, "", &identityv1.User{Name: name}, nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.wipe(ctx, v, name)
}

// noteDeletion notes that an administrator is about to be deleted, if it may be.
func (s *Service) noteDeletion(ctx context.Context, v *vault, c who.Caller, name string) error {
	before := s.roll.User(name)
	if !people.IsAdministrator(before) {
		return nil
	}
	if err := s.over(c, before); err != nil {
		return err
	}
	if people.Working(before) {
		if err := s.notLast(name); err != nil {
			return err
		}
	}
	return s.act(ctx, v, c, operation{}, actDelete, name, new(identityv1.User))
}
