package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// The acts that take a grant, as they stand in the audit log, and those that are only noted.
const (
	actGrant    = "user.grant-administrator"
	actEnable   = "user.enable-administrator"
	actPassword = "user.set-password"
	actKey      = "user.add-key"
	actResetMFA = "user.reset-mfa"
	actReplace  = "user.replace-mfa"
	actLink     = "user.link"
	actRearm    = "token.rearm"

	actTake    = "user.take-administrator"
	actDisable = "user.disable-administrator"
	actDelete  = "user.delete-administrator"
)

// notedWithin is how long an act that takes away waits to be noted.
const notedWithin = 3 * time.Second

// over refuses whoever would reach beyond what they hold: administrators are changed by administrators
// only.
func (s *Service) over(c who.Caller, target *identityv1.User) error {
	if people.IsAdministrator(target) && !s.view().Holds(c, who.ControlEmergencies) {
		return fault.New(fault.PermissionDenied, "%s is an administrator. Only a %s may do this", target.GetName(), emergency.Administrator).
			With("rule", "administrators").With("name", target.GetName())
	}
	return nil
}

// holdsAll refuses whoever would give, or take over, a permission that they don't hold.
func (s *Service) holdsAll(c who.Caller, permissions []string, why string) error {
	for _, p := range permissions {
		if !s.view().Holds(c, p) {
			return fault.New(fault.PermissionDenied, "%s: you don't hold %s yourself. Ask an administrator", why, p).
				With("rule", "notHeld").With("permission", p)
		}
	}
	return nil
}

// review says whether a caller may make of a user what after says (before is nil for a new one), and which
// act that is, if it takes a grant. Whoever could undo the brake is guarded like it.
func (s *Service) review(c who.Caller, before, after *identityv1.User, newPassword bool) (kind string, err error) {
	if before != nil && c.User == before.GetName() {
		return "", s.reviewOwn(before, after)
	}
	if !s.view().Holds(c, who.ManageUsers) {
		return "", fault.New(fault.PermissionDenied, "This takes the permission %s. Your own account is yours to change", who.ManageUsers).With("permission", who.ManageUsers)
	}
	if err := s.over(c, before); err != nil {
		return "", err
	}
	if err := s.over(c, after); err != nil {
		return "", err
	}
	if err := s.holdsAll(c, s.permissions(gained(before.GetRoles(), after.GetRoles())), "roles"); err != nil {
		return "", err
	}
	if before != nil && gives(before, after, newPassword) {
		if err := s.holdsAll(c, s.permissions(before.GetRoles()), "Whoever sets a password, a key or a provider can act as that user"); err != nil {
			return "", err
		}
	}
	return guarded(before, after, newPassword), nil
}

// gives reports whether a change gives somebody the means to act as that user.
func gives(before, after *identityv1.User, newPassword bool) bool {
	return newPassword || links(before, after) || len(gained(before.GetSshPublicKeys(), after.GetSshPublicKeys())) > 0
}

