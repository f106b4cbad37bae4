// Package prepare makes what services in processes of their own need before their first start: the
// accounts of the NATS servers, the streams on them, and the keys. The all-in-one does it by itself.
package prepare

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
)

// patience is how long the NATS servers may take to be there.
const patience = 30 * time.Second

// Commands answers `portcullis prepare …`.
func Commands(a *app.App) []*cobra.Command {
	return []*cobra.Command{app.Group("prepare", "make what services in processes of their own need", accounts(), streams(a), keys(a))}
}

func accounts() *cobra.Command {
	return &cobra.Command{Use: "nats", Short: "print the accounts for the NATS servers' configuration", Args: cobra.NoArgs,
		Long: "Prints the accounts of the NATS servers' configuration: include it beside jetstream { sync_interval: always }.\n" +
			"The servers find each user's password in their environment, for instance $" + run.NATSPassword("access-gate") + ",\n" +
			"which must begin with a letter.",
		RunE: func(command *cobra.Command, _ []string) error { return run.NATSAccounts(command.OutOrStdout()) }}
}

func streams(a *app.App) *cobra.Command {
	command := &cobra.Command{Use: "streams", Short: "make the streams on the NATS servers", Args: cobra.NoArgs,
		Long: "Makes the streams that are missing, as the user bootstrap. The environment says where, as it does to a service:\n" +
			"PORTCULLIS_NATS, PORTCULLIS_NATS_PASSWORD, PORTCULLIS_NATS_TLS, PORTCULLIS_TLS_CERT, PORTCULLIS_TLS_KEY, PORTCULLIS_TLS_CA."}
	replicas := command.Flags().Int("replicas", 1, "on how many servers each entry is kept: 1, 3 or 5")
	command.RunE = func(command *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(command.Context(), patience)
		defer cancel()
		if err := run.Bootstrap(ctx, os.Environ(), *replicas); err != nil {
			return fmt.Errorf("%w (its log says more)", err)
		}
		return a.Tell(new(emptypb.Empty), "The streams are there.")
	}
	return command
}

func keys(a *app.App) *cobra.Command {
	return &cobra.Command{Use: "keys FOLDER", Short: "make the keys, and a folder of them for each service", Args: cobra.ExactArgs(1),
		Long: "Makes a folder of keys for each service, with those that it is given and no others, and the folder \"all\", which no\n" +
			"service needs: keep it where you keep backups.",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := run.ShareKeys(args[0]); err != nil {
				return err
			}
			return a.Tell(new(emptypb.Empty), "The keys are in %s.", args[0])
		}}
}
