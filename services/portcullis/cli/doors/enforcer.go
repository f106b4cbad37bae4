package doors

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

func (d Doors) enforcers() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list who enforces, how fresh each one's view is, and who is missing", Args: cobra.NoArgs}
	drained := list.Flags().Bool("drained", false, "those, too, that have ended in good order")
	limit := limitFlag(list)
	list.RunE = func(command *cobra.Command, _ []string) error {
		query, err := mostOf(*limit)
		if err != nil {
			return err
		}
		answer := new(emergencyv1.ListEnforcersResponse)
		if *drained {
			query.Set("showDrained", "true")
		}
		if err := d.Client().Do(command.Context(), api.Request{Method: http.MethodGet, Path: "/v1/enforcers", Query: query, Out: answer}); err != nil {
			return err
		}
		if d.ForPeople() {
			d.warn(answer)
		}
		return d.printRows(answer, func() *screen.Table { return d.enforcerTable(answer.GetEnforcers()) }, moreEnforcers(answer))
	}
	return app.Group("enforcer", "who shuts the doors", list, d.forget())
}

// forget takes one off the roster that will not be back.
func (d Doors) forget() *cobra.Command {
	command := &cobra.Command{Use: "forget SERVICE ID", Short: "take one off the roster that is gone for good, so that nobody misses it", Args: cobra.ExactArgs(2),
		Long: "Take one off the roster that is gone for good, so that nobody misses it.\n\n" +
			"It takes a code and goes on the record. Of what is on by then its receipt stays unreachable, and names who forgot it.",
		Example: "  portcullis enforcer forget guard orders-1@tok-7"}
	act := d.CodeFlags(command, "enforcer")
	command.RunE = func(command *cobra.Command, args []string) error {
		answer := new(emergencyv1.ForgetEnforcerResponse)
		err := act.Do(command.Context(), func(grant string) error {
			return d.PostOnce(command.Context(), app.Path("enforcers", args[0], "/"+url.PathEscape(args[1])+":forget"),
				&emergencyv1.ForgetEnforcerRequest{Justification: act.Justification, Grant: grant, RequestId: act.RequestID}, answer)
		})
		if err != nil {
			return err
		}
		return d.Tell(answer, "%s/%s is forgotten. If it is heard again, it is on the roster again.", args[0], args[1])
	}
	return command
}

// Warn tells those who may know of it what keeps anything new from being put on record. It keeps nobody from what else
// there is to say.
func (d Doors) Warn(ctx context.Context) {
	answer := new(emergencyv1.ListEnforcersResponse)
	if d.ForPeople() && d.few(ctx, "/v1/enforcers", looked, answer) == nil {
		d.warn(answer)
	}
}

func (d Doors) warn(of *emergencyv1.ListEnforcersResponse) {
	for _, line := range trouble(of) {
		fmt.Fprintln(d.Term.Out, line)
	}
}

// trouble is what keeps anything new from being put on record, in sentences.
func trouble(of *emergencyv1.ListEnforcersResponse) []string {
	var all []string
	const rest = " What is on stays on; portcullis hold shuts the doors meanwhile."
	switch of.GetJournal().GetState() {
	case emergencyv1.JournalHealth_FULL:
		all = append(all, screen.Closed.Render("The journal is full and takes nothing new.")+rest)
	case emergencyv1.JournalHealth_BROKEN:
		all = append(all, screen.Closed.Render("The record does not verify, and nothing is added to it until people have looked.")+rest+" portcullis audit verify says where.")
	case emergencyv1.JournalHealth_UNREACHABLE:
		all = append(all, screen.Closed.Render("The journal can't be reached and takes nothing new.")+rest)
	}
	stale, lacking := unsure(of)
	if stale > 0 {
		count := uint32(len(of.GetEnforcers())) + of.GetOmittedEnforcers()
		all = append(all, fmt.Sprintf("%d of %s don't show that they know all that is on record: portcullis enforcer list says which.", stale, screen.Count(count, "enforcer")))
	}
	if lacking > 0 {
		all = append(all, fmt.Sprintf("%s that the policy expects never came: portcullis enforcer list says which.", screen.Count(lacking, "enforcer")))
	}
	return append(all, clocks(of, rest)...)
}