// handed are those who have given a user the means to act, and the caller besides: of a token whoever made it. Whoever has given the caller
// the means to act may be the caller, and only of an administrator is that on record.
func (s *Service) handed(hands []string, c who.Caller) []string {
	name := cmp.Or(c.User, c.Owner, c.Actor())
	given := []string{name}
	if giver := s.roll.Record(name); !people.IsAdministrator(giver.GetUser()) {
		given = append(given, giver.GetHands()...)
	}
	all := slices.Clone(hands)
	for _, one := range given {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// makes reports whether an act makes an administrator: by then it counts who has given the user the means to act before.
func makes(kind string) bool { return kind == actGrant || kind == actEnable }

// handing is a request of an act that makes an administrator.
type handing struct {
	backed
	hands []string
}

// reviewOwn lets people change their own account, but never what they may do.
func (s *Service) reviewOwn(before, after *identityv1.User) error {
	if !slices.Equal(slices.Sorted(slices.Values(before.GetRoles())), slices.Sorted(slices.Values(after.GetRoles()))) {
		return fault.New(fault.PermissionDenied, "Nobody changes their own roles. Ask another administrator").With("field", "roles")
	}
	if !sameLink(before.GetProvider(), after.GetProvider()) {
		return fault.New(fault.PermissionDenied, "Nobody changes where they sign in themselves. Ask another administrator").With("field", "provider")
	}
	if before.GetDisabled() != after.GetDisabled() {
		return fault.New(fault.PermissionDenied, "Nobody disables their own user. Ask another administrator").With("field", "disabled")
	}
	return nil
}

// guarded is the act that is noted, empty if none is. Taking away takes no grant.
func guarded(before, after *identityv1.User, newPassword bool) string {
	switch {
	case !people.IsAdministrator(after) && !people.IsAdministrator(before):
		return ""
	case !people.IsAdministrator(before):
		return actGrant
	case before.GetDisabled() && !after.GetDisabled():
		return actEnable
	case newPassword:
		return actPassword
	case links(before, after):
		return actLink
	case len(gained(before.GetSshPublicKeys(), after.GetSshPublicKeys())) > 0:
		return actKey
	case !people.IsAdministrator(after):
		return actTake
	case !before.GetDisabled() && after.GetDisabled():
		return actDisable
	}
	return ""
}

func gained(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(one string) bool { return slices.Contains(before, one) })
}

// backed is a request that a person backs with a grant.
type backed interface {
	GetGrant() string
	GetRequestId() string
	GetJustification() string
}

// act notes an act, and spends the grant that it takes, before it is done. It does nothing for an empty kind. What
// takes an administrator away waits for nobody: where it can't be noted it is done all the same, and the log says so.
func (s *Service) act(ctx context.Context, v *vault, c who.Caller, o operation, kind, target string, r backed) error {
	if kind == "" {
		return nil
	}
	if kind != actTake && kind != actDisable && kind != actDelete {
		_, err := s.record(ctx, v, c, o, people.UserSubject+target, kind, r)
		return err
	}
	brief, cancel := context.WithTimeout(ctx, notedWithin)
	defer cancel()
	if _, err := s.record(brief, v, c, o, people.UserSubject+target, kind, r); err != nil {
		s.deps.Log.ErrorContext(ctx, "an administrator is taken away, and nobody is told: it can't be noted", "act", kind, "user", target, "by", c.Actor(), "error", err)
	}
	return nil
}

// record answers the EMERGENCY revision that the act stands at. The act is bound to the record of the
// subject as it is, and to all that is asked: a crash in between can be followed by the same request, but
// on a later state it needs a grant of its own.
func (s *Service) record(ctx context.Context, v *vault, c who.Caller, o operation, subject, kind string, r backed) (string, error) {
	if c.User == "" {
		return "", fault.New(fault.PermissionDenied, "This takes a grant, and so a person who has signed in").With("rule", "people")
	}
	id := r.GetRequestId()
	if id == "" {
		id = uuid.NewString()
	}
	last, err := v.identity.Last(ctx, subject) // of the journal itself: the roll may lag behind
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return "", refusal(fmt.Errorf("reading what an act changes: %w", err))
	}
	act := &emergencyv1.RecordActRequest{
		Kind: kind, Target: targetOf(subject), Grant: r.GetGrant(), RequestId: id, Justification: r.GetJustification(),
		At: last.Sequence, Operation: []byte(o.hash),
	}
	if h, ok := r.(handing); ok {
		act.Hands = h.hands
	}
	noted, err := s.deps.Acts.RecordAct(ctx, act)
	if err != nil {
		return "", fault.From(err)
	}
	return noted.GetRevision(), nil
}

// targetOf is the user or the token that a subject is of.
func targetOf(subject string) string {
	return strings.TrimPrefix(strings.TrimPrefix(subject, people.UserSubject), people.TokenSubject)
}

