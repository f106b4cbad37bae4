package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"portcullis.dev/services/emergency-control/control"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/demo"
)

func (s server) recover() *cobra.Command {
	command := &cobra.Command{Use: "recover [ADMINISTRATOR]", Short: "get an administrator in again: new password, new MFA; on the host, while the server is stopped", Args: cobra.MaximumNArgs(1),
		Long: "Gives an administrator a new password and a new MFA secret, enables the user and ends the user's sign-ins. It takes the data\n" +
			"folder, and the server stopped. The audit log notes it, before it is done."}
	why := command.Flags().StringP("justification", "j", "recovered on the host", "why; it goes on the record")
	run.Flags(command.Flags(), host())
	command.PreRunE = func(command *cobra.Command, _ []string) error { return quiet(command) }
	command.RunE = func(command *cobra.Command, args []string) error {
		settings, err := run.Load(command.Flags(), os.Environ(), host())
		if err != nil {
			return app.Usagef("%v", err)
		}
		where, err := whereIs(settings)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(where.Data, "nats")); errors.Is(err, fs.ErrNotExist) {
			return app.Usagef("%s is not the data folder of a server; name it with --data", where.Data)
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		made, err := recovered(command.Context(), settings, name, *why)
		if err != nil {
			return err
		}
		if d, err := demo.Existing(where.Data); err == nil && d.Administrator().User == made.User {
			if err := d.Keep(asAdministrator(made)); err != nil {
				return err
			}
		}
		return board{App: s.App, whereabouts: where}.show("Recovered. This is shown once: keep it.", made)
	}
	return command
}

// quiet logs what goes wrong only, unless more was asked for.
func quiet(command *cobra.Command) error {
	const name = "log-level"
	if command.Flags().Changed(name) || os.Getenv("PORTCULLIS_LOG_LEVEL") != "" {
		return nil
	}
	return command.Flags().Set(name, "warn")
}

// host are the services whose part of the data a recovery touches.
func host() []run.Entry {
	return []run.Entry{control.Entry(), identity.EntryWith(nil)}
}

var errNamed = errors.New("named")

// recovered finds out who is meant, has control note it, and only then does it: each with that service's
// own rights and keys.
func recovered(ctx context.Context, settings *run.Settings, name, why string) (made identity.Bootstrap, err error) {
	noteTo := func(act func(context.Context, string, string) error) func(context.Context, *run.Host) error {
		return func(ctx context.Context, h *run.Host) error {
			box, err := h.Keys.AEAD()
			if err != nil {
				return err
			}
			made, err = identity.Recover(ctx, identity.Recovery{Journal: h.Journal, Box: box, Texts: h.Texts, Now: time.Now, Act: act}, name)
			return err
		}
	}
	entries := host()
	var note control.HostAct
	err = run.Alone(ctx, entries[1], settings, noteTo(func(_ context.Context, kind, target string) error {
		name, note = target, control.HostAct{Kind: kind, Target: target, Actor: "host:" + operator(), Justification: why}
		return errNamed
	}))
	if !errors.Is(err, errNamed) {
		return made, err
	}
	err = run.Alone(ctx, entries[0], settings, func(ctx context.Context, h *run.Host) error { return control.Note(ctx, h, note) })
	if err != nil {
		return made, fmt.Errorf("noting the recovery: %w", err)
	}
	err = run.Alone(ctx, entries[1], settings, noteTo(func(context.Context, string, string) error { return nil }))
	return made, err
}

// operator is who runs this, as the host knows them.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprint(os.Getuid())
	}
	return u.Username
}

func asAdministrator(made identity.Bootstrap) demo.Administrator {
	return demo.Administrator{User: made.User, Password: made.Password, Secret: made.Secret, URI: made.URI}
}
