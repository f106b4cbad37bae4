package panel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/doors"
	"portcullis.dev/services/portcullis/cli/screen"
	"portcullis.dev/services/portcullis/cli/selector"
)

const defaultFollow = 10 * time.Second

// window answers the commands of a freeze or a lockdown.
func (p panel) window(k kind) *cobra.Command {
	return app.Group(k.noun, "apply, list, shorten or cancel a "+k.noun,
		p.apply(k), p.preview(k), p.list(k), p.show(k), k.devices(p), p.cancel(k), p.shorten(k))
}

// span is the flags that say when.
type span struct {
	length, in, at string
	endless        bool // no length is said: it has no end
}

func (s *span) flags(command *cobra.Command) {
	command.Flags().StringVar(&s.length, "for", "", "how long: 30m, 2h, 3d")
	command.Flags().StringVar(&s.in, "in", "", "start after this long: 10m")
	command.Flags().StringVar(&s.at, "at", "", "start at this time: 22:30, \"2026-11-30 22:30\", or RFC 3339")
}

// read checks what was said; the start counts from the server's clock, which is known only later.
func (s *span) read(p panel) (length time.Duration, start func() time.Time, err error) {
	if s.in != "" && s.at != "" {
		return 0, nil, app.Usagef("--in or --at, not both")
	}
	if s.length != "" || !s.endless {
		if length, err = screen.ParseSpan(s.length); err != nil {
			return 0, nil, app.Usagef("--for: %v", err)
		}
	}
	if s.in != "" {
		in, err := screen.ParseSpan(s.in)
		if err != nil {
			return 0, nil, app.Usagef("--in: %v", err)
		}
		return length, func() time.Time { return p.Now().Add(in) }, nil
	}
	if s.at != "" {
		at, err := screen.ParseMoment(s.at, p.Now(), p.Zone)
		if err != nil {
			return 0, nil, app.Usagef("--at: %v", err)
		}
		return length, func() time.Time { return at }, nil
	}
	return length, func() time.Time { return time.Time{} }, nil
}

func (s *span) ask(p panel, k kind) error {
	s.endless = k.endless
	if s.length != "" || s.endless {
		return nil
	}
	answer, err := p.Term.Ask("For how long [2h]")
	if err != nil {
		return app.Usagef("--for missing: how long it lasts, for instance --for 2h")
	}
	s.length = answer
	if answer == "" {
		s.length = "2h"
	}
	return nil
}

func (p panel) apply(k kind) *cobra.Command {
	command := &cobra.Command{
		Use: "apply --for LENGTH", Short: "apply a " + k.noun + " now or later: " + k.does, Args: cobra.NoArgs,
		Example: fmt.Sprintf("  portcullis %s apply --for 2h --justification \"Stolen laptop\" --ticket INC-1\n  portcullis %s apply --for 30m --in 10m", k.noun, k.noun),
	}
	p.applies(k, command)
	return command
}

// applies makes a command that applies one. What it names goes along with the flags.
func (p panel) applies(k kind, command *cobra.Command) {
	when, request := new(span), k.flags(command.Flags())
	when.flags(command)
	act := p.ActFlags(command, k.noun)
	public := command.Flags().Bool("public", false, "those who are refused or cut off may read the justification")
	wait := command.Flags().Duration("wait", defaultFollow, "how long to watch the doors confirm; 0 doesn't")
	digest := previewDigest(command)
	command.RunE = func(command *cobra.Command, names []string) error {
		if err := when.ask(p, k); err != nil {
			return err
		}
		length, start, err := when.read(p)
		if err != nil {
			return err
		}
		if err := act.AskWhy(command.Context()); err != nil {
			return err
		}
		if when.in != "" { // counts from the server's clock, which its first answer tells
			_ = p.Get(command.Context(), "/v1/policy", new(emergencyv1.Policy))
		}
		ask := common{names: names, start: start(), length: length, public: *public, act: act, digest: *digest}
		p.announce(command.Context(), act, k, &ask.digest, func() *emergencyv1.PreviewRequest { ask.start = start(); _, preview := request(ask); return preview })
		answer := new(emergencyv1.Emergency)
		err = act.Do(command.Context(), func(grant string) error {
			if ask.grant = grant; ask.digest == "" { // what was previewed started then
				ask.start = start()
			}
			body, _ := request(ask)
			return p.PostOnce(command.Context(), "/v1/"+k.collection, body, answer)
		})
		if err != nil {
			return err
		}
		return p.applied(command.Context(), answer, *wait)
	}
}

// announce says to whoever is about to type the code what it will do, and binds it to that, unless it is bound to another
// preview. It must not stand in an emergency's way.
func (p panel) announce(ctx context.Context, act *app.Act, k kind, digest *string, request func() *emergencyv1.PreviewRequest) {
	if !p.Term.Asking || act.HasCode() || *digest != "" {
		return
	}
	answer := new(emergencyv1.PreviewResponse)
	if err := p.Post(ctx, "/v1/emergencies:preview", request(), answer); err != nil {
		return
	}
	p.Term.Note("The %s will hit %s.", k.noun, hits(answer))
	*digest = answer.GetDigest()
}

