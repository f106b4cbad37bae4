package serve

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
	"portcullis.dev/services/portcullis/demo"
)

// whereabouts is what the process was told of where to be.
type whereabouts struct {
	Data      string `koanf:"data"`
	HTTP      string `koanf:"http"`
	GRPC      string `koanf:"grpc"`
	SSH       string `koanf:"ssh"`
	Postgres  string `koanf:"postgres"`
	AdminUser string `koanf:"admin-user"`
	Product   string `koanf:"product"`
}

func whereIs(settings *run.Settings) (whereabouts, error) {
	var w whereabouts
	err := settings.Decode(&w)
	return w, err
}

// board is the one screen that says where everything is and how to get in.
type board struct {
	*app.App
	whereabouts
}

// reachable is an address as somebody on this machine dials it.
func reachable(listen string) (host, port string) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen, ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

func (b board) address() string {
	host, port := reachable(b.HTTP)
	return "http://" + net.JoinHostPort(host, port)
}

// announce shows what the first start made up: this once, for nobody can read it again.
func (b board) announce(first identity.Bootstrap) error {
	if first.PasswordGiven && first.SecretGiven {
		_, err := fmt.Fprintf(b.Term.Out, "\nThe first administrator is %s, with the password and the MFA secret that were configured.\n", first.User)
		return err
	}
	return b.show("The first administrator. This is shown once: keep it.", first)
}

func (b board) show(title string, first identity.Bootstrap) error {
	t := screen.Pairs()
	t.Pair("administrator", first.User)
	if !first.PasswordGiven {
		t.Pair("password", first.Password)
	}
	if !first.SecretGiven {
		t.Pair("MFA secret", first.Secret)
		t.Pair("", first.URI)
	}
	out := b.Term.Out
	fmt.Fprintf(out, "\n%s\n\n", title)
	if err := t.Write(out); err != nil || first.SecretGiven {
		return err
	}
	fmt.Fprintln(out)
	return screen.QR(out, first.URI)
}

func (b board) ready() {
	b.where()
	program, at := b.program(), b.prefix()
	b.examples("Then, in another terminal",
		at+program+" login --user "+b.AdminUser,
		at+program+" status",
		at+program+" lockdown apply --for 2m --justification \"Trying it out\"")
}

// demo shows the throw-away administrator at every start.
func (b board) demo(d *demo.Demo) {
	first := d.Administrator()
	b.where()
	t := screen.Pairs()
	t.Pair("administrator", first.User)
	t.Pair("password", first.Password)
	t.Pair("MFA secret", first.Secret)
	t.Pair("", first.URI)
	t.Pair("", "kept in "+d.CredentialsFile()+", for this is a demo")
	out := b.Term.Out
	fmt.Fprintln(out)
	if t.Write(out) != nil || screen.QR(out, first.URI) != nil {
		return // nobody is there to see it
	}
	program, at, folder := b.program(), b.prefix(), b.folder()
	b.examples("Then, in another terminal",
		at+program+" demo login"+folder,
		at+program+" session list",
		at+program+" lockdown apply --for 1m --justification \"Trying it out\" --code \"$("+program+" demo code"+folder+")\"")
}

func (b board) where() {
	host, port := reachable(b.SSH)
	t := screen.Pairs()
	t.Pair("console", b.address()+"/")
	t.Pair("API", b.address()+"/docs")
	t.Pair("gRPC", b.GRPC)
	if b.SSH != "" {
		t.Pair("SSH", fmt.Sprintf("ssh -p %s USER%%DEVICE@%s", port, host))
	}
	if b.Postgres != "" {
		host, port := reachable(b.Postgres)
		t.Pair("PostgreSQL", fmt.Sprintf("psql \"host=%s port=%s user=USER%%DEVICE sslmode=require\"", host, port))
	}
	t.Pair("data", b.dataFolder())
	fmt.Fprintf(b.Term.Out, "\n%s is ready.\n\n", b.Product)
	_ = t.Write(b.Term.Out) // nobody is there to see it
}

func (b board) dataFolder() string {
	folder, err := filepath.Abs(b.Data)
	if err != nil {
		return b.Data
	}
	return folder
}

func (b board) examples(title string, lines ...string) {
	fmt.Fprintf(b.Term.Out, "\n%s:\n\n  %s\n\n", title, strings.Join(lines, "\n  "))
}

// program is this program as it was started, so that the examples work when pasted.
func (b board) program() string { return os.Args[0] }

// prefix names the server where it isn't where clients look by themselves.
func (b board) prefix() string {
	if b.address() == app.DefaultAddress {
		return ""
	}
	return app.AddressVariable + "=" + b.address() + " "
}

func (b board) folder() string {
	if b.Data == demo.DefaultFolder {
		return ""
	}
	return " --data " + b.Data
}

// say is a line of the demo, beside the log.
func (b board) say(format string, args ...any) {
	_, _ = io.WriteString(b.Term.Err, screen.Clean(fmt.Sprintf(format, args...))+"\n")
}
