// Package serve is all services in one process, and what can be done to them on their host.
package serve

import (
	"context"
	"net"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"portcullis.dev/services/bastion/target"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/demo"
)

// Commands answers what runs on the host itself.
func Commands(a *app.App) []*cobra.Command {
	s := server{a}
	return []*cobra.Command{s.serve(), s.recover(), s.config()}
}

type server struct{ *app.App }

func (s server) serve() *cobra.Command {
	command := &cobra.Command{Use: "serve", Short: "run everything in this process, with its data in one folder", Args: cobra.NoArgs,
		Long: "Runs all services in this process. Each flag is also a variable of the environment (PORTCULLIS_HTTP for --http) and a key of the\n" +
			"YAML file that --config names; a flag goes before the environment, which goes before the file."}
	withDemo := command.Flags().Bool("demo", false, "make users, devices and a dozen live SSH sessions to end, in a data folder of its own")
	run.Flags(command.Flags(), entries(nil))
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *withDemo { // its people are refused many times in a lockdown, and say so in one line
			if err := quiet(command); err != nil {
				return err
			}
		}
		settings, err := run.Load(command.Flags(), os.Environ(), entries(nil))
		if err != nil {
			return app.Usagef("%v", err)
		}
		where, err := whereIs(settings)
		if err != nil {
			return err
		}
		if !*withDemo {
			return s.runAll(command.Context(), settings, board{App: s.App, whereabouts: where})
		}
		return s.runDemo(command.Context(), settings, board{App: s.App, whereabouts: where})
	}
	return command
}

// runAll shows the first administrator's credentials before anything that one needs them for.
func (s server) runAll(ctx context.Context, settings *run.Settings, b board) error {
	first := newFirst(b.Data)
	announce := func(made identity.Bootstrap) error {
		defer first.done()
		return b.announce(made)
	}
	return run.All(ctx, entries(announce), settings, func() { go first.then(ctx, b.ready) })
}

// runDemo keeps the demo's people at work while everything runs.
func (s server) runDemo(ctx context.Context, settings *run.Settings, b board) error {
	first := newFirst(b.Data)
	d, err := demo.Open(b.Data)
	if err != nil {
		return err
	}
	announce := func(made identity.Bootstrap) error {
		defer first.done()
		return d.Keep(asAdministrator(made))
	}
	practice, err := target.New()
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return practice.Run(ctx) })
	parts.Go(func() error {
		return run.All(ctx, entries(announce), settings, func() { close(ready) })
	})
	parts.Go(func() error {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil
		}
		first.then(ctx, func() { b.demo(d) })
		host, port := reachable(b.SSH)
		return d.Run(ctx, demo.Doors{HTTP: b.address(), SSH: net.JoinHostPort(host, port), Say: b.say, Target: demo.Target{
			Host: practice.Address().IP.String(), Port: uint32(practice.Address().Port), HostKey: practice.HostKey(),
			Username: target.User, Password: practice.Password(),
		}})
	})
	return parts.Wait()
}

// first is the first start on an empty data folder, when something is made up that is shown once.
type first struct {
	once sync.Once
	made chan struct{}
}

func newFirst(data string) *first {
	f := &first{made: make(chan struct{})}
	if held, err := os.ReadDir(data); err == nil && len(held) > 0 {
		f.done()
	}
	return f
}

func (f *first) done() { f.once.Do(func() { close(f.made) }) }

// then does what comes after, unless the process ends before.
func (f *first) then(ctx context.Context, do func()) {
	select {
	case <-f.made:
		do()
	case <-ctx.Done():
	}
}
