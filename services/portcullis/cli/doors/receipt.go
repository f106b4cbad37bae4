// Package doors is who enforces, and who of them has confirmed an emergency: receipts, the roster, the board.
package doors

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const (
	pollEvery  = 100 * time.Millisecond
	pollDoors  = 1000 // for so many more doors it is that much longer
	pollAtMost = time.Second
)

// Doors are the commands about them, and what other commands say of them.
type Doors struct{ *app.App }

// Commands answers the commands about the doors.
func Commands(a *app.App) []*cobra.Command {
	d := Doors{a}
	return []*cobra.Command{d.receipts(), d.enforcers()}
}

func (d Doors) receipts() *cobra.Command {
	command := &cobra.Command{Use: "receipts ID", Short: "say which doors have confirmed an emergency", Args: cobra.ExactArgs(1)}
	limit := limitFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		query, err := mostOf(*limit)
		if err != nil {
			return err
		}
		answer := new(emergencyv1.ListReceiptsResponse)
		ask := api.Request{Method: http.MethodGet, Path: app.Path("emergencies", args[0], "/receipts"), Query: query, Out: answer}
		if err := d.Client().Do(command.Context(), ask); err != nil {
			return err
		}
		if d.ForPeople() && answer.GetSummary() != nil {
			fmt.Fprintln(d.Term.Out, summed(answer.GetSummary()))
		}
		return d.printRows(answer, func() *screen.Table { return d.receiptTable(answer.GetReceipts()) }, moreReceipts(answer))
	}
	return command
}

// printRows prints a list and, for people, what it leaves out.
func (d Doors) printRows(answer proto.Message, draw func() *screen.Table, rest string) error {
	err := d.Print(answer, draw)
	if err == nil && rest != "" && d.ForPeople() {
		_, err = fmt.Fprintln(d.Term.Out, rest)
	}
	return err
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

// tallyOf takes the sums where receipts are left out, and else the receipts, for a control of an earlier version sums up less.
func tallyOf(of *emergencyv1.ListReceiptsResponse) tally {
	if s := of.GetSummary(); of.GetOmittedReceipts() > 0 {
		return tally{confirmed: int(s.GetConfirmed()), waiting: int(s.GetWaiting()), unreachable: int(s.GetUnreachable()), missing: int(s.GetMissing()),
			ended: int(s.GetEndedSessions()), open: int(s.GetOpenSessions())}
	}
	var t tally
	for _, r := range of.GetReceipts() {
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

func (t tally) doors() int { return t.confirmed + t.waiting + t.unreachable + t.missing }

func (t tally) String() string {
	text := fmt.Sprintf("%d of %d doors confirmed, %d sessions ended, %d still open", t.confirmed, t.doors(), t.ended, t.open)
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
		answer, pace := new(emergencyv1.ListReceiptsResponse), pollEvery
		if err := d.few(ctx, app.Path("emergencies", id, "/receipts"), 0, answer); err == nil {
			now := tallyOf(answer)
			pace = paceOf(now)
			progress.Say(now.String())
			if now.done() {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// paceOf is how long to rest until the next look: each door costs control something, so that a second goes by where there are ten thousand.
func paceOf(t tally) time.Duration {
	return min(pollEvery*time.Duration(1+t.doors()/pollDoors), pollAtMost)
}
