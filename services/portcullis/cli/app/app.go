// Package app is the frame of every command: the server it speaks to, how it answers, what it asks
// for when something is missing, and which exit code says how it ended.
package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/screen"
)

// Environment of the client commands.
const (
	AddressVariable = "PORTCULLIS_ADDRESS"
	TokenVariable   = "PORTCULLIS_TOKEN"
	CodeVariable    = "PORTCULLIS_CODE_COMMAND"
	DefaultAddress  = "http://127.0.0.1:8080"
)

// App is one run of the command line.
type App struct {
	Term *screen.Terminal
	Zone *time.Location

	address string
	format  string
	client  *api.Client
	ran     bool
}

// New answers the frame around a terminal.
func New(term *screen.Terminal) *App { return &App{Term: term, Zone: time.Local} }

// Flags adds what every command takes.
func (a *App) Flags(root *cobra.Command) {
	address := os.Getenv(AddressVariable)
	if address == "" {
		address = DefaultAddress
	}
	root.PersistentFlags().StringVar(&a.address, "address", address, "the server; "+AddressVariable)
	root.PersistentFlags().StringVarP(&a.format, "output", "o", "table", "table, json or yaml")
}

// Prepare checks the flags that every command takes, and makes the client.
func (a *App) Prepare() error {
	if a.format != "table" && a.format != "json" && a.format != "yaml" {
		return Usagef("-o is table, json or yaml, not %q", a.format)
	}
	client, err := a.ClientAt(a.address)
	if err != nil {
		return Usagef("%s or --address: %v", AddressVariable, err)
	}
	a.client = client
	return nil
}

// ClientAt speaks to another server than the one that was named.
func (a *App) ClientAt(address string) (*api.Client, error) {
	return api.New(api.Config{Address: address, Token: os.Getenv(TokenVariable), Store: store(), Agent: "portcullis/" + Version(), Now: time.Now})
}

// Watch notes when a command of the tree begins to run: a failure before is one of usage.
func (a *App) Watch(command *cobra.Command) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			a.ran = true
			return run(command, args)
		}
	}
	for _, child := range command.Commands() {
		a.Watch(child)
	}
}

func store() *api.Store {
	folder, err := os.UserConfigDir()
	if err != nil {
		return nil
	}
	return &api.Store{Path: filepath.Join(folder, "portcullis", "sign-ins.json")}
}

// Client speaks to the server.
func (a *App) Client() *api.Client { return a.client }

// Now is the server's clock, as far as it is known.
func (a *App) Now() time.Time { return a.client.Now() }

// Moment is a time as this reader reads it.
func (a *App) Moment(at time.Time) string { return screen.Moment(at, a.Zone) }

// ForPeople says that the answer is read by a person, not by a program.
func (a *App) ForPeople() bool { return a.format == "table" }

// Print answers the message in the format asked for; people get the drawing.
func (a *App) Print(message proto.Message, draw func() *screen.Table) error {
	switch a.format {
	case "json":
		return screen.WriteJSON(a.Term.Out, message)
	case "yaml":
		return screen.WriteYAML(a.Term.Out, message)
	}
	return draw().Write(a.Term.Out)
}

// Tell says to a person what was done; a program reads the message instead.
func (a *App) Tell(message proto.Message, format string, args ...any) error {
	if !a.ForPeople() {
		return a.Print(message, nil)
	}
	_, err := fmt.Fprintln(a.Term.Out, screen.Clean(fmt.Sprintf(format, args...)))
	return err
}

// Progress is written where it doesn't mix with an answer that a program reads.
func (a *App) Progress() *screen.Progress {
	if a.ForPeople() {
		return screen.NewProgress(a.Term.Out, a.Term.LiveOut)
	}
	return screen.NewProgress(a.Term.Err, a.Term.LiveErr)
}

// Secret reads a secret from a file or the standard input, without the line end that editors add.
func (a *App) Secret(file string) (string, error) {
	text, err := a.Term.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	return string(bytes.TrimRight(text, "\r\n")), nil
}

// RequestID makes an id under which the server does a thing once.
func RequestID() string { return uuid.NewString() }

// release is what a release is called. The linker sets it.
var release string

// Version is the version of this program.
func Version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
