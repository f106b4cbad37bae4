package demo

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// Commands answers what makes a running demo easy to try.
func Commands(a *app.App) []*cobra.Command {
	folder := DefaultFolder
	if named := os.Getenv("PORTCULLIS_DATA"); named != "" {
		folder = named
	}
	group := app.Group("demo", "sign in to a running demo, and make its MFA codes", login(a), code(a), env(a))
	group.PersistentFlags().String("data", folder, "data folder of the demo; PORTCULLIS_DATA")
	return []*cobra.Command{group}
}

func existing(command *cobra.Command) (*Demo, error) {
	folder, err := command.Flags().GetString("data")
	if err != nil {
		return nil, err
	}
	return Existing(folder)
}

func login(a *app.App) *cobra.Command {
	return &cobra.Command{Use: "login", Short: "sign in as the demo's administrator", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := existing(command)
			if err != nil {
				return err
			}
			if err := d.signIn(command.Context(), a, a.Client()); err != nil {
				return err
			}
			user := d.Administrator().User
			return a.Tell(&identityv1.SignIn{User: &identityv1.User{Name: user}}, "Signed in at %s as %s.", a.Client().Address(), user)
		}}
}

func code(a *app.App) *cobra.Command {
	return &cobra.Command{Use: "code", Short: "print a fresh MFA code of the demo's administrator, as an app would", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := existing(command)
			if err != nil {
				return err
			}
			code, err := d.Code(command.Context(), waiting(a))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Term.Out, code)
			return err
		}}
}

func waiting(a *app.App) func(time.Duration) {
	return func(d time.Duration) {
		a.Term.Note("The codes of the moment are used. The next one comes in %s.", screen.Span(d))
	}
}
