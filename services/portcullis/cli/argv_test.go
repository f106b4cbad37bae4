package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// Arguments can be read by every process of the machine, and stay in the shell's history.
func TestNoFlagTakesASecret(t *testing.T) {
	public := []string{"code", "ssh-key", "host-key", "break-glass-token", "key"} // a code works once; the rest is no secret
	root := newRoot(app.New(screen.NewTerminal(os.Stdin, os.Stdout, os.Stderr, nil)), nil)
	walk(root, func(command *cobra.Command) {
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Value.Type() == "bool" || strings.HasSuffix(flag.Name, "-file") {
				return
			}
			for _, word := range []string{"password", "secret", "token", "key", "credential", "grant", "code"} {
				if strings.Contains(flag.Name, word) && !contains(public, flag.Name) {
					t.Errorf("%s --%s takes a secret", command.CommandPath(), flag.Name)
				}
			}
		})
	})
}

func TestEveryCommandSaysWhatItDoesAndRunsOrHoldsOthers(t *testing.T) {
	root := newRoot(app.New(screen.NewTerminal(os.Stdin, os.Stdout, os.Stderr, nil)), nil)
	walk(root, func(command *cobra.Command) {
		if command.Short == "" || command.RunE == nil || command.Args == nil {
			t.Errorf("%s: short %q, runs %v, checks its arguments %v", command.CommandPath(), command.Short, command.RunE != nil, command.Args != nil)
		}
	})
}

func walk(command *cobra.Command, each func(*cobra.Command)) {
	each(command)
	for _, child := range command.Commands() {
		walk(child, each)
	}
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}
