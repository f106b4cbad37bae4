package panel

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/api"
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
			if p.ForPeople() && answer.GetSummary() != nil {
				fmt.Fprintln(p.Term.Out, summed(answer.GetSummary()))
			}
			return p.Print(answer, func() *screen.Table { return p.receiptTable(answer.GetReceipts()) })
		}}
}

func (p panel) receiptTable(all []*emergencyv1.Receipt) *screen.Table {
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
			screen.Plain(held), screen.Plain(screen.Stamp(r.GetLastAllowedTime(), p.Zone)), screen.Plain(fmt.Sprint(r.GetEndedSessions())), screen.Plain(fmt.Sprint(r.GetOpenSessions())), screen.Plain(r.GetRevision()))
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
	list := &cobra.Command{Use: "list", Short: "list who enforces, how fresh each one's view is, and who is missing", Args: cobra.NoArgs}
	drained := list.Flags().Bool("drained", false, "those, too, that have ended in good order")
	list.RunE = func(command *cobra.Command, _ []string) error {
		answer := new(emergencyv1.ListEnforcersResponse)
		query := url.Values{}
		if *drained {
			query.Set("showDrained", "true")
		}
		if err := p.Client().Do(command.Context(), api.Request{Method: http.MethodGet, Path: "/v1/enforcers", Query: query, Out: answer}); err != nil {
			return err
		}
		if p.ForPeople() {
			for _, line := range trouble(answer) {
				fmt.Fprintln(p.Term.Out, line)
			}
		}
		return p.Print(answer, func() *screen.Table { return p.enforcerTable(answer.GetEnforcers()) })
	}
	return app.Group("enforcer", "who shuts the doors", list, p.forget())
}

// forget takes one off the roster that will not be back.
func (p panel) forget() *cobra.Command {
	return &cobra.Command{Use: "forget SERVICE ID", Short: "take one off the roster that is gone for good, so that nobody misses it", Args: cobra.ExactArgs(2),
		Example: "  portcullis enforcer forget guard orders-1@tok-7",
		RunE: func(command *cobra.Command, args []string) error {
			if err := p.Delete(command.Context(), app.Path("enforcers", args[0], "/"+url.PathEscape(args[1])), nil); err != nil {
				return err
			}
			return p.Tell(&emergencyv1.ForgetEnforcerResponse{}, "%s/%s is forgotten. If it is heard again, it is on the roster again.", args[0], args[1])
		}}
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
	wrong, stale, lacking := map[string]time.Duration{}, 0, uint32(0)
	for _, e := range of.GetEnforcers() {
		lacking += e.GetLacking()
		if !e.GetFresh() && e.GetPresence() != emergencyv1.Enforcer_DRAINED && e.GetLacking() == 0 {
			stale++
		}
		wrong[e.GetId()] = e.GetClockSkew().AsDuration()
	}
	if stale > 0 {
		all = append(all, fmt.Sprintf("%d of %s don't show that they know all that is on record: portcullis enforcer list says which.", stale, count(uint32(len(of.GetEnforcers())), "enforcer")))
	}
	if lacking > 0 {
		all = append(all, fmt.Sprintf("%s that the policy expects never came: portcullis enforcer list says which.", count(lacking, "enforcer")))
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
	t := screen.NewTable("ENFORCER", "SERVICE", "MODE", "FRESH", "PRESENCE", "AGE", "LAST SEEN", "SESSIONS", "REVISION")
	for _, e := range all {
		fresh, open := screen.Painted(screen.Sure, "yes"), ""
		if !e.GetFresh() {
			fresh = screen.Painted(screen.Closed, "no")
		}
		if e.OpenSessions != nil {
			open = fmt.Sprint(e.GetOpenSessions())
		}
		is := ""
		if e.GetPresence() != emergencyv1.Enforcer_PRESENCE_UNSPECIFIED {
			is = strings.ToLower(e.GetPresence().String())
		}
		if e.GetLacking() > 0 {
			is += fmt.Sprintf(", %d never came", e.GetLacking())
		}
		t.Cells(screen.Plain(e.GetId()), screen.Plain(e.GetService()), screen.Plain(strings.TrimPrefix(e.GetMode().String(), "MODE_UNSPECIFIED")), fresh, screen.Plain(is), screen.Plain(ageOf(e)),
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
