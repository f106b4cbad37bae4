package account

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) user() *cobra.Command {
	return app.Group("user", "people, their keys and their MFA",
		c.createUser(), c.listUsers(), c.showUser(), c.updateUser(), c.deleteUser(), c.enrollMFA(), c.activateMFA(), c.resetMFA())
}

// userFlags are the fields of a user as flags.
type userFlags struct {
	display, email, mobile, language, passwordFile string
	issuer, subject                                string
	roles, keys, keyFiles                          []string
	askPassword                                    bool
}

func (f *userFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.display, "display-name", "", "the person's name")
	flags.StringVar(&f.email, "email", "", "e-mail address")
	flags.StringVar(&f.mobile, "mobile", "", "mobile number, +49…")
	flags.StringVar(&f.language, "language", "", "en or pt-BR")
	flags.StringSliceVar(&f.roles, "role", nil, "role; may be repeated")
	flags.StringArrayVar(&f.keys, "ssh-key", nil, "public SSH key, one authorized_keys line; may be repeated")
	flags.StringArrayVar(&f.keyFiles, "ssh-key-file", nil, "file with public SSH keys; may be repeated")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password; - is the standard input")
	flags.BoolVar(&f.askPassword, "password", false, "ask for a password")
	flags.StringVar(&f.issuer, "oidc-issuer", "", "the OpenID provider where this person signs in, instead of with a password")
	flags.StringVar(&f.subject, "oidc-subject", "", "and whom it knows them as")
	command.MarkFlagsRequiredTogether("oidc-issuer", "oidc-subject")
}

// fields answers what the flags that were given say, as a PATCH has it.
func (f *userFlags) fields(c account, command *cobra.Command) (api.Fields, error) {
	fields := api.Fields{}
	for flag, field := range map[string]struct {
		name  string
		value any
	}{
		"display-name": {"displayName", f.display}, "email": {"email", f.email}, "mobile": {"mobile", f.mobile},
		"language": {"language", f.language}, "role": {"roles", f.roles},
	} {
		if command.Flags().Changed(flag) {
			fields[field.name] = field.value
		}
	}
	if command.Flags().Changed("ssh-key") || command.Flags().Changed("ssh-key-file") {
		keys, err := f.sshKeys(c)
		if err != nil {
			return nil, err
		}
		fields["sshPublicKeys"] = keys
	}
	if f.issuer != "" {
		fields["provider"] = api.Fields{"issuer": f.issuer, "subject": f.subject}
	}
	if f.passwordFile != "" || f.askPassword {
		password, err := c.password(f.passwordFile, "New password")
		if err != nil {
			return nil, err
		}
		fields["password"] = password
	}
	return fields, nil
}

func (f *userFlags) sshKeys(c account) ([]string, error) {
	keys := append([]string{}, f.keys...)
	for _, file := range f.keyFiles {
		text, err := c.Term.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the keys: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				keys = append(keys, line)
			}
		}
	}
	return keys, nil
}

func (c account) createUser() *cobra.Command {
	command := &cobra.Command{Use: "create NAME", Short: "create a user", Args: cobra.ExactArgs(1)}
	given := new(userFlags)
	given.add(command)
	act := c.CodeFlags(command, "user")
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.fields(c, command)
		if err != nil {
			return err
		}
		fields["name"] = args[0]
		answer := new(identityv1.User)
		err = act.DoIfAsked(command.Context(), func(grant string) error {
			return c.PostOnce(command.Context(), "/v1/users", guarded(fields, act, grant), answer)
		})
		if err != nil {
			return err
		}
		return c.Tell(answer, "User %s created.", answer.GetName())
	}
	return command
}

// guarded adds what an act that may take a grant carries.
func guarded(fields api.Fields, act *app.Act, grant string) api.Fields {
	fields["requestId"] = act.RequestID
	if act.Justification != "" {
		fields["justification"] = act.Justification
	}
	if grant != "" {
		fields["grant"] = grant
	}
	return fields
}

func (c account) listUsers() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list users", Args: cobra.NoArgs}
	listing := c.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(identityv1.ListUsersResponse)
		err := app.Collect(command.Context(), c.App, listing, "/v1/users", all,
			func(page *identityv1.ListUsersResponse) int { return len(page.GetUsers()) })
		if err != nil {
			return err
		}
		return c.Print(all, func() *screen.Table { return userTable(all.GetUsers()) })
	}
	return command
}

