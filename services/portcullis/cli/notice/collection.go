package notice

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// collection is what the API keeps several of, under ids of its own and names that somebody gave them.
type collection struct {
	// noun is what one of them is called, path the last part of theirs.
	noun, path string
	row        func() proto.Message
	page       func() api.Page
	// columns are the fields that a list shows.
	columns []string
	fields  []field
	filters []filter
	// whole says that the API answers all of them at once.
	whole bool
}

// filter narrows a list by a flag of its name.
type filter struct {
	name, help string
	value      func(notice, string) (string, error)
}

// as is for values that stand in the filter as they are given.
func as(_ notice, text string) (string, error) { return text, nil }

// capitals is for names that the API has in capitals.
func capitals(_ notice, text string) (string, error) { return strings.ToUpper(text), nil }

// moment is for times.
func moment(n notice, text string) (string, error) { return n.past(text) }

// list answers the command that lists a collection.
func (n notice) list(c collection, short string) *cobra.Command {
	command := &cobra.Command{Use: "list", Short: short, Args: cobra.NoArgs}
	listing := n.ListFlags(command)
	command.Flags().Lookup("limit").Hidden = c.whole
	command.Flags().Lookup("filter").Hidden = len(c.filters) == 0
	values := make([]*string, len(c.filters))
	for i, f := range c.filters {
		values[i] = command.Flags().String(f.name, "", f.help)
	}
	command.RunE = func(command *cobra.Command, _ []string) error {
		if len(c.filters) == 0 && command.Flags().Changed("filter") {
			return app.Usagef("%s takes no filter", command.CommandPath())
		}
		for i, f := range c.filters {
			if *values[i] == "" {
				continue
			}
			value, err := f.value(n, *values[i])
			if err != nil {
				return app.Usagef("--%s: %v", f.name, err)
			}
			listing.Where(f.name, value)
		}
		return n.printList(command.Context(), c, listing)
	}
	return command
}

func (n notice) printList(ctx context.Context, c collection, listing *app.Listing) error {
	all, path := c.page(), "/v1/"+c.path
	read := func() error {
		return app.Collect(ctx, n.App, listing, path, all, func(page api.Page) int { return len(rowsOf(page)) })
	}
	if c.whole {
		read = func() error { return n.Whole(ctx, listing, path, all) }
	}
	if err := read(); err != nil {
		return err
	}
	return n.Print(all, func() *screen.Table { return n.rows(c.columns, rowsOf(all)) })
}

// rowsOf are the rows of a page: of whichever field holds them.
func rowsOf(page api.Page) []protoreflect.Message {
	m := page.ProtoReflect()
	fields := m.Descriptor().Fields()
	var rows []protoreflect.Message
	for i := range fields.Len() {
		if f := fields.Get(i); f.IsList() && f.Message() != nil {
			for list, j := m.Get(f).List(), 0; j < list.Len(); j++ {
				rows = append(rows, list.Get(j).Message())
			}
		}
	}
	return rows
}

// show answers the command that shows one of a collection.
func (n notice) show(c collection, short string) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			path, err := n.pathTo(command.Context(), c, args[0])
			if err != nil {
				return err
			}
			return n.showAt(command.Context(), path, c.row())
		}}
}

func (n notice) showAt(ctx context.Context, path string, row proto.Message) error {
	if err := n.Get(ctx, path, row); err != nil {
		return err
	}
	return n.Print(row, func() *screen.Table { return n.details(row) })
}

func (n notice) create(c collection, short string) *cobra.Command {
	command := &cobra.Command{Use: "create NAME", Short: short, Args: cobra.ExactArgs(1)}
	given := n.form(command, c.row().ProtoReflect().Descriptor(), c.fields)
	requestID := app.RequestID()
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.complete()
		if err != nil {
			return err
		}
		fields["name"], fields["requestId"] = args[0], requestID
		row := c.row()
		if err := n.PostOnce(command.Context(), "/v1/"+c.path, fields, row); err != nil {
			return err
		}
		return n.done(c, row, args[0], "created")
	}
	return command
}

func (n notice) edit(c collection, short string) *cobra.Command {
	command := &cobra.Command{Use: "edit NAME", Aliases: []string{"update"}, Short: short + ": only what a flag names changes", Args: cobra.ExactArgs(1)}
	given := n.form(command, c.row().ProtoReflect().Descriptor(), append([]field{{name: "name", help: "another name"}}, c.fields...))
	command.RunE = func(command *cobra.Command, args []string) error {
		fields, err := given.given()
		if err != nil {
			return err
		}
		path, err := n.pathTo(command.Context(), c, args[0])
		if err != nil {
			return err
		}
		row := c.row()
		if err := n.change(command.Context(), path, fields, row); err != nil {
			return err
		}
		return n.done(c, row, args[0], "changed")
	}
	return command
}

func (n notice) change(ctx context.Context, path string, fields api.Fields, row proto.Message) error {
	if len(fields) == 0 {
		return app.Usagef("nothing to change: name a field")
	}
	return n.Patch(ctx, path, fields, row)
}

func (n notice) remove(c collection, short string) *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			path, err := n.pathTo(command.Context(), c, args[0])
			if err != nil {
				return err
			}
			if err := n.Delete(command.Context(), path, nil); err != nil {
				return err
			}
			return n.changed(c.noun, args[0], "deleted")
		}}
}

// done says what was done to one, and what still keeps it from working.
func (n notice) done(c collection, row proto.Message, name, became string) error {
	if err := n.Tell(row, "%s %s %s.", c.noun, name, became); err != nil {
		return err
	}
	if made, ok := row.(interface{ GetMadeSecret() string }); ok && made.GetMadeSecret() != "" && n.ForPeople() {
		return n.Tell(row, "Its signing key, which is never shown again: %s", made.GetMadeSecret())
	}
	w, ok := row.(interface{ GetWarnings() []string })
	if !ok || !n.ForPeople() {
		return nil
	}
	for _, warning := range w.GetWarnings() {
		n.Term.Note("%s", screen.Clean(warning))
	}
	return nil
}

// pathTo is where one of a collection is that somebody names or gives the id of.
func (n notice) pathTo(ctx context.Context, c collection, name string, rest ...string) (string, error) {
	id, err := n.id(ctx, c, name)
	return app.Path(c.path, id, rest...), err
}

// id finds the one that is meant. What nothing is called is left to the server to refuse.
func (n notice) id(ctx context.Context, c collection, name string) (string, error) {
	page, found := c.page(), name
	err := n.Client().Pages(ctx, "/v1/"+c.path, nil, page, func() bool {
		for _, row := range rowsOf(page) {
			id, called := textOf(row, "id"), textOf(row, "name")
			if id == name {
				found = id
				return true
			}
			if strings.EqualFold(called, name) {
				found = id
			}
		}
		return false
	})
	return found, err
}

// ids puts ids in the place of names.
func (n notice) ids(ctx context.Context, c collection, value any) (any, error) {
	if name, one := value.(string); one {
		if name == "" {
			return "", nil
		}
		return n.id(ctx, c, name)
	}
	names, _ := value.([]string)
	ids := []string{}
	for _, name := range names {
		id, err := n.id(ctx, c, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func textOf(row protoreflect.Message, name protoreflect.Name) string {
	return row.Get(row.Descriptor().Fields().ByName(name)).String()
}
