package account

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) enrollMFA() *cobra.Command {
	command := &cobra.Command{Use: "enroll-mfa", Short: "enrol your MFA app: shows a QR code, then takes its first code", Args: cobra.NoArgs}
	code := command.Flags().String("code", "", "to replace a working factor: a code of it, or a recovery code")
	command.RunE = func(command *cobra.Command, _ []string) error {
		answer, err := c.enroll(command.Context(), *code)
		if err != nil {
			return err
		}
		if !c.ForPeople() {
			return c.Print(answer, nil)
		}
		if err := c.showFactor(answer.GetUri()); err != nil {
			return err
		}
		return c.activateAtOnce(command.Context())
	}
	return command
}

// enroll asks for a code of the factor so far only once the server wants one.
func (c account) enroll(ctx context.Context, code string) (*identityv1.EnrollMfaResponse, error) {
	answer := new(identityv1.EnrollMfaResponse)
	send := func() error {
		return c.Post(ctx, app.Path("users", "me", "/mfa:enroll"), &identityv1.EnrollMfaRequest{Code: code}, answer)
	}
	err := send()
	if code != "" || !api.IsRefusal(err, fault.GrantRequired) || !c.Term.Asking {
		return answer, err
	}
	if code, err = c.Term.Ask("You have a working MFA. A code of it, or a recovery code"); err != nil {
		return nil, err
	}
	return answer, send()
}

func (c account) showFactor(uri string) error {
	if err := screen.QR(c.Term.Out, uri); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Term.Out, "%s\n", screen.Clean(uri))
	return err
}

// activateAtOnce goes on to the first code while somebody is there to type it.
func (c account) activateAtOnce(ctx context.Context) error {
	if !c.Term.Asking {
		c.Term.Note("It counts after its first code: portcullis user activate-mfa --code CODE")
		return nil
	}
	code, err := c.Term.Ask("First code from your MFA app")
	if err != nil {
		return err
	}
	return c.activate(ctx, code)
}

func (c account) activate(ctx context.Context, code string) error {
	answer := new(identityv1.ActivateMfaResponse)
	if err := c.Post(ctx, app.Path("users", "me", "/mfa:activate"), &identityv1.ActivateMfaRequest{Code: code}, answer); err != nil {
		return err
	}
	return c.Print(answer, func() *screen.Table {
		t := app.Lines("mfa", "active", "opens the panel from", screen.Until(answer.GetUsableTime(), c.Zone))
		for _, code := range answer.GetRecoveryCodes() {
			t.Pair("recovery code", code)
		}
		t.Pair("", "Keep the recovery codes where your phone is not. Each signs you in once; they are not shown again.")
		return t
	})
}

func (c account) activateMFA() *cobra.Command {
	command := &cobra.Command{Use: "activate-mfa", Short: "take the first code of the MFA app that you enrolled", Args: cobra.NoArgs}
	code := command.Flags().String("code", "", "the first code")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *code == "" {
			answer, err := c.ask("--code", "First code from your MFA app")
			if err != nil {
				return err
			}
			*code = answer
		}
		return c.activate(command.Context(), *code)
	}
	return command
}

func (c account) resetMFA() *cobra.Command {
	command := &cobra.Command{Use: "reset-mfa NAME", Short: "remove somebody's factor; their sign-ins end", Args: cobra.ExactArgs(1)}
	act := c.CodeFlags(command, "user")
	command.RunE = func(command *cobra.Command, args []string) error {
		answer := new(identityv1.User)
		err := act.DoIfAsked(command.Context(), func(grant string) error {
			return c.Client().Do(command.Context(), api.Request{Method: http.MethodPost, Path: app.Path("users", args[0], "/mfa:reset"), Out: answer, Once: true,
				Body: &identityv1.ResetMfaRequest{Grant: grant, Justification: act.Justification, RequestId: act.RequestID}})
		})
		if err != nil {
			return err
		}
		return c.Tell(answer, "The factor of %s is gone. They enrol a new one with `portcullis user enroll-mfa`.", args[0])
	}
	return command
}