func previewDigest(command *cobra.Command) *string {
	return command.Flags().String("preview-digest", "", "apply only if what it hits is still what the preview with this digest said")
}

func (p panel) applied(ctx context.Context, e *emergencyv1.Emergency, wait time.Duration) error {
	if e.GetStatus() == emergencyv1.Emergency_ONGOING && wait > 0 {
		if p.ForPeople() {
			fmt.Fprintf(p.Term.Out, "%s is on until %s.\n", e.GetId(), cmp.Or(screen.Until(e.GetEndTime(), p.Zone), "somebody lifts it"))
		}
		doors.Doors{App: p.App}.Follow(ctx, e.GetId(), wait)
	}
	return p.Print(e, func() *screen.Table { return p.details(e) })
}

func (p panel) list(k kind) *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list them, newest first", Args: cobra.NoArgs}
	listing := p.ListFlags(command)
	status := command.Flags().String("status", "", "pending, ongoing, ended or cancelled")
	command.RunE = func(command *cobra.Command, _ []string) error {
		listing.WhereUpper("status", *status)
		all, windows, err := k.list(command.Context(), listing)
		if err != nil {
			return err
		}
		return p.Print(all, func() *screen.Table { return p.windows(windows) })
	}
	return command
}

func (p panel) windows(all []*emergencyv1.Emergency) *screen.Table {
	locks := slices.ContainsFunc(all, func(e *emergencyv1.Emergency) bool { return e.GetKind() == emergencyv1.Emergency_LOCK })
	head := []string{"ID", "STATUS", "LOCKS", "STARTS", "ENDS", "LEFT", "BY", "TICKET", "JUSTIFICATION"}
	t := screen.NewTable(without(head, !locks)...)
	for _, e := range all {
		cells := []screen.Cell{screen.Plain(e.GetId()), statusCell(e), screen.Plain(selector.Text(e.GetSelector())),
			screen.Plain(screen.Stamp(e.GetStartTime(), p.Zone)), screen.Plain(screen.Until(e.GetEndTime(), p.Zone)), screen.Plain(p.left(e)),
			screen.Plain(e.GetCreatedBy()), screen.Plain(e.GetGovernanceCode()), screen.Plain(e.GetJustification())}
		t.Cells(without(cells, !locks)...)
	}
	return t
}

// without leaves out the column of what locks shut.
func without[T any](cells []T, locks bool) []T {
	if locks {
		return slices.Delete(cells, 2, 3)
	}
	return cells
}

func (p panel) show(k kind) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "show all of one", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			e := new(emergencyv1.Emergency)
			if err := p.Get(command.Context(), app.Path(k.collection, args[0]), e); err != nil {
				return err
			}
			return p.Print(e, func() *screen.Table { return p.details(e) })
		}}
}

func (p panel) cancel(k kind) *cobra.Command {
	command := &cobra.Command{Use: "cancel [ID]", Short: "lift one before its end; without an id, the only one there is", Args: cobra.MaximumNArgs(1)}
	act := p.ActFlags(command, "cancel")
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := p.theOne(command.Context(), k, args)
		if err != nil {
			return err
		}
		return p.change(command.Context(), act, app.Path(k.collection, id, ":cancel"), func(grant string) proto.Message {
			return &emergencyv1.CancelRequest{Justification: act.Justification, GovernanceCode: act.Ticket, Grant: grant, RequestId: act.RequestID}
		})
	}
	return command
}

// theOne answers the id that was given, or that of the only window that is on or to come.
func (p panel) theOne(ctx context.Context, k kind, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	_, all, err := k.list(ctx, new(app.Listing))
	if err != nil {
		return "", err
	}
	var ids []string
	for _, e := range all {
		if e.GetStatus() == emergencyv1.Emergency_ONGOING || e.GetStatus() == emergencyv1.Emergency_PENDING {
			ids = append(ids, e.GetId())
		}
	}
	switch len(ids) {
	case 0:
		return "", app.Usagef("there is no %s that is on or to come", k.noun)
	case 1:
		return ids[0], nil
	}
	return "", app.Usagef("say which %s: %s", k.noun, screen.List(ids))
}

// change sends a cancel or a shortening, and shows what became of it.
func (p panel) change(ctx context.Context, act *app.Act, path string, body func(grant string) proto.Message) error {
	if err := act.AskWhy(ctx); err != nil {
		return err
	}
	answer := new(emergencyv1.Emergency)
	err := act.Do(ctx, func(grant string) error { return p.PostOnce(ctx, path, body(grant), answer) })
	if err != nil {
		return err
	}
	return p.Print(answer, func() *screen.Table { return p.details(answer) })
}
