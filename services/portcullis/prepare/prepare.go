// Package prepare makes what services in processes of their own need before their first start: the
// accounts of the NATS servers, the streams on them, and the keys. The all-in-one does it by itself.
package prepare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
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
	return []*cobra.Command{app.Group("prepare", "make what services in processes of their own need", accounts(), streams(a), keys(a), rotate(a), certs(a), inSecrets(a))}
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

func certs(a *app.App) *cobra.Command {
	command := &cobra.Command{Use: "certificates FOLDER", Short: "make a CA, and a certificate for each service", Args: cobra.ExactArgs(1),
		Long: "Makes a folder for each service with " + certFile + ", " + keyFile + " and " + caFile + ", and the folder \"" + authorityName + "\" of the CA, which no\n" +
			"service needs. Run it again to make anew those that have less than a third of their year left: a service reads\n" +
			"its files at each handshake."}
	dns := command.Flags().StringArray("dns", nil, "a host name of a server that is not ours: nats=nats-1.example.com (repeatable)")
	command.RunE = func(command *cobra.Command, args []string) error {
		hosts, err := hostNames(*dns)
		if err != nil {
			return err
		}
		all := certificates{shelf: folders(args[0]), set: func(name string) string { return name }, dns: hosts, now: time.Now()}
		if err := all.make(command.Context()); err != nil {
			return err
		}
		return a.Tell(new(emptypb.Empty), "The certificates are in %s.", args[0])
	}
	return command
}

func inSecrets(a *app.App) *cobra.Command {
	command := &cobra.Command{Use: "secrets KIND…", Short: "make certificates, keys and passwords as Kubernetes Secrets, from a Pod", Args: cobra.MinimumNArgs(1),
		Long: "Makes what is missing of certificates, keys, nats, redis, admin and bastion, as Secrets of the Pod's namespace. What is\n" +
			"there stays, save for certificates with less than a third of their year left. The Helm chart's Job runs it."}
	prefix := command.Flags().String("prefix", "portcullis-", "what the Secrets' names begin with")
	labels := command.Flags().StringToString("label", nil, "labels of the Secrets: name=value")
	dns := command.Flags().StringArray("dns", nil, "a host name of a server that is not ours: nats=*.nats.example.svc (repeatable)")
	command.RunE = func(command *cobra.Command, args []string) error {
		hosts, err := hostNames(*dns)
		if err != nil {
			return err
		}
		s, err := inCluster(account, server, *prefix, *labels)
		if err != nil {
			return err
		}
		if err := fillAll(command.Context(), kinds(s, hosts), args); err != nil {
			return err
		}
		return a.Tell(new(emptypb.Empty), "The Secrets are there.")
	}
	return command
}

// fillAll makes each kind that is asked for; one that fails does not keep the others from being made.
func fillAll(ctx context.Context, of map[string]func(context.Context) error, names []string) error {
	var wrong []error
	for _, name := range names {
		make := of[name]
		if make == nil {
			return app.Usagef("there is no kind %q: it is one of %s", name, strings.Join(slices.Sorted(maps.Keys(of)), ", "))
		}
		wrong = append(wrong, make(ctx))
	}
	return errors.Join(wrong...)
}

// hostNames reads server=name, each of them once or more.
func hostNames(said []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, one := range said {
		server, host, ok := strings.Cut(one, "=")
		if !ok || server == "" || host == "" {
			return nil, app.Usagef("--dns %q is not of the form nats=host.example.com", one)
		}
		all[server] = append(all[server], host)
	}
	return all, nil
}
func rotate(a *app.App) *cobra.Command {
	command := &cobra.Command{Use: "rotate FOLDER", Short: "rotate the keys, in two steps", Args: cobra.ExactArgs(1),
		Long: "Rotates the keys in a folder that `prepare keys` made. Without --use it adds a key of each kind, which opens and verifies\n" +
			"only: give everybody their folder and restart them. Then --use has the new keys seal and sign: give everybody their\n" +
			"folder again and restart them. The keys before stay there, for what they sealed and signed; see docs/keys.md."}
	use := command.Flags().Bool("use", false, "the second step, once everybody has the first one's keys")
	command.RunE = func(_ *cobra.Command, args []string) error {
		if *use {
			if err := run.UseKeys(args[0]); err != nil {
				return err
			}
			return a.Tell(new(emptypb.Empty), "The new keys in %s seal and sign. Give each service its folder, and restart it.", args[0])
		}
		if err := run.AddKeys(args[0]); err != nil {
			return err
		}
		return a.Tell(new(emptypb.Empty), "A key of each kind was added in %s. Give each service its folder, restart it, and then rotate with --use.", args[0])
	}
	return command
}
