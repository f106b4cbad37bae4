package notifier

import (
	"context"

	"portcullis.dev/services/internal/run"
)

// Entry is the notifier as a process knows it. Nothing that ends or refuses depends on it.
func Entry() run.Entry { return run.Entry{Name: "notifier", Start: Start} }

// Start makes the notifier out of its host.
func Start(context.Context, *run.Host) (run.Service, error) { return New(), nil }
