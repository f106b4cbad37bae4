// Package doors is who enforces, and who of them has confirmed an emergency: receipts, the roster, the board.
package doors

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const pollEvery = 100 * time.Millisecond

// Doors are the commands about them, and what other commands say of them.
type Doors struct{ *app.App }

// Commands answers the commands about the doors.
func Commands(a *app.App) []*cobra.Command {
	d := Doors{a}
	return []*cobra.Command{d.receipts(), d.enforcers()}
}

func (d Doors) receipts() *cobra.Command {
	return &cobra.Command{Use: "receipts ID", Short: "say which doors have confirmed an emergency", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			answer := new(emergencyv1.ListReceiptsResponse)
			if err := d.Get(command.Context(), app.Path("emergencies", args[0], "/receipts"), answer); err != nil {
				return err
			}
			if d.ForPeople() && answer.GetSummary() != nil {
				fmt.Fprintln(d.Term.Out, summed(answer.GetSummary()))
			}
			return d.Print(answer, func() *screen.Table { return d.receiptTable(answer.GetReceipts()) })
		}}
}

func (d Doors) receiptTable(all []*emergencyv1.Receipt) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD AFTER", "LAST LET THROUGH", "ENDED", "STILL OPEN", "REVISION")
	for _, r := range all {
		held := ""
		if r.HeldMs != nil {
			held = fmt.Sprintf("%d ms", r.GetHeldMs())
		}
		if r.GetBeganAfter() {
			held = "began later"
		}
		if r.GetState() == emergencyv1.Receipt_MISSING {
			held = fmt.Sprintf("%d never came", r.GetLacking())
		}
		t.Cells(screen.Plain(r.GetEnforcer()), screen.Plain(r.GetService()), screen.Painted(paintReceipt(r), r.GetState().String()),
			screen.Plain(held), screen.Plain(screen.Stamp(r.GetLastAllowedTime(), d.Zone)), screen.Plain(fmt.Sprint(r.GetEndedSessions())), screen.Plain(fmt.Sprint(r.GetOpenSessions())), screen.Plain(r.GetRevision()))
	}
	return t
}

func paintReceipt(r *emergencyv1.Receipt) screen.Paint {
	switch r.GetState() {
	case emergencyv1.Receipt_CONFIRMED:
		return screen.Sure
	case emergencyv1.Receipt_WAITING:
		return screen.Held
	}
	return screen.Closed
}

// tally is all receipts in one line.
type tally struct{ confirmed, waiting, unreachable, missing, ended, open int }

func tallyOf(all []*emergencyv1.Receipt) tally {
	var t tally
	for _, r := range all {
		switch r.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			t.confirmed++
		case emergencyv1.Receipt_UNREACHABLE:
			t.unreachable++
		case emergencyv1.Receipt_MISSING:
			t.missing += int(r.GetLacking())
		default:
			t.waiting++
		}
		t.ended += int(r.GetEndedSessions())
		t.open += int(r.GetOpenSessions())
	}
	return t
}

func (t tally) done() bool {
	return t.confirmed > 0 && t.waiting == 0 && t.unreachable == 0 && t.missing == 0 && t.open == 0
}

func (t tally) String() string {
	text := fmt.Sprintf("%d of %d doors confirmed, %d sessions ended, %d still open", t.confirmed, t.confirmed+t.waiting+t.unreachable+t.missing, t.ended, t.open)
	if t.unreachable > 0 {
		text += fmt.Sprintf(", %d unreachable: what they do is not known", t.unreachable)
	}
	if t.missing > 0 {
		text += fmt.Sprintf(", %d missing", t.missing)
	}
	return text
}

// Follow shows the doors shut, for as long as they take or the wait lasts. The window is on
// whatever they say: what is missing is shown, and not a failure of the command.
func (d Doors) Follow(ctx context.Context, id string, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	progress := d.Progress()
	defer progress.Done()
	for {
		answer := new(emergencyv1.ListReceiptsResponse)
		if err := d.Get(ctx, app.Path("emergencies", id, "/receipts"), answer); err == nil {
			now := tallyOf(answer.GetReceipts())
			progress.Say(now.String())
			if now.done() {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollEvery):
		}
	}
}
