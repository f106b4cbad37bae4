package account

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/spf13/cobra"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (c account) login() *cobra.Command {
	command := &cobra.Command{Use: "login", Short: "sign in, and stay so while you use it", Args: cobra.NoArgs,
		Long: "Signs in and stores the sign-in for this user of the machine alone. It is renewed while commands are used;\n" +
			"fifteen minutes without one end it. With --provider a browser on this machine does it, at your OpenID provider."}
	request := new(identityv1.CreateSignInRequest)
	command.Flags().StringVarP(&request.Username, "user", "u", "", "user name")
	command.Flags().StringVar(&request.Code, "code", "", "code from your MFA app, if you have one enrolled")
	file := command.Flags().String("password-file", "", "file with the password; - is the standard input")
	provider := command.Flags().Bool("provider", false, "sign in at the OpenID provider, in a browser")
	port := command.Flags().Uint16("port", 0, "with --provider: where the browser comes back to on 127.0.0.1; 0 is any that is free")
	command.MarkFlagsMutuallyExclusive("provider", "user")
	command.MarkFlagsMutuallyExclusive("provider", "password-file")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c.warnOfPlain()
		in, err := c.enter(command.Context(), request, *file, *provider, *port)
		if err != nil {
			return err
		}
		in.Token = "" // it is in the store, and nobody has to read it
		return c.Tell(in, "Signed in at %s as %s.", c.Client().Address(), in.GetUser().GetName())
	}
	return command
}

func (c account) enter(ctx context.Context, request *identityv1.CreateSignInRequest, file string, provider bool, port uint16) (*identityv1.SignIn, error) {
	if provider {
		return c.enterByProvider(ctx, port, request.GetCode())
	}
	if err := c.askSignIn(request, file); err != nil {
		return nil, err
	}
	return c.signIn(ctx, request)
}

func (c account) askSignIn(request *identityv1.CreateSignInRequest, file string) (err error) {
	if request.GetUsername() == "" {
		if request.Username, err = c.ask("--user", "User"); err != nil {
			return err
		}
	}
	request.Password, err = c.password(file, "Password")
	return err
}

const codeTries = 3

// signIn asks for the code once the password was right and one must follow.
func (c account) signIn(ctx context.Context, request *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	in, err := c.Client().SignIn(ctx, request)
	if request.GetCode() != "" || !c.Term.Asking || !app.WrongCode(err) {
		return in, err
	}
	return c.askCode(func(code string) (*identityv1.SignIn, error) {
		request.Code = code
		return c.Client().SignIn(ctx, request)
	})
}

// askCode asks for a code, and again when it was wrong.
func (c account) askCode(try func(code string) (*identityv1.SignIn, error)) (*identityv1.SignIn, error) {
	for tries := 1; ; tries++ {
		code, err := c.ask("--code", "Code from your MFA app")
		if err != nil {
			return nil, err
		}
		in, err := try(code)
		if !app.WrongCode(err) || tries == codeTries {
			return in, err
		}
		c.SayWhy(err)
	}
}

func (c account) ask(flag, question string) (string, error) {
	answer, err := c.Term.Ask(question)
	if errors.Is(err, screen.ErrNobody) {
		return "", app.Usagef("%s missing, and there is no terminal to ask on", flag)
	}
	return answer, err
}

// password is read from a file or asked for: never from the arguments, which every process can read.
func (c account) password(file, question string) (string, error) {
	if file != "" {
		return c.Secret(file)
	}
	secret, err := c.Term.AskSecret(question)
	if errors.Is(err, screen.ErrNobody) {
		return "", app.Usagef("--password-file missing (- is the standard input), and there is no terminal to ask on")
	}
	return secret, err
}

// warnOfPlain speaks up before a password goes over a network in clear.
func (c account) warnOfPlain() {
	target, err := url.Parse(c.Client().Address())
	if err != nil || target.Scheme != "http" {
		return
	}
	host := target.Hostname()
	if host == "localhost" || net.ParseIP(host).IsLoopback() {
		return
	}
	c.Term.Note("Warning: %s is not encrypted. The password can be read on the way; use https.", c.Client().Address())
}

func (c account) logout() *cobra.Command {
	return &cobra.Command{Use: "logout", Short: "sign out, and forget the sign-in", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if c.Client().User() == "" {
				return c.Tell(new(identityv1.DeleteSignInRequest), "Nobody is signed in at %s.", c.Client().Address())
			}
			if err := c.Client().SignOut(command.Context()); err != nil {
				return err
			}
			return c.Tell(new(identityv1.DeleteSignInRequest), "Signed out at %s.", c.Client().Address())
		}}
}
