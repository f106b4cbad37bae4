package account

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) token() *cobra.Command {
	return app.Group("token", "the credentials of programs",
		c.createToken(), c.listTokens(), c.showToken(), c.updateToken(), c.deleteToken(), c.rearmToken())
}

func (c account) createToken() *cobra.Command {
	command := &cobra.Command{Use: "create NAME", Short: "create a token; it is shown this once", Args: cobra.ExactArgs(1)}
	channel := command.Flags().String("channel", "api", "api, agent or enforcer")
	permissions := command.Flags().StringSlice("permission", nil, "permission; may be repeated (default: read all, change nothing)")
	act := c.CodeFlags(command, "token")
	command.RunE = func(command *cobra.Command, args []string) error {
		value, ok := identityv1.Token_Channel_value[strings.ToUpper(*channel)]
		if !ok || value == 0 {
			return app.Usagef("--channel is api, agent or enforcer, not %q", *channel)
		}
		answer := new(identityv1.Token)
		err := act.DoIfAsked(command.Context(), func(grant string) error {
			token := &identityv1.Token{Name: args[0], Channel: identityv1.Token_Channel(value), Permissions: *permissions, RequestId: &act.RequestID}
			if grant != "" {
				token.Grant = &grant
			}
			return c.PostOnce(command.Context(), "/v1/tokens", token, answer)
		})
		if err != nil {
			return err
		}
		return c.showNewToken(answer)
	}
	return command
}

// showNewToken prints the token alone on the output, so that a pipe takes it as it is.
func (c account) showNewToken(token *identityv1.Token) error {
	if !c.ForPeople() {
		return c.Print(token, nil)
	}
	if token.GetToken() == "" {
		c.Term.Note("Token %s was created, and its secret was lost on the way. Delete it and create another.", screen.Clean(token.GetId()))
		return nil
	}
	c.Term.Note("Token %s (%s) created. It is shown this once:", screen.Clean(token.GetName()), screen.Clean(token.GetId()))
	_, err := fmt.Fprintln(c.Term.Out, token.GetToken())
	return err
}

func (c account) listTokens() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list tokens", Args: cobra.NoArgs}
	listing := c.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(identityv1.ListTokensResponse)
		err := app.Collect(command.Context(), c.App, listing, "/v1/tokens", all,
			func(page *identityv1.ListTokensResponse) int { return len(page.GetTokens()) })
		if err != nil {
			return err
		}
		return c.Print(all, func() *screen.Table { return c.tokenTable(all.GetTokens()) })
	}
	return command
}

func (c account) tokenTable(all []*identityv1.Token) *screen.Table {
	t := screen.NewTable("ID", "NAME", "CHANNEL", "PERMISSIONS", "BY", "CREATED", "STATE")
	for _, token := range all {
		t.Row(token.GetId(), token.GetName(), token.GetChannel().String(), screen.List(token.GetPermissions()), token.GetCreatedBy(),
			screen.Stamp(token.GetCreateTime(), c.Zone), tokenState(token))
	}
	return t
}

func (c account) showToken() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "show a token, without its secret", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			token := new(identityv1.Token)
			if err := c.Get(command.Context(), app.Path("tokens", args[0]), token); err != nil {
				return err
			}
			return c.Print(token, func() *screen.Table { return c.tokenDetails(token) })
		}}
}

func (c account) tokenDetails(token *identityv1.Token) *screen.Table {
	return app.Lines("id", token.GetId(), "name", token.GetName(), "channel", token.GetChannel().String(),
		"permissions", screen.List(token.GetPermissions()), "by", token.GetCreatedBy(), "created", screen.Stamp(token.GetCreateTime(), c.Zone),
		"armed at", token.GetArmedRevision(), "state", tokenState(token))
}

// tokenState says of a token that a lockdown has shut which one did.
func tokenState(token *identityv1.Token) string {
	if by := token.GetRevokedBy(); by != "" {
		return strings.TrimSpace(state(token.GetDisabled()) + " REVOKED by " + by)
	}
	return state(token.GetDisabled())
}

func (c account) updateToken() *cobra.Command {
	command := &cobra.Command{Use: "update ID", Short: "rename, disable or enable a token", Args: cobra.ExactArgs(1)}
	name := command.Flags().String("name", "", "new name")
	disable := command.Flags().Bool("disable", false, "disable")
	enable := command.Flags().Bool("enable", false, "enable")
	command.MarkFlagsMutuallyExclusive("disable", "enable")
	command.RunE = func(command *cobra.Command, args []string) error {
		fields := api.Fields{}
		if *name != "" {
			fields["name"] = *name
		}
		if *disable || *enable {
			fields["disabled"] = *disable
		}
		if len(fields) == 0 {
			return app.Usagef("nothing to change: name a field")
		}
		answer := new(identityv1.Token)
		if err := c.Patch(command.Context(), app.Path("tokens", args[0]), fields, answer); err != nil {
			return err
		}
		return c.Tell(answer, "Token %s changed.", args[0])
	}
	return command
}

func (c account) deleteToken() *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "delete a token: it works no more", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := c.Delete(command.Context(), app.Path("tokens", args[0]), nil); err != nil {
				return err
			}
			return c.deleted("Token", args[0])
		}}
}

func (c account) rearmToken() *cobra.Command {
	command := &cobra.Command{Use: "rearm ID", Short: "let a token work again that a lockdown has revoked", Args: cobra.ExactArgs(1)}
	act := c.CodeFlags(command, "token")
	command.RunE = func(command *cobra.Command, args []string) error {
		answer := new(identityv1.Token)
		err := act.DoIfAsked(command.Context(), func(grant string) error {
			return c.PostOnce(command.Context(), app.Path("tokens", args[0], ":rearm"),
				&identityv1.RearmTokenRequest{Grant: grant, Justification: act.Justification, RequestId: act.RequestID}, answer)
		})
		if err != nil {
			return err
		}
		return c.Tell(answer, "Token %s works again.", args[0])
	}
	return command
}
