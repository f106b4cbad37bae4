package demo

import (
	"context"
	"fmt"
	"time"

	"portcullis.dev/services/portcullis/cli/api"
)

// Doors is where the demo comes in, as everybody does, and where it leads to.
type Doors struct {
	// HTTP is the public address, SSH the bastion's.
	HTTP, SSH string
	Target    Target
	// Say shows a line to whoever runs the demo.
	Say func(format string, args ...any)
}

// Run sets up what is missing and keeps the sessions open, until the context ends.
func (d *Demo) Run(ctx context.Context, to Doors) error {
	// Of its own, so that the demo's sign-ins never get in the way of a person's.
	client, err := api.New(api.Config{Address: to.HTTP, Store: &api.Store{Path: d.path("sign-in.json")}, Agent: "portcullis-demo", Now: time.Now})
	if err != nil {
		return err
	}
	if err := d.write(addressFile, []byte(to.HTTP)); err != nil {
		return fmt.Errorf("noting the demo's address: %w", err)
	}
	if err := (seeder{demo: d, client: client, target: to.Target}).seed(ctx, to.Say); err != nil {
		return err
	}
	return d.work(ctx, to.SSH, to.Say)
}
