// Package notifier tells people what happened. So far it says what there is to tell of.
package notifier

import (
	"context"

	"google.golang.org/grpc"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Notifier is the service.
type Notifier struct {
	notificationv1.UnimplementedNotificationsServer
}

// New answers a notifier.
func New() *Notifier { return &Notifier{} }

// Register adds what it serves.
func (n *Notifier) Register(to grpc.ServiceRegistrar) {
	notificationv1.RegisterNotificationsServer(to, n)
}

// Run waits: nothing is delivered yet.
func (n *Notifier) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