func userTable(all []*identityv1.User) *screen.Table {
	t := screen.NewTable("USER", "NAME", "ROLES", "MFA", "E-MAIL", "STATE")
	for _, u := range all {
		t.Row(u.GetName(), u.GetDisplayName(), screen.List(u.GetRoles()), u.GetMfa().String(), u.GetEmail(), state(u.GetDisabled()))
	}
	return t
}

func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return ""
}

func (c account) showUser() *cobra.Command {
	return &cobra.Command{Use: "show [NAME]", Short: "show a user; yourself without a name", Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			u := new(identityv1.User)
			if err := c.Get(command.Context(), app.Path("users", oneOr(args, "me")), u); err != nil {
				return err
			}
			return c.Print(u, func() *screen.Table { return c.userDetails(u) })
		}}
}

func oneOr(args []string, otherwise string) string {
	if len(args) == 0 {
		return otherwise
	}
	return args[0]
}

func (c account) userDetails(u *identityv1.User) *screen.Table {
	t := app.Lines("user", u.GetName(), "name", u.GetDisplayName(), "e-mail", u.GetEmail(), "mobile", u.GetMobile(),
		"language", u.GetLanguage(), "roles", screen.List(u.GetRoles()), "permissions", screen.List(u.GetPermissions()),
		"mfa", u.GetMfa().String(), "mfa since", screen.Stamp(u.GetMfaTime(), c.Zone), "created", screen.Stamp(u.GetCreateTime(), c.Zone),
		"state", state(u.GetDisabled()))
	if p := u.GetProvider(); p != nil {
		t.Pair("comes from", p.GetIssuer())
		t.Pair("known there as", p.GetSubject())
		t.Pair("roles by groups there", screen.List(p.GetRoles()))
	}
	if u.RecoveryCodesLeft != nil {
		t.Pair("recovery codes left", fmt.Sprint(u.GetRecoveryCodesLeft()))
	}
	for _, key := range u.GetSshPublicKeys() {
		t.Pair("ssh key", key)
	}
	return t
}

func (c account) updateUser() *cobra.Command {
	command := &cobra.Command{Use: "update NAME", Short: "change a user: only what a flag names changes", Args: cobra.ExactArgs(1)}
	given := new(userFlags)
	given.add(command)
	disable := command.Flags().Bool("disable", false, "disable: sign-ins and sessions end")
	enable := command.Flags().Bool("enable", false, "enable")
	local := command.Flags().Bool("local", false, "no longer from the OpenID provider: a password can be set")
	current := command.Flags().String("current-password-file", "", "your own password so far, to change your own; - is the standard input")
	act := c.CodeFlags(command, "user")
	command.MarkFlagsMutuallyExclusive("disable", "enable")
	command.MarkFlagsMutuallyExclusive("local", "oidc-issuer")
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.fields(c, command)
		if err != nil {
			return err
		}
		if *disable || *enable {
			fields["disabled"] = *disable
		}
		if *local {
			fields["provider"] = nil
		}
		if err := c.addCurrentPassword(fields, *current, args[0]); err != nil {
			return err
		}
		if len(fields) == 0 {
			return app.Usagef("nothing to change: name a field")
		}
		answer := new(identityv1.User)
		err = act.DoIfAsked(command.Context(), func(grant string) error {
			return c.Patch(command.Context(), app.Path("users", args[0]), guarded(fields, act, grant), answer)
		})
		if err != nil {
			return err
		}
		return c.Tell(answer, "User %s changed.", answer.GetName())
	}
	return command
}

// addCurrentPassword proves who changes their own password.
func (c account) addCurrentPassword(fields api.Fields, file, name string) error {
	_, changes := fields["password"]
	if !changes || (file == "" && name != "me" && name != c.Client().User()) {
		return nil
	}
	if file == "" && !c.Term.Asking {
		return app.Usagef("--current-password-file missing: changing your own password takes the one so far")
	}
	password, err := c.password(file, "Password so far")
	fields["currentPassword"] = password
	return err
}

func (c account) deleteUser() *cobra.Command {
	command := &cobra.Command{Use: "delete NAME", Short: "delete a user: sign-ins and sessions end", Args: cobra.ExactArgs(1)}
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := c.Delete(command.Context(), app.Path("users", args[0]), url.Values{}); err != nil {
			return err
		}
		return c.deleted("User", args[0])
	}
	return command
}

// deleted says so; a program gets an empty object.
func (c account) deleted(what, name string) error {
	return c.Tell(proto.Message(new(identityv1.DeleteSignInRequest)), "%s %s deleted.", what, name)
}
