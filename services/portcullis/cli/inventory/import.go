package inventory

import (
	"fmt"

	"github.com/spf13/cobra"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

func (i inventory) importFile() *cobra.Command {
	command := &cobra.Command{Use: "import FILE", Short: "import users, devices and access groups, all or nothing; - is the standard input", Args: cobra.ExactArgs(1),
		Long: "The file is JSON or YAML with users, devices, accessGroups and credentials, each a list of what the API takes."}
	act := i.ActFlags(command, "access-group")
	command.RunE = func(command *cobra.Command, args []string) error {
		document, err := i.Term.ReadFile(args[0])
		if err != nil {
			return fmt.Errorf("reading what to import: %w", err)
		}
		answer := new(gatev1.ImportResponse)
		err = act.DoIfOpening(command.Context(), func(grant string) error {
			return i.PostOnce(command.Context(), "/v1/directory:import",
				&gatev1.ImportRequest{Document: string(document), RequestId: act.RequestID, Grant: grant, Justification: act.Justification, GovernanceCode: act.Ticket}, answer)
		})
		if err != nil {
			return err
		}
		return i.Tell(answer, "Imported %d users, %d devices, %d access groups.", answer.GetUsers(), answer.GetDevices(), answer.GetAccessGroups())
	}
	return command
}
