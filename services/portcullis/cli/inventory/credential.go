package inventory

import (
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// setCredential takes secrets from files and questions only: arguments can be read by every process.
func (i inventory) setCredential() *cobra.Command {
	command := &cobra.Command{Use: "set-credential NAME --username USER", Short: "set what the bastion signs in with; it can't be read again", Args: cobra.ExactArgs(1)}
	request := new(gatev1.SetCredentialRequest)
	command.Flags().StringVarP(&request.Username, "username", "u", "", "user on the device")
	passwordFile := command.Flags().String("password-file", "", "file with the password; - is the standard input")
	keyFile := command.Flags().String("key-file", "", "file with the private key in PEM; - is the standard input")
	command.MarkFlagsMutuallyExclusive("password-file", "key-file")
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := i.askUsername(request); err != nil {
			return err
		}
		if err := i.readCredential(request, *passwordFile, *keyFile); err != nil {
			return err
		}
		answer := new(emptypb.Empty)
		if err := i.Post(command.Context(), app.Path("devices", args[0], ":setCredential"), request, answer); err != nil {
			return err
		}
		return i.Tell(answer, "The credential of %s is set.", args[0])
	}
	return command
}

func (i inventory) askUsername(request *gatev1.SetCredentialRequest) error {
	if request.GetUsername() != "" {
		return nil
	}
	name, err := i.Term.Ask("User on the device")
	if errors.Is(err, screen.ErrNobody) {
		return app.Usagef("--username missing, and there is no terminal to ask on")
	}
	request.Username = name
	return err
}

func (i inventory) readCredential(request *gatev1.SetCredentialRequest, passwordFile, keyFile string) (err error) {
	switch {
	case keyFile != "":
		key, err := i.Term.ReadFile(keyFile)
		request.PrivateKey = string(key)
		return err
	case passwordFile != "":
		request.Password, err = i.Secret(passwordFile)
		return err
	}
	request.Password, err = i.Term.AskSecret("Password on the device")
	if errors.Is(err, screen.ErrNobody) {
		return app.Usagef("--password-file or --key-file missing (- is the standard input), and there is no terminal to ask on")
	}
	return err
}

func (i inventory) trust() *cobra.Command {
	return &cobra.Command{Use: "trust NAME", Short: "pin the SSH host key that the device shows now", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			d := new(gatev1.Device)
			if err := i.Post(command.Context(), app.Path("devices", args[0], ":trust"), new(gatev1.TrustDeviceRequest), d); err != nil {
				return err
			}
			return i.Tell(d, "Pinned for %s; compare it with the device's own: %s", d.GetName(), d.GetHostKey())
		}}
}
