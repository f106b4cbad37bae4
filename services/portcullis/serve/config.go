package serve

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
)

func (s server) config() *cobra.Command {
	check := &cobra.Command{Use: "check FILE", Short: "say what is wrong with a configuration file of serve", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := run.Check(args[0], entries(nil)); err != nil {
				return fmt.Errorf("%s is not right: %w", args[0], err)
			}
			return s.Tell(new(emptypb.Empty), "%s is right.", args[0])
		}}
	return app.Group("config", "the configuration of serve", check)
}
