package notice

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
)

func (n notice) notification() *cobra.Command {
	c := rules()
	return app.Group("notification", "rules: who is told of what, and how",
		n.list(c, "list rules"), n.show(c, "show a rule"), n.create(c, "create a rule"), n.edit(c, "change a rule"),
		n.remove(c, "delete a rule"), n.types())
}

func rules() collection {
	return collection{
		noun: "Notification", path: "notifications",
		row:     func() proto.Message { return new(notificationv1.Notification) },
		page:    func() api.Page { return new(notificationv1.ListNotificationsResponse) },
		columns: []string{"name", "enabled", "methods", "types", "contacts", "warnings", "id"},
		fields: []field{
			{name: "enabled", help: "whether it fires"},
			{name: "methods", help: "email, screen, sms, slack, teams, pagerduty, webhook"},
			{name: "types", help: "what it fires on; see notification types"},
			{name: "contacts", help: "users to tell by e-mail, on the screen and by SMS"},
			{name: "only_with_access", help: "tell only those who have access to the devices concerned"},
			{name: "webhooks", help: "names or ids of webhooks, for slack, teams, pagerduty and webhook", of: webhooks},
			{name: "smtp_account", help: "name or id of the account that e-mail goes out by; empty: the default account", of: smtpAccounts},
			{name: "reply_to", help: "where replies go, unless the account forces its settings"},
			{name: "return_path", help: "where bounces go, unless the account forces its settings"},
			{name: "confirmation_address", help: "where read receipts go, unless the account forces its settings"},
		},
		filters: []filter{
			{"name", "of this name; * stands for anything", as}, {"enabled", "true or false", as}, {"method", "that go by this method", capitals},
			{"type", "that fire on this type", as}, {"contact", "that tell this user", as},
		},
	}
}

// types has no ids, names or changes: it is a list alone.
func (n notice) types() *cobra.Command {
	command := n.list(collection{
		path: "notification-types", whole: true,
		page:    func() api.Page { return new(notificationv1.ListNotificationTypesResponse) },
		columns: []string{"type", "category", "description", "methods"},
		filters: []filter{{"category", `of this category, such as "Emergency panel"; * stands for anything`, as}},
	}, "list what a rule can fire on")
	command.Use = "types"
	return command
}
