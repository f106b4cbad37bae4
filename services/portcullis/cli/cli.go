// Package cli is the command line of Portcullis: its client commands, which speak REST to a server, and
// the frame into which others hang theirs.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/services/portcullis/cli/account"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/cluster"
	"portcullis.dev/services/portcullis/cli/doors"
	"portcullis.dev/services/portcullis/cli/drill"
	"portcullis.dev/services/portcullis/cli/inventory"
	"portcullis.dev/services/portcullis/cli/notice"
	"portcullis.dev/services/portcullis/cli/panel"
	"portcullis.dev/services/portcullis/cli/record"
	"portcullis.dev/services/portcullis/cli/screen"
)

// Extra makes commands that belong to the program beside the client's.
type Extra func(*app.App) []*cobra.Command

// Main runs the command line of this process and answers its exit code.
func Main(extra ...Extra) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the process at once
	term := screen.NewTerminal(os.Stdin, os.Stdout, os.Stderr, os.Environ())
	term.Interrupted = ctx.Done()
	a := app.New(term)
	root := newRoot(a, extra)
	command, err := root.ExecuteContextC(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return interrupted
	}
	return a.Exit(command, err)
}

const interrupted = 130 // as shells have it

func newRoot(a *app.App, extra []Extra) *cobra.Command {
	root := &cobra.Command{
		Use: "portcullis", Short: "The emergency brake of privileged access",
		Long: "The emergency brake of privileged access: end sessions, freeze groups of devices, lock the platform down.\n\n" +
			"Exit codes: 0 done, 2 usage, 3 refused, 4 unreachable, 1 anything else.",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.Prepare() },
		RunE:              func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	a.Flags(root)
	root.AddCommand(panel.Commands(a)...)
	root.AddCommand(doors.Commands(a)...)
	root.AddCommand(drill.Commands(a)...)
	root.AddCommand(account.Commands(a)...)
	root.AddCommand(inventory.Commands(a)...)
	root.AddCommand(cluster.Commands(a)...)
	root.AddCommand(notice.Commands(a)...)
	root.AddCommand(record.Commands(a)...)
	root.AddCommand(version(a))
	for _, more := range extra {
		root.AddCommand(more(a)...)
	}
	a.Watch(root)
	root.SetOut(a.Term.Out)
	root.SetErr(a.Term.Err)
	return root
}

func version(a *app.App) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			about, err := structpb.NewStruct(map[string]any{"version": app.Version(), "go": runtime.Version()})
			if err != nil {
				return fmt.Errorf("describing the version: %w", err)
			}
			return a.Tell(about, "portcullis %s (%s)", app.Version(), runtime.Version())
		}}
}
