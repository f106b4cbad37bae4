package panel

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
	"portcullis.dev/services/portcullis/cli/selector"
)

const (
	defaultWait = 30 * time.Second
	pollEvery   = 100 * time.Millisecond
)

func (p panel) terminate() *cobra.Command {
	command := &cobra.Command{
		Use: "terminate --all | --user NAME …", Short: "end live sessions; new ones may start at once", Args: cobra.NoArgs,
		Long: "Ends every live session that is selected and open now. Several flags narrow it; several values of one flag widen it.\n" +
			"New sessions may start at once: freeze or lock down to prevent that.",
		Example: "  portcullis terminate --all --justification \"Credentials leaked\"\n  portcullis terminate --user alice --device db-1",
	}
	chosen := new(emergencyv1.Selector)
	selector.Flags(command, chosen)
	act := p.ActFlags(command, "terminate")
	public := command.Flags().Bool("public", false, "those who are cut off may read the justification")
	preview := command.Flags().Bool("preview", false, "say what it would hit, and change nothing")
	digest := previewDigest(command)
	wait := command.Flags().Duration("wait", defaultWait, "how long to wait until all have ended; 0 doesn't")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := selector.Check(chosen); err != nil {
			return err
		}
		request := &emergencyv1.ApplyTerminationRequest{Selector: chosen, RequestId: act.RequestID, JustificationPublic: *public}
		dry := &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Termination{Termination: request}}
		if *preview {
			return p.showPreview(command, dry)
		}
		if err := act.AskWhy(command.Context()); err != nil {
			return err
		}
		request.Justification, request.GovernanceCode = act.Justification, act.Ticket
		p.announce(command.Context(), act, kind{noun: "termination"}, digest, func() *emergencyv1.PreviewRequest { return dry })
		request.Digest = *digest
		answer := new(emergencyv1.Emergency)
		err := act.Do(command.Context(), func(grant string) error {
			request.Grant = grant
			return p.PostOnce(command.Context(), "/v1/terminations", request, answer)
		})
		if err != nil {
			return err
		}
		return p.terminated(command.Context(), answer, *wait)
	}
	command.AddCommand(p.listTerminations(), p.show(kind{collection: "terminations"}))
	return command
}

// terminated follows a termination until the connectors have confirmed, or the wait is over.
func (p panel) terminated(ctx context.Context, e *emergencyv1.Emergency, wait time.Duration) error {
	if p.ForPeople() {
		fmt.Fprintf(p.Term.Out, "%s applied. It ends %s.\n", e.GetId(), selector.Text(e.GetSelector()))
	}
	if wait > 0 {
		e = p.follow(ctx, e, wait)
	}
	if !p.ForPeople() {
		return p.verdict(e, wait, p.Print(e, nil))
	}
	_, err := fmt.Fprintln(p.Term.Out, outcome(e)+"\nNew sessions may start at once. To prevent that: portcullis freeze apply, or portcullis lockdown apply.")
	return p.verdict(e, wait, err)
}

// verdict keeps a script from taking for over what is not known to be over.
func (p panel) verdict(e *emergencyv1.Emergency, wait time.Duration, err error) error {
	if err == nil && wait > 0 && e.GetStatus() != emergencyv1.Emergency_DONE {
		return app.Unconfirmed()
	}
	return err
}

func (p panel) follow(ctx context.Context, e *emergencyv1.Emergency, wait time.Duration) *emergencyv1.Emergency {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	progress := p.Progress()
	defer progress.Done()
	for {
		progress.Say(counts(e))
		if e.GetStatus() != emergencyv1.Emergency_RUNNING {
			return e
		}
		select {
		case <-ctx.Done():
			return e
		case <-time.After(pollEvery):
		}
		now := new(emergencyv1.Emergency)
		if err := p.Get(ctx, app.Path("terminations", e.GetId()), now); err == nil {
			e = now
		}
	}
}

// counts is how far a termination is. What is not known is not said to be nothing.
func counts(e *emergencyv1.Emergency) string {
	if e.Open == nil && e.Ended == nil {
		return "not known yet"
	}
	text := fmt.Sprintf("%d open, %d ended, %d unreachable", e.GetOpen(), e.GetEnded(), e.GetUnreachable())
	if e.LastEndedMs != nil {
		text += fmt.Sprintf(", last after %d ms", e.GetLastEndedMs())
	}
	return text
}

func outcome(e *emergencyv1.Emergency) string {
	switch {
	case e.GetStatus() == emergencyv1.Emergency_DONE && e.GetEnded() == 0:
		return "Nothing that it selects was open."
	case e.GetStatus() == emergencyv1.Emergency_DONE:
		return fmt.Sprintf("%s confirmed ended, the last after %d ms.", screen.Count(e.GetEnded(), "session"), e.GetLastEndedMs())
	case e.GetUnreachable() > 0:
		return fmt.Sprintf("%s confirmed ended, %d unreachable: whether they are over is not known. They end when their connector is heard again.",
			screen.Count(e.GetEnded(), "session"), e.GetUnreachable())
	}
	return fmt.Sprintf("%s confirmed ended, %d still open. Look again with `portcullis terminate show %s`.",
		screen.Count(e.GetEnded(), "session"), e.GetOpen(), e.GetId())
}

func (p panel) listTerminations() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list them, newest first", Args: cobra.NoArgs}
	listing := p.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(emergencyv1.ListTerminationsResponse)
		err := app.Collect(command.Context(), p.App, listing, "/v1/terminations", all,
			func(page *emergencyv1.ListTerminationsResponse) int { return len(page.GetTerminations()) })
		if err != nil {
			return err
		}
		return p.Print(all, func() *screen.Table { return p.terminations(all.GetTerminations()) })
	}
	return command
}

func (p panel) terminations(all []*emergencyv1.Emergency) *screen.Table {
	t := screen.NewTable("ID", "STATUS", "APPLIED", "SESSIONS", "SELECTS", "BY", "TICKET", "JUSTIFICATION")
	for _, e := range all {
		t.Cells(screen.Plain(e.GetId()), statusCell(e), screen.Plain(screen.Stamp(e.GetCreateTime(), p.Zone)), screen.Plain(counts(e)),
			screen.Plain(selector.Text(e.GetSelector())), screen.Plain(e.GetCreatedBy()), screen.Plain(e.GetGovernanceCode()), screen.Plain(e.GetJustification()))
	}
	return t
}
