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
	var compared string
	command := &cobra.Command{Use: "trust NAME", Short: "pin the SSH host key that the device shows, once you have compared it", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			path := app.Path("devices", args[0], ":trust")
			if compared == "" {
				shown := new(gatev1.Device)
				if err := i.Post(command.Context(), path, &gatev1.TrustDeviceRequest{ValidateOnly: true}, shown); err != nil {
					return err
				}
				if err := i.compare(shown); err != nil {
					return err
				}
				compared = shown.GetHostKeyFingerprint()
			}
			d := new(gatev1.Device)
			if err := i.Post(command.Context(), path, &gatev1.TrustDeviceRequest{Fingerprint: compared}, d); err != nil {
				return err
			}
			return i.Tell(d, "Pinned for %s: %s", d.GetName(), d.GetHostKeyFingerprint())
		}}
	command.Flags().StringVar(&compared, "fingerprint", "", "the key that you have compared, as ssh-keygen -l says it on the device: SHA256:…")
	return command
}

// compare asks whether what a device shows is its own. Where nobody can be asked, nothing is pinned.
func (i inventory) compare(shown *gatev1.Device) error {
	i.Term.Note("%s shows %s. On the device, ssh-keygen -lf on its host key says the same.", shown.GetName(), shown.GetHostKeyFingerprint())
	answer, err := i.Term.Ask("Is that its key? yes or no")
	if errors.Is(err, screen.ErrNobody) {
		return app.Usagef("compare it, then run this again with --fingerprint %s", shown.GetHostKeyFingerprint())
	}
	if err == nil && answer != "yes" {
		return app.Usagef("nothing was pinned; it takes a yes")
	}
	return err
}
