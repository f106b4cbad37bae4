package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

const (
	addressFile = "address"
	tokenFile   = "api-token"
	comingFor   = 20 * time.Second
	lookEvery   = 100 * time.Millisecond
)

func (d *Demo) token() string { return d.line(tokenFile) }

func (d *Demo) line(name string) string {
	text, err := os.ReadFile(d.path(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// env signs in and prints what a shell needs to act in the demo: where it is, and who makes the codes.
func env(a *app.App) *cobra.Command {
	return &cobra.Command{Use: "env", Short: `sign in, and print the environment for a shell: eval "$(portcullis demo env)"`, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			d, err := existing(command)
			if err != nil {
				return err
			}
			token, err := d.awaitToken(command.Context())
			if err != nil {
				return err
			}
			client, err := a.ClientAt(d.line(addressFile))
			if err != nil {
				return err
			}
			if err := d.signIn(command.Context(), a, client); err != nil {
				return err
			}
			return d.printEnv(a, client.Address(), token)
		}}
}

// awaitToken waits for a demo that is being set up.
func (d *Demo) awaitToken(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, comingFor)
	defer cancel()
	for {
		if token := d.token(); token != "" {
			return token, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the demo in %s is not set up; is it running?", filepath.Dir(d.folder))
		case <-time.After(lookEvery):
		}
	}
}

func (d *Demo) signIn(ctx context.Context, a *app.App, client *api.Client) error {
	code, err := d.Code(ctx, waiting(a))
	if err != nil {
		return err
	}
	admin := d.Administrator()
	_, err = client.SignIn(ctx, &identityv1.CreateSignInRequest{Username: admin.User, Password: admin.Password, Code: code})
	return err
}

func (d *Demo) printEnv(a *app.App, address, token string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	data, err := filepath.Abs(filepath.Dir(d.folder))
	if err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	for _, v := range [][2]string{
		{app.AddressVariable, address}, {app.CodeVariable, quoted(program) + " demo code --data " + quoted(data)}, {"DEMO_API_TOKEN", token},
	} {
		if _, err := fmt.Fprintf(a.Term.Out, "export %s=%s\n", v[0], quoted(v[1])); err != nil {
			return err
		}
	}
	return nil
}

// quoted is a text as a shell takes it for one word.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
