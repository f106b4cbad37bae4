// Package cluster leads kubectl through the bastion: it writes its kubeconfig, and hands it the sign-in.
package cluster

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// execAPI is the version of the agreement between kubectl and whatever hands it a credential.
const execAPI = "client.authentication.k8s.io/v1"

type cluster struct{ *app.App }

// Commands answers the commands that are about kubectl.
func Commands(a *app.App) []*cobra.Command {
	c := cluster{a}
	return []*cobra.Command{app.Group("kubernetes", "kubectl through the bastion", c.config(), c.token())}
}

// token is run by kubectl, which reads nothing but this form, each time that it needs a credential.
func (c cluster) token() *cobra.Command {
	return &cobra.Command{Use: "token", Short: "hand your sign-in to kubectl, which runs this", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			in, err := c.Client().Credential(command.Context())
			if err != nil {
				return err
			}
			status := map[string]any{"token": in.Token}
			if !in.ExpireTime.IsZero() {
				status["expirationTimestamp"] = in.ExpireTime.UTC().Format(time.RFC3339)
			}
			return c.write(screen.WriteJSON, map[string]any{"apiVersion": execAPI, "kind": "ExecCredential", "status": status})
		}}
}

func (c cluster) config() *cobra.Command {
	command := &cobra.Command{Use: "config DEVICE --server https://BASTION:PORT", Short: "print a kubeconfig that leads to a cluster through the bastion", Args: cobra.ExactArgs(1),
		Long: "Prints a kubeconfig that leads to a cluster through the bastion. There is no secret in it: kubectl runs\n" +
			"`portcullis kubernetes token` for your sign-in.\n\n" +
			"  portcullis kubernetes config prod --server https://bastion.example.com:6443 --ca-file bastion-ca.pem > ~/.kube/prod\n" +
			"  KUBECONFIG=~/.kube/prod kubectl get pods"}
	server := command.Flags().String("server", "", "where the bastion serves kubectl, as https://bastion.example.com:6443")
	ca := command.Flags().String("ca-file", "", "file with the authorities that may have signed the bastion's certificate, in PEM; by itself those that your system knows")
	command.RunE = func(_ *cobra.Command, args []string) error {
		at, err := url.Parse(*server)
		if err != nil || at.Scheme != "https" || at.Host == "" {
			return app.Usagef("--server is where the bastion serves kubectl, as https://bastion.example.com:6443")
		}
		leads := map[string]any{"server": strings.TrimRight(*server, "/") + "/" + url.PathEscape(args[0])}
		if *ca != "" {
			authorities, err := c.Term.ReadFile(*ca)
			if err != nil {
				return fmt.Errorf("reading the bastion's authorities: %w", err)
			}
			leads["certificate-authority-data"] = base64.StdEncoding.EncodeToString(authorities)
		}
		return c.write(screen.WriteYAML, c.kubeconfig(args[0], leads))
	}
	return command
}

// kubeconfig leads one user, whoever is signed in, to one cluster.
func (c cluster) kubeconfig(device string, leads map[string]any) map[string]any {
	address := c.Client().Address()
	user := "portcullis"
	if at, err := url.Parse(address); err == nil {
		user += "@" + at.Host
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": device,
		"clusters": []any{map[string]any{"name": device, "cluster": leads}},
		"contexts": []any{map[string]any{"name": device, "context": map[string]any{"cluster": device, "user": user}}},
		"users": []any{map[string]any{"name": user, "user": map[string]any{"exec": map[string]any{
			"apiVersion": execAPI, "command": "portcullis", "args": []any{"kubernetes", "token"}, "interactiveMode": "Never",
			"env":         []any{map[string]any{"name": app.AddressVariable, "value": address}},
			"installHint": "portcullis has to be where your shell finds it. Sign in with: portcullis login",
		}}}},
	}
}

// write writes what kubectl reads, whatever -o says.
func (c cluster) write(in func(to io.Writer, m proto.Message) error, document map[string]any) error {
	whole, err := structpb.NewStruct(document)
	if err != nil {
		return fmt.Errorf("writing for kubectl: %w", err)
	}
	return in(c.Term.Out, whole)
}