// unsure is how many don't show that they know all, and how many never came: by the sums where enforcers are left out, and else one by
// one, for a control of an earlier version sums up nothing.
func unsure(of *emergencyv1.ListEnforcersResponse) (stale, lacking uint32) {
	if s := of.GetSummary(); of.GetOmittedEnforcers() > 0 {
		return s.GetOld() + s.GetSilent(), s.GetMissing()
	}
	for _, e := range of.GetEnforcers() {
		lacking += e.GetLacking()
		if !e.GetFresh() && e.GetPresence() != emergencyv1.Enforcer_DRAINED && e.GetLacking() == 0 {
			stale++
		}
	}
	return stale, lacking
}

// clocks are the sentences about those that are wrong.
func clocks(of *emergencyv1.ListEnforcersResponse, rest string) []string {
	var all []string
	wrong, told := map[string]time.Duration{}, uint32(0)
	for _, e := range of.GetEnforcers() {
		wrong[e.GetId()] = e.GetClockSkew().AsDuration()
		if e.GetClockSkew() != nil {
			told++
		}
	}
	wrong["emergency-control"] = of.GetClockSkew().AsDuration()
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if off := wrong[name]; off != 0 {
			way := map[bool]string{true: "fast", false: "slow"}[off > 0]
			all = append(all, screen.Closed.Render(fmt.Sprintf("The clock of %s is %s %s: no freeze and no lockdown is applied until it is right.", name, off.Abs().Round(time.Second), way))+rest)
		}
	}
	if skewed := of.GetSummary().GetSkewed(); skewed > told {
		all = append(all, screen.Closed.Render(fmt.Sprintf("And so are the clocks of %d more.", skewed-told)))
	}
	return all
}

// roll says how many are there to shut the doors, who is missing, and what keeps anything new from being put on record. Whoever may not see that is told nothing.
func (d Doors) roll(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, boardAnswer)
	defer cancel()
	answer := new(emergencyv1.ListEnforcersResponse)
	if d.few(ctx, "/v1/enforcers", looked, answer) != nil {
		return ""
	}
	return rollOf(answer)
}

func rollOf(answer *emergencyv1.ListEnforcersResponse) string {
	there, groups, names := uint32(0), 0, []string(nil)
	for _, e := range answer.GetEnforcers() {
		name := screen.Clean(e.GetService() + "/" + e.GetId())
		switch {
		case e.GetLacking() > 0:
			groups++
			names = append(names, fmt.Sprintf("%s (%d never came)", name, e.GetLacking()))
		case e.GetPresence() == emergencyv1.Enforcer_MISSING:
			names = append(names, name)
		case e.GetPresence() != emergencyv1.Enforcer_DRAINED && e.GetPresence() != emergencyv1.Enforcer_FORGOTTEN:
			there++
		}
	}
	missing := len(names)
	if s := answer.GetSummary(); answer.GetOmittedEnforcers() > 0 { // those whose clock is wrong come first, then who never came, then the silent
		groups = max(groups, min(1, int(s.GetMissing())))
		there, missing = s.GetCurrent()+s.GetBehind()+s.GetOld(), max(missing, groups+int(s.GetSilent()))
	}
	text := rollText(there, missing, names)
	for _, line := range trouble(answer) {
		text += line + "\n"
	}
	return text
}

func rollText(there uint32, missing int, names []string) string {
	text := screen.Count(there, "enforcer") + " there"
	if missing == 0 {
		return text + ", none missing.\n"
	}
	if len(names) == 0 {
		return fmt.Sprintf("%s, %d %s. portcullis enforcer list says which.\n", text, missing, screen.Closed.Render("not heard"))
	}
	names = names[:min(len(names), boardNames)]
	text += ", " + screen.Closed.Render("missing") + ": " + screen.List(names)
	if left := missing - len(names); left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text + ". portcullis enforcer list says more.\n"
}

func (d Doors) enforcerTable(all []*emergencyv1.Enforcer) *screen.Table {
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
			screen.Plain(screen.Stamp(e.GetLastSeenTime(), d.Zone)), screen.Plain(open), screen.Plain(e.GetRevision()))
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
