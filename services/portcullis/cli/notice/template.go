package notice

import (
	"net/url"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (n notice) template() *cobra.Command {
	c := collection{
		path: "templates", whole: true,
		page:    func() api.Page { return new(notificationv1.ListTemplatesResponse) },
		columns: []string{"type", "language", "changed", "updated_by", "subject"},
		filters: []filter{
			{"category", `of this category, such as "Emergency panel"; * stands for anything`, as}, {"language", "en or pt-BR", as},
			{"changed", "true or false", as},
		},
	}
	return app.Group("template", "texts of notifications, one for each type and language",
		n.list(c, "list texts"), n.showTemplate(), n.editTemplate(), n.resetTemplate(), n.previewTemplate())
}

func templateFields() []field {
	return []field{
		{name: "subject", help: "subject; facts stand in double braces, as {{until}}"},
		{name: "body", help: "the lines of the mail, in plain text", file: true},
		{name: "short", help: "one or two sentences for SMS, the screen and chats", file: true},
	}
}

func templatePath(args []string) string {
	return app.Path("templates", args[0], "/", url.PathEscape(args[1]))
}

func (n notice) showTemplate() *cobra.Command {
	return &cobra.Command{Use: "show TYPE LANGUAGE", Short: "show a text", Args: cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			return n.showAt(command.Context(), templatePath(args), new(notificationv1.Template))
		}}
}

func (n notice) editTemplate() *cobra.Command {
	command := &cobra.Command{Use: "edit TYPE LANGUAGE", Aliases: []string{"update"}, Short: "change a text: only what a flag names changes", Args: cobra.ExactArgs(2)}
	row := new(notificationv1.Template)
	given := n.form(command, row.ProtoReflect().Descriptor(), templateFields())
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		if err := n.change(command.Context(), templatePath(args), fields, row); err != nil {
			return err
		}
		return n.Tell(row, "Text for %s in %s changed.", args[0], args[1])
	}
	return command
}

func (n notice) resetTemplate() *cobra.Command {
	return &cobra.Command{Use: "reset TYPE LANGUAGE", Short: "go back to the text that there was to begin with", Args: cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			if err := n.Delete(command.Context(), templatePath(args), nil); err != nil {
				return err
			}
			return n.changed("Text for", args[0]+" in "+args[1], "reset")
		}}
}

// previewTemplate shows the text that counts now, with what flags would change in it.
func (n notice) previewTemplate() *cobra.Command {
	command := &cobra.Command{Use: "preview TYPE LANGUAGE", Short: "show what a text becomes, with the facts of an example", Args: cobra.ExactArgs(2)}
	given := n.form(command, new(notificationv1.Template).ProtoReflect().Descriptor(), templateFields())
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		now := new(notificationv1.Template)
		if err := n.Get(command.Context(), templatePath(args), now); err != nil {
			return err
		}
		request, answer := &notificationv1.PreviewTemplateRequest{Template: overlaid(now, fields)}, new(notificationv1.PreviewTemplateResponse)
		if err := n.Post(command.Context(), "/v1/templates:preview", request, answer); err != nil {
			return err
		}
		return n.Print(answer, func() *screen.Table {
			shown := proto.CloneOf(answer)
			shown.Html = "" // for programs and browsers
			return n.details(shown)
		})
	}
	return command
}

func overlaid(now *notificationv1.Template, fields api.Fields) *notificationv1.Template {
	t := &notificationv1.Template{Type: now.GetType(), Language: now.GetLanguage(), Subject: now.GetSubject(), Body: now.GetBody(), Short: now.GetShort()}
	for key, to := range map[string]*string{"subject": &t.Subject, "body": &t.Body, "short": &t.Short} {
		if text, given := fields[key].(string); given {
			*to = text
		}
	}
	return t
}
