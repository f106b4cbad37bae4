package notice

import (
	"github.com/spf13/cobra"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

func (n notice) outbox() *cobra.Command {
	c := collection{
		path:    "outbox",
		page:    func() api.Page { return new(notificationv1.ListDeliveriesResponse) },
		columns: []string{"create_time", "state", "method", "contact", "recipient", "subject", "attempts", "error", "id"},
		filters: []filter{
			{"state", "queued, sent, delivered, read, bounced or failed", capitals}, {"method", "that went by this method", capitals},
			{"contact", "to this user", as}, {"account", "by the account or webhook of this id", as}, {"type", "of this type", as},
			{"event", "of this event", as}, {"text", "with this word in recipient or subject", as},
			{"since", "made since then: RFC 3339, or how long ago, such as 2h", moment},
			{"before", "made before then, likewise", moment},
		},
	}
	show := &cobra.Command{Use: "show ID", Short: "show a delivery, with its attempts", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return n.showAt(command.Context(), app.Path(c.path, args[0]), new(notificationv1.Delivery))
		}}
	return app.Group("outbox", "everything that was sent or is to be", n.list(c, "list deliveries, newest first"), show, n.resend())
}

func (n notice) resend() *cobra.Command {
	requestID := app.RequestID()
	return &cobra.Command{Use: "resend ID", Short: "queue a delivery again that has failed or bounced", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			row := new(notificationv1.Delivery)
			request := &notificationv1.ResendDeliveryRequest{RequestId: &requestID}
			if err := n.PostOnce(command.Context(), app.Path("outbox", args[0], ":resend"), request, row); err != nil {
				return err
			}
			return n.Tell(row, "%s to %s is queued again.", row.GetMethod(), row.GetRecipient())
		}}
}

func (n notice) event() *cobra.Command {
	publish := &cobra.Command{Use: "publish TYPE", Short: "say what happened, as a service; see notification types", Args: cobra.ExactArgs(1)}
	row := new(notificationv1.Event)
	given := n.form(publish, row.ProtoReflect().Descriptor(), []field{
		{name: "id", help: "your own id of it: the same one is taken once; made if it is left out"},
		{name: "summary", help: "one sentence for people"},
		{name: "time", help: "when: RFC 3339, or how long ago, such as 2m; now if it is left out"},
		{name: "actor", help: "who did it"},
		{name: "devices", help: "devices that it concerns"},
		{name: "users", help: "users that it concerns"},
		{name: "facts", help: "fact for the text"},
	})
	requestID := app.RequestID()
	publish.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		if fields["id"] == nil {
			fields["id"] = requestID
		}
		fields["type"], fields["requestId"] = args[0], requestID
		if err := n.PostOnce(command.Context(), "/v1/events", fields, row); err != nil {
			return err
		}
		return n.Tell(row, "Event %s published.", row.GetId())
	}
	return app.Group("event", "what other services tell of", publish)
}
