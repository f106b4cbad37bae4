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

func (n notice) smtp() *cobra.Command {
	c := smtpAccounts()
	test := n.test("test NAME --recipient ADDRESS", "send a test mail, also by an account that is disabled",
		new(notificationv1.TestSmtpAccountRequest), cobra.ExactArgs(1), []field{
			{name: "recipient", help: "address"}, {name: "subject", help: "subject"}, {name: "body", help: "text"},
		}, func(command *cobra.Command, args []string) (string, error) {
			return n.pathTo(command.Context(), c, args[0], ":test")
		})
	return app.Group("smtp", "accounts that e-mail goes out by",
		n.list(c, "list accounts"), n.show(c, "show an account"), n.create(c, "create an account; the first one is the default"),
		n.edit(c, "change an account"), n.remove(c, "delete an account"), test)
}

func smtpAccounts() collection {
	return collection{
		noun: "SMTP account", path: "smtp-accounts",
		row:     func() proto.Message { return new(notificationv1.SmtpAccount) },
		page:    func() api.Page { return new(notificationv1.ListSmtpAccountsResponse) },
		columns: []string{"name", "enabled", "default_account", "sender", "host", "port", "secure_connection_type", "last_error", "id"},
		fields: []field{
			{name: "enabled", help: "whether mail goes out by it"},
			{name: "sender", help: `an address, or a name with one: "Portcullis <brake@example.com>"`},
			{name: "reply_to", help: "where replies go"},
			{name: "return_path", help: "where bounces go; a token of the message is added: bounces+k3x@…"},
			{name: "plain_return_path", help: "leave the return path as it is"},
			{name: "confirmation_address", help: "where read receipts go"},
			{name: "default_account", help: "whether rules that name no account use it"},
			{name: "send_read_receipt", help: "ask for a read receipt"},
			{name: "force_settings", help: "a rule's own addresses don't count"},
			{name: "footnote", help: "add the product's footnote"},
			{name: "host", help: "the server's name or address"},
			{name: "port", help: "port; 25, 587 with TLS, 465 with SSL if it is left out"},
			{name: "secure_connection", help: "encrypt"},
			{name: "secure_connection_type", help: "tls: STARTTLS, required; ssl: from the first byte"},
			{name: "authentication", help: "sign in"},
			{name: "authentication_method", help: "plain, login, cram-md5 or xoauth2; the strongest that the server offers if it is left out"},
			{name: "ignore_certificate_errors", help: "take any certificate"},
			{name: "username", help: "as whom to sign in"},
			{name: "password", help: "the password, or the access token of XOAUTH2", secret: "Password at the server", wanted: is("authentication")},
			{name: "rate_per_minute", help: "mails a minute at most; 0: as many as the server takes"},
		},
	}
}

// is answers whether a field is switched on.
func is(key string) func(api.Fields) bool {
	return func(fields api.Fields) bool { return fields[key] == true }
}

func (n notice) mailbox() *cobra.Command {
	c := mailboxes()
	return app.Group("mailbox", "mailboxes that are read for bounces, receipts and replies",
		n.list(c, "list mailboxes"), n.show(c, "show a mailbox"), n.create(c, "create a mailbox"), n.edit(c, "change a mailbox"),
		n.remove(c, "delete a mailbox"), n.checkMailbox(c))
}

func mailboxes() collection {
	return collection{
		noun: "Mailbox", path: "mailboxes",
		row:     func() proto.Message { return new(notificationv1.Mailbox) },
		page:    func() api.Page { return new(notificationv1.ListMailboxesResponse) },
		columns: []string{"name", "enabled", "protocol", "address", "port", "username", "last_check_time", "last_error", "id"},
		fields: []field{
			{name: "enabled", help: "whether it is read"},
			{name: "keep_copy_on_server", help: "leave there what was read; else it is deleted"},
			{name: "automatic_check", help: "read it by itself"},
			{name: "address", help: "the server's name or address"},
			{name: "protocol", help: "imap or pop3"},
			{name: "port", help: "port; the protocol's usual one if it is left out"},
			{name: "secure_connection", help: "encrypt"},
			{name: "secure_connection_type", help: "tls: STARTTLS or STLS, required; ssl: from the first byte"},
			{name: "skip_certificate_check", help: "take any certificate"},
			{name: "username", help: "as whom to sign in"},
			{name: "password", help: "the password", secret: "Password of the mailbox", wanted: func(api.Fields) bool { return true }},
		},
	}
}

// checkMailbox fails if reading it went wrong.
func (n notice) checkMailbox(c collection) *cobra.Command {
	return &cobra.Command{Use: "check NAME", Short: "read it now, and say how it went", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			path, err := n.pathTo(command.Context(), c, args[0], ":check")
			if err != nil {
				return err
			}
			row := new(notificationv1.Mailbox)
			if err := n.Post(command.Context(), path, new(notificationv1.CheckMailboxRequest), row); err != nil {
				return err
			}
			if err := n.Print(row, func() *screen.Table { return n.details(row) }); err != nil {
				return err
			}
			if row.GetLastError() != "" {
				return errors.New("the mailbox can't be read: " + row.GetLastError())
			}
			return nil
		}}
}
