package identity

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/account"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/who"
)

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
