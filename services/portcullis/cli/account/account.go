// Package account is about people and programs on the command line: sign-in, users, factors, tokens,
// roles, and the policy that the administrators agreed on.
package account

import (
	"github.com/spf13/cobra"

	"portcullis.dev/services/portcullis/cli/app"
)

type account struct{ *app.App }

// Commands answers the commands about people and programs.
func Commands(a *app.App) []*cobra.Command {
	c := account{a}
	return []*cobra.Command{c.login(), c.logout(), c.user(), c.token(), c.role(), c.policy()}
}
