// Package inventory is what can be reached and who is on it: devices, access groups, the import of all
// of them, live sessions and their connectors.
package inventory

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/services/portcullis/cli/app"
)

type inventory struct{ *app.App }

// Commands answers the commands about devices and sessions.
func Commands(a *app.App) []*cobra.Command {
	i := inventory{a}
	return []*cobra.Command{i.device(), i.group(), i.importFile(), i.check(), i.session(), i.connector()}
}

// deleted says so; a program gets an empty object.
func (i inventory) deleted(what, name string) error {
	return i.Tell(new(emptypb.Empty), "%s %s deleted.", what, name)
}

func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return ""
}
