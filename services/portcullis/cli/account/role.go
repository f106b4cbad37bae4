package account

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) role() *cobra.Command {
	return app.Group("role", "sets of permissions", c.createRole(), c.listRoles(), c.showRole(), c.deleteRole())
}

func (c account) createRole() *cobra.Command {
	command := &cobra.Command{Use: "create NAME --permission …", Short: "create a role", Args: cobra.ExactArgs(1)}
	permissions := command.Flags().StringSlice("permission", nil, "permission; may be repeated")
	command.RunE = func(command *cobra.Command, args []string) error {
		answer := new(identityv1.Role)
		err := c.Post(command.Context(), "/v1/roles", &identityv1.Role{Name: args[0], Permissions: *permissions}, answer)
		if err != nil {
			return err
		}
		return c.Tell(answer, "Role %s created.", answer.GetName())
	}
	return command
}

// showRole looks in the list: roles are few, and the API has no call for one.
func (c account) showRole() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "show a role", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			all := new(identityv1.ListRolesResponse)
			if err := c.Get(command.Context(), "/v1/roles", all); err != nil {
				return err
			}
			i := slices.IndexFunc(all.GetRoles(), func(r *identityv1.Role) bool { return r.GetName() == args[0] })
			if i < 0 {
				return &api.Refusal{Code: fault.NotFound, Reason: fault.NotFound, Message: fmt.Sprintf("There is no role %q", args[0])}
			}
			role := all.GetRoles()[i]
			return c.Print(role, func() *screen.Table {
				t := app.Lines("role", role.GetName())
				for _, permission := range role.GetPermissions() {
					t.Pair("permission", permission)
				}
				return t
			})
		}}
}

func (c account) listRoles() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list roles", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			all := new(identityv1.ListRolesResponse)
			if err := c.Get(command.Context(), "/v1/roles", all); err != nil {
				return err
			}
			return c.Print(all, func() *screen.Table { return roleTable(all.GetRoles()) })
		}}
}

func roleTable(all []*identityv1.Role) *screen.Table {
	t := screen.NewTable("ROLE", "BUILT IN", "PERMISSIONS")
	for _, r := range all {
		builtIn := ""
		if r.GetBuiltIn() {
			builtIn = "yes"
		}
		t.Row(r.GetName(), builtIn, screen.List(r.GetPermissions()))
	}
	return t
}

func (c account) deleteRole() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "delete a role", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := c.Delete(command.Context(), app.Path("roles", args[0]), nil); err != nil {
				return err
			}
			return c.deleted("Role", args[0])
		}}
}
