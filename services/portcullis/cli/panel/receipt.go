package panel

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) receipts() *cobra.Command {
	return &cobra.Command{Use: "receipts ID", Short: "say which doors have confirmed an emergency", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			answer := new(emergencyv1.ListReceiptsResponse)
			if err := p.Get(command.Context(), app.Path("emergencies", args[0], "/receipts"), answer); err != nil {
				return err
			}
			return p.Print(answer, func() *screen.Table { return receiptTable(answer.GetReceipts()) })
		}}
}

func receiptTable(all []*emergencyv1.Receipt) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD AFTER", "ENDED", "STILL OPEN", "REVISION")
	for _, r := range all {
		held := ""
		if r.HeldMs != nil {
			held = fmt.Sprintf("%d ms", r.GetHeldMs())
		}
		t.Cells(screen.Plain(r.GetEnforcer()), screen.Plain(r.GetService()), screen.Painted(paintReceipt(r), r.GetState().String()),
			screen.Plain(held), screen.Plain(fmt.Sprint(r.GetEndedSessions())), screen.Plain(fmt.Sprint(r.GetOpenSessions())), screen.Plain(r.GetRevision()))
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
type tally struct{ confirmed, waiting, unreachable, ended, open int }

func tallyOf(all []*emergencyv1.Receipt) tally {
	var t tally
	for _, r := range all {
		switch r.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			t.confirmed++
		case emergencyv1.Receipt_UNREACHABLE:
			t.unreachable++
		default:
			t.waiting++
		}
		t.ended += int(r.GetEndedSessions())
		t.open += int(r.GetOpenSessions())
	}
	return t
}

func (t tally) done() bool {
	return t.confirmed > 0 && t.waiting == 0 && t.unreachable == 0 && t.open == 0
}

func (t tally) String() string {
	text := fmt.Sprintf("%d of %d doors confirmed, %d sessions ended, %d still open", t.confirmed, t.confirmed+t.waiting+t.unreachable, t.ended, t.open)
	if t.unreachable > 0 {
		text += fmt.Sprintf(", %d unreachable: what they do is not known", t.unreachable)
	}
	return text
}

// watchReceipts shows the doors shut, for as long as they take or the wait lasts. The window is on
// whatever they say: what is missing is shown, and not a failure of the command.
func (p panel) watchReceipts(ctx context.Context, id string, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	progress := p.Progress()
	defer progress.Done()
	for {
		answer := new(emergencyv1.ListReceiptsResponse)
		if err := p.Get(ctx, app.Path("emergencies", id, "/receipts"), answer); err == nil {
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

func (p panel) enforcers() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list who enforces, and how fresh each one's view is", Args: cobra.NoArgs}
	list.RunE = func(command *cobra.Command, _ []string) error {
		answer := new(emergencyv1.ListEnforcersResponse)
		if err := p.Get(command.Context(), "/v1/enforcers", answer); err != nil {
			return err
		}
		if p.ForPeople() {
			for _, line := range trouble(answer) {
				fmt.Fprintln(p.Term.Out, line)
			}
		}
		return p.Print(answer, func() *screen.Table { return p.enforcerTable(answer.GetEnforcers()) })
	}
	return app.Group("enforcer", "who shuts the doors", list)
}

// trouble is what keeps anything new from being put on record, in sentences.
func trouble(of *emergencyv1.ListEnforcersResponse) []string {
	var all []string
	const rest = " What is on stays on; portcullis hold shuts the doors meanwhile."
	switch of.GetJournal().GetState() {
	case emergencyv1.JournalHealth_FULL:
		all = append(all, screen.Closed.Render("The journal is full and takes nothing new.")+rest)
	case emergencyv1.JournalHealth_UNREACHABLE:
		all = append(all, screen.Closed.Render("The journal can't be reached and takes nothing new.")+rest)
	}
	wrong, stale := map[string]time.Duration{}, 0
	for _, e := range of.GetEnforcers() {
		if !e.GetFresh() {
			stale++
		}
		wrong[e.GetId()] = e.GetClockSkew().AsDuration()
	}
	if stale > 0 {
		all = append(all, fmt.Sprintf("%d of %s don't show that they know all that is on record: portcullis enforcer list says which.", stale, count(uint32(len(of.GetEnforcers())), "enforcer")))
	}
	wrong["emergency-control"] = of.GetClockSkew().AsDuration()
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if off := wrong[name]; off != 0 {
			way := map[bool]string{true: "fast", false: "slow"}[off > 0]
			all = append(all, screen.Closed.Render(fmt.Sprintf("The clock of %s is %s %s: no freeze and no lockdown is applied until it is right.", name, off.Abs().Round(time.Second), way))+rest)
		}
	}
	return all
}

func (p panel) enforcerTable(all []*emergencyv1.Enforcer) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "MODE", "FRESH", "AGE", "LAST SEEN", "SESSIONS", "REVISION")
	for _, e := range all {
		fresh, open := screen.Painted(screen.Sure, "yes"), ""
		if !e.GetFresh() {
			fresh = screen.Painted(screen.Closed, "no")
		}
		if e.OpenSessions != nil {
			open = fmt.Sprint(e.GetOpenSessions())
		}
		t.Cells(screen.Plain(e.GetId()), screen.Plain(e.GetService()), screen.Plain(e.GetMode().String()), fresh, screen.Plain(ageOf(e)),
			screen.Plain(screen.Stamp(e.GetLastSeenTime(), p.Zone)), screen.Plain(open), screen.Plain(e.GetRevision()))
	}
	return t
}

// ageOf is how old an enforcer's view is, of how old it may be.
func ageOf(e *emergencyv1.Enforcer) string {
	if e.GetBound() == nil {
		return ""
	}
	age := "never"
	if e.GetAge() != nil {
		age = e.GetAge().AsDuration().Round(100 * time.Millisecond).String()
	}
	return age + " of " + e.GetBound().AsDuration().String()
}
