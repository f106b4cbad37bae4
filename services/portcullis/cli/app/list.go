package app

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/screen"
)

// Listing is the flags of a list and the filter that they add up to.
type Listing struct {
	limit  int
	filter []string
	raw    string
}

const defaultLimit = 1000

// ListFlags adds what every list takes.
func (a *App) ListFlags(command *cobra.Command) *Listing {
	l := new(Listing)
	command.Flags().IntVar(&l.limit, "limit", defaultLimit, "rows at most; 0 is all")
	command.Flags().StringVar(&l.raw, "filter", "", `as the API has it, for instance "status=ONGOING"`)
	return l
}

// Where narrows the list, unless the value is empty.
func (l *Listing) Where(field, value string) {
	if value != "" {
		l.filter = append(l.filter, field+"="+value)
	}
}

// WhereUpper narrows the list by a name that the API has in capitals.
func (l *Listing) WhereUpper(field, value string) { l.Where(field, strings.ToUpper(value)) }

func (l *Listing) query() url.Values {
	filter := l.filter
	if l.raw != "" {
		filter = append(filter, l.raw)
	}
	query := url.Values{}
	if len(filter) > 0 {
		query.Set("filter", strings.Join(filter, " AND "))
	}
	return query
}

// Collect reads the pages of a list into one. Rows answers the list's rows in a page, which are then
// added to all.
func Collect[P api.Page](ctx context.Context, a *App, l *Listing, path string, all P, rows func(P) int) error {
	page, _ := all.ProtoReflect().New().Interface().(P)
	count := 0
	err := a.client.Pages(ctx, path, l.query(), page, func() bool {
		count += rows(page)
		proto.Merge(all, page)
		return l.limit > 0 && count >= l.limit
	})
	if err != nil {
		return err
	}
	if l.limit > 0 && page.GetNextPageToken() != "" {
		a.Term.Note("There are more than these %d: see --limit and --filter.", count)
	}
	return nil
}

// Whole reads a list that the API answers at once.
func (a *App) Whole(ctx context.Context, l *Listing, path string, all proto.Message) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodGet, Path: path, Query: l.query(), Out: all})
}

// Get reads one thing.
func (a *App) Get(ctx context.Context, path string, out proto.Message) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodGet, Path: path, Out: out})
}

// Post does one thing that must not be repeated blindly.
func (a *App) Post(ctx context.Context, path string, body any, out proto.Message) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodPost, Path: path, Body: body, Out: out})
}

// PostOnce does one thing whose body carries a request id.
func (a *App) PostOnce(ctx context.Context, path string, body any, out proto.Message) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodPost, Path: path, Body: body, Out: out, Once: true})
}

// Patch changes the fields that are named. The same change twice is one effect.
func (a *App) Patch(ctx context.Context, path string, fields api.Fields, out proto.Message) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodPatch, Path: path, Body: fields, Out: out, Once: true})
}

// Delete takes a thing away.
func (a *App) Delete(ctx context.Context, path string, query url.Values) error {
	return a.client.Do(ctx, api.Request{Method: http.MethodDelete, Path: path, Query: query})
}

// Path joins the parts of a path, with every name in it escaped.
func Path(collection string, name string, rest ...string) string {
	return "/v1/" + collection + "/" + url.PathEscape(name) + strings.Join(rest, "")
}

// Group answers a command that only holds others.
func Group(use, short string, children ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	group.RunE = func(command *cobra.Command, _ []string) error {
		var names []string
		for _, child := range command.Commands() {
			names = append(names, child.Name())
		}
		return Usagef("%s needs one of: %s", command.CommandPath(), strings.Join(names, ", "))
	}
	group.AddCommand(children...)
	return group
}

// Lines answers a table of names and values, for one thing.
func Lines(pairs ...string) *screen.Table {
	t := screen.Pairs()
	for i := 0; i+1 < len(pairs); i += 2 {
		t.Pair(pairs[i], pairs[i+1])
	}
	return t
}
