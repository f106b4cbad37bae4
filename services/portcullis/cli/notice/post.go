package notice

import (
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const smsPath = "/v1/sms-settings"

func (n notice) sms() *cobra.Command {
	show := &cobra.Command{Use: "show", Short: "show the broker", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return n.showAt(command.Context(), smsPath, new(notificationv1.SmsSettings))
		}}
	test := n.test("test --recipient NUMBER", "send a test SMS", new(notificationv1.TestSmsRequest), cobra.NoArgs, []field{
		{name: "recipient", help: "number, with its country or of the default region"}, {name: "body", help: "text"},
	}, func(*cobra.Command, []string) (string, error) { return smsPath + ":test", nil })
	return app.Group("sms", "the broker that SMS go out by", show, n.editSms(), test)
}

func (n notice) editSms() *cobra.Command {
	command := &cobra.Command{Use: "edit", Aliases: []string{"update"}, Short: "change the broker: only what a flag names changes", Args: cobra.NoArgs}
	row := new(notificationv1.SmsSettings)
	given := n.form(command, row.ProtoReflect().Descriptor(), []field{
		{name: "enabled", help: "whether SMS go out"},
		{name: "provider", help: "zenvia or twilio"},
		{name: "sender", help: "who it is from: a name with Zenvia, a number or a messaging service with Twilio"},
		{name: "username", help: "Zenvia's user, Twilio's account SID"},
		{name: "password", help: "Zenvia's password, Twilio's auth token", secret: "Password at the broker"},
		{name: "default_region", help: "ISO 3166 code, such as BR, of numbers without a country"},
		{name: "keep_accents", help: "keep accents; an SMS then holds 70 characters in the place of 160"},
		{name: "endpoint", help: "the provider's address, if it is not its usual one"},
		{name: "rate_per_minute", help: "SMS a minute at most; 0: as many as the provider takes"},
	})
	command.RunE = func(command *cobra.Command, _ []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		if err := n.change(command.Context(), smsPath, fields, row); err != nil {
			return err
		}
		return n.done(collection{noun: "SMS"}, row, "broker", "changed")
	}
	return command
}

func (n notice) webhook() *cobra.Command {
	c := webhooks()
	test := n.test("test NAME", "post a test message", new(notificationv1.TestWebhookRequest), cobra.ExactArgs(1), []field{{name: "body", help: "text"}},
		func(command *cobra.Command, args []string) (string, error) {
			return n.pathTo(command.Context(), c, args[0], ":test")
		})
	return app.Group("webhook", "where Slack, Teams, PagerDuty and webhook messages go",
		n.list(c, "list webhooks"), n.show(c, "show a webhook"), n.create(c, "create a webhook; says the signing key that is made for it, once"), n.edit(c, "change a webhook"),
		n.remove(c, "delete a webhook"), test)
}

func webhooks() collection {
	pagerDuty := func(fields api.Fields) bool { return fields["method"] == "PAGERDUTY" }
	return collection{
		noun: "Webhook", path: "webhooks",
		row:     func() proto.Message { return new(notificationv1.Webhook) },
		page:    func() api.Page { return new(notificationv1.ListWebhooksResponse) },
		columns: []string{"name", "enabled", "method", "url_shown", "language", "last_error", "id"},
		fields: []field{
			{name: "enabled", help: "whether messages go there"},
			{name: "method", help: "slack, teams, pagerduty or webhook"},
			{name: "url", help: "where to post, a secret with Slack and Teams; PagerDuty takes none", secret: "URL",
				wanted: func(fields api.Fields) bool { return !pagerDuty(fields) }},
			{name: "secret", help: "PagerDuty's integration key, or a webhook's signing key; one is made if none is given", secret: "Secret", wanted: pagerDuty},
			{name: "language", help: "en or pt-BR"},
			{name: "rate_per_minute", help: "messages a minute at most; 0: as many as it takes"},
		},
	}
}

// test answers a command that sends one message. It fails if that did, and ends as what has not confirmed if it is
// not known yet.
func (n notice) test(use, short string, request proto.Message, args cobra.PositionalArgs, fields []field, path func(*cobra.Command, []string) (string, error)) *cobra.Command {
	command := &cobra.Command{Use: use, Short: short, Args: args}
	given := n.form(command, request.ProtoReflect().Descriptor(), fields)
	requestID := app.RequestID()
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		to, err := path(command, args)
		if err != nil {
			return err
		}
		fields["requestId"] = requestID
		row := new(notificationv1.Delivery)
		if err := n.PostOnce(command.Context(), to, fields, row); err != nil {
			return err
		}
		if err := n.Print(row, func() *screen.Table { return n.details(row) }); err != nil {
			return err
		}
		return outcome(row)
	}
	return command
}

func outcome(d *notificationv1.Delivery) error {
	switch d.GetState() {
	case notificationv1.Delivery_FAILED, notificationv1.Delivery_BOUNCED:
		return errors.New("it did not go out: " + d.GetError())
	case notificationv1.Delivery_QUEUED:
		return app.Unconfirmed()
	}
	return nil
}