// ListRoles answers the built-in roles, and the custom ones by name.
func (s *Service) ListRoles(ctx context.Context, _ *identityv1.ListRolesRequest) (*identityv1.ListRolesResponse, error) {
	if _, err := s.must(ctx, who.Read, who.ManageUsers); err != nil {
		return nil, err
	}
	answer := &identityv1.ListRolesResponse{}
	for _, name := range []string{emergency.Administrator, who.Auditor} {
		answer.Roles = append(answer.Roles, &identityv1.Role{Name: name, Permissions: s.permissions([]string{name}), BuiltIn: true})
	}
	for _, name := range s.roll.Roles() {
		answer.Roles = append(answer.Roles, showRole(s.roll.Role(name)))
	}
	return answer, nil
}

func showRole(r *identityv1.Role) *identityv1.Role {
	return &identityv1.Role{Name: r.GetName(), Permissions: r.GetPermissions()}
}

// CreateRole makes a custom role. It never has the panel's permission, nor one that its maker does not hold.
func (s *Service) CreateRole(ctx context.Context, r *identityv1.CreateRoleRequest) (*identityv1.Role, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageUsers)
	if err != nil {
		return nil, err
	}
	role, err := s.newRole(c, r.GetRole())
	if err != nil {
		return nil, err
	}
	o, err := v.operation(c, r.GetRole().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, v, o, people.RoleSubject+role.GetName(), func() (proto.Message, error) {
		if s.roll.Role(role.GetName()) != nil {
			return nil, fault.New(fault.AlreadyExists, "There is a role %q already. Take another name", role.GetName()).With("field", "name")
		}
		return &identityv1.RoleRecord{Role: role, Operations: o.remember(nil)}, nil
	})
	return role, err
}

func (s *Service) newRole(c who.Caller, in *identityv1.Role) (*identityv1.Role, error) {
	if slices.ContainsFunc([]string{emergency.Administrator, who.Auditor}, func(name string) bool { return strings.EqualFold(name, in.GetName()) }) {
		return nil, fault.New(fault.AlreadyExists, "%s is built in and can't be changed. Take another name", in.GetName()).With("field", "name")
	}
	if err := account.Name("name", in.GetName()); err != nil {
		return nil, err
	}
	permissions, err := account.Permissions("permissions", in.GetPermissions())
	if err != nil {
		return nil, err
	}
	if len(permissions) == 0 {
		return nil, fault.New(fault.InvalidArgument, "permissions: name at least one").With("field", "permissions")
	}
	return &identityv1.Role{Name: in.GetName(), Permissions: permissions}, s.holdsAll(c, permissions, "permissions")
}

// DeleteRole removes a custom role that nobody has any more.
func (s *Service) DeleteRole(ctx context.Context, r *identityv1.DeleteRoleRequest) (*emptypb.Empty, error) {
	v, err := s.opened()
	if err != nil {
		return nil, err
	}
	c, err := s.must(ctx, who.ManageUsers)
	if err != nil {
		return nil, err
	}
	name := r.GetName()
	if name == emergency.Administrator || name == who.Auditor {
		return nil, fault.New(fault.PermissionDenied, "%s is built in and can't be deleted", name).With("rule", "builtIn").With("name", name)
	}
	if !account.ValidName(name) {
		return nil, noRole(name)
	}
	err = s.write(ctx, v, operation{}, people.RoleSubject+name, func() (proto.Message, error) {
		role := s.roll.Role(name)
		if role == nil {
			return nil, noRole(name)
		}
		if err := s.holdsAll(c, role.GetPermissions(), "role"); err != nil {
			return nil, err
		}
		return &identityv1.RoleRecord{Role: &identityv1.Role{Name: name}, Deleted: true}, s.unheld(name)
	})
	return &emptypb.Empty{}, err
}

func noRole(name string) error {
	return fault.New(fault.NotFound, "There is no role %q. GET /v1/roles lists them", shortened(name))
}

// unheld refuses to delete a role that somebody has: made anew under the same name, it would mean
// something else to them.
func (s *Service) unheld(role string) error {
	for _, name := range s.roll.Names() {
		if slices.Contains(s.roll.User(name).GetRoles(), role) {
			return &fault.Error{Code: codes.FailedPrecondition, Reason: "ROLE_IN_USE",
				Message: role + " is still held, by " + name + " for one. Take it from everybody first",
				Details: map[string]string{"name": name}}
		}
	}
	return nil
}
