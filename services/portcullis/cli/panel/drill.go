package panel

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

// drill answers the commands of exercises.
func (p panel) drill() *cobra.Command {
	each := func(use, short string, build func(command *cobra.Command) func(practised) func(*cobra.Command) error) *cobra.Command {
		group := app.Group(use, short)
		for _, what := range []string{"lockdown", "freeze", "termination"} {
			command := &cobra.Command{Use: what, Short: short + ": a " + what, Args: cobra.NoArgs}
			does := build(command)
			practice := practiceFlags(command, what)
			command.RunE = func(command *cobra.Command, _ []string) error {
				chosen, err := practice()
				if err != nil {
					return err
				}
				return does(chosen)(command)
			}
			group.AddCommand(command)
		}
		return group
	}
	schedule := each("schedule", "practise one again and again", p.scheduleDrill)
	schedule.AddCommand(p.listSchedules(), p.deleteSchedule())
	return app.Group("drill", "practise an emergency: the same way to every door, and nobody is touched",
		each("run", "practise one now", p.runDrill), p.listDrills(), p.showDrill(), p.cancelDrill(), schedule)
}

// practised is what is practised, one of the three.
type practised struct {
	termination *emergencyv1.ApplyTerminationRequest
	freeze      *emergencyv1.ApplyFreezeRequest
	lockdown    *emergencyv1.ApplyLockdownRequest
}

func practiceFlags(command *cobra.Command, what string) func() (practised, error) {
	switch what {
	case "termination":
		selector := new(emergencyv1.Selector)
		selectorFlags(command, selector)
		return func() (practised, error) {
			return practised{termination: &emergencyv1.ApplyTerminationRequest{Selector: selector}}, checkSelector(selector)
		}
	case "freeze":
		r := new(emergencyv1.ApplyFreezeRequest)
		command.Flags().BoolVar(&r.EndLiveSessions, "end-live-sessions", false, "as if it ended the live sessions on the frozen devices too")
		return func() (practised, error) { return practised{freeze: r}, nil }
	}
	r := new(emergencyv1.ApplyLockdownRequest)
	command.Flags().StringSliceVar(&r.BreakGlassUsers, "break-glass-user", nil, "user whom it would let through; may be repeated")
	command.Flags().StringSliceVar(&r.BreakGlassTokens, "break-glass-token", nil, "id of a token that it would let through; may be repeated")
	return func() (practised, error) { return practised{lockdown: r}, nil }
}

func (p panel) runDrill(command *cobra.Command) func(practised) func(*cobra.Command) error {
	lasts := command.Flags().Duration("for", time.Minute, "how long: 10s to 15m")
	wait := command.Flags().Bool("wait", true, "watch until it has ended; an interrupt leaves it running")
	act := p.ActFlags(command, "drill")
	return func(what practised) func(*cobra.Command) error {
		return func(command *cobra.Command) error {
			if err := act.AskWhy(command.Context()); err != nil {
				return err
			}
			d := new(emergencyv1.Drill)
			err := act.Do(command.Context(), func(grant string) error {
				r := &emergencyv1.CreateDrillRequest{Duration: durationpb.New(*lasts), Justification: act.Justification, GovernanceCode: act.Ticket, Grant: grant, RequestId: act.RequestID}
				switch {
				case what.termination != nil:
					r.Practice = &emergencyv1.CreateDrillRequest_Termination{Termination: what.termination}
				case what.freeze != nil:
					r.Practice = &emergencyv1.CreateDrillRequest_Freeze{Freeze: what.freeze}
				default:
					r.Practice = &emergencyv1.CreateDrillRequest_Lockdown{Lockdown: what.lockdown}
				}
				return p.PostOnce(command.Context(), "/v1/drills", r, d)
			})
			if err == nil && *wait {
				d, err = p.followDrill(command.Context(), d)
			}
			if err != nil {
				return err
			}
			return p.printDrill(d)
		}
	}
}

// followDrill watches a drill until its end.
func (p panel) followDrill(ctx context.Context, d *emergencyv1.Drill) (*emergencyv1.Drill, error) {
	progress := p.Progress()
	defer progress.Done()
	for d.GetStatus() == emergencyv1.Drill_RUNNING {
		progress.Say(d.GetId() + " runs: " + shown(d.GetResult()))
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(5 * pollEvery):
		}
		now := new(emergencyv1.Drill)
		if err := p.Get(ctx, app.Path("drills", d.GetId()), now); err == nil {
			d = now
		}
	}
	return d, nil
}

// shown is a result in one line.
func shown(r *emergencyv1.DrillResult) string {
	text := fmt.Sprintf("%d confirmed, %d waiting, %d unreachable", r.GetConfirmed(), r.GetWaiting(), r.GetUnreachable())
	if r.MedianMs != nil {
		text += fmt.Sprintf("; half of them within %d ms, all that were timed within %d ms", r.GetMedianMs(), r.GetSlowestMs())
	}
	return text
}

// would is what would have been.
func would(r *emergencyv1.DrillResult) string {
	return fmt.Sprintf("%s refused, %s ended", count(uint32(min(r.GetWouldRefuse(), 1<<32-1)), "request"), count(r.GetWouldEnd(), "session"))
}

func (p panel) printDrill(d *emergencyv1.Drill) error {
	if !p.ForPeople() {
		return p.Print(d, nil)
	}
	t := screen.Pairs()
	t.Pair("id", d.GetId())
	t.Pair("status", d.GetStatus().String())
	t.Pair("practised", practiceText(d.GetPractice()))
	t.Pair("started", screen.Stamp(d.GetStartTime(), p.Zone))
	t.Pair("ends", screen.Until(d.GetEndTime(), p.Zone))
	t.Pair("ended by", d.GetEndedBy())
	t.Pair("doors", shown(d.GetResult()))
	t.Pair("would have", would(d.GetResult()))
	t.Pair("justification", d.GetJustification())
	t.Pair("ticket", d.GetGovernanceCode())
	t.Pair("by", d.GetCreatedBy())
	t.Pair("schedule", d.GetSchedule())
	if err := t.Write(p.Term.Out); err != nil {
		return err
	}
	if len(d.GetResult().GetReceipts()) == 0 {
		return nil
	}
	fmt.Fprintln(p.Term.Out)
	return p.drillReceipts(d.GetResult()).Write(p.Term.Out)
}

func (p panel) drillReceipts(r *emergencyv1.DrillResult) *screen.Table {
	t := screen.NewTable("ENFORCER", "SERVICE", "STATE", "HELD AFTER", "WOULD REFUSE", "WOULD END")
	for _, one := range r.GetReceipts() {
		paint, after, refuse, end := screen.Held, "", "not told", "not told"
		if one.GetState() == emergencyv1.Receipt_CONFIRMED {
			paint = screen.Sure
		}
		if one.HeldMs != nil {
			after = fmt.Sprintf("%d ms", one.GetHeldMs())
		}
		if one.WouldRefuse != nil {
			refuse, end = fmt.Sprint(one.GetWouldRefuse()), fmt.Sprint(one.GetWouldEnd())
		}
		t.Cells(screen.Plain(one.GetEnforcer()), screen.Plain(one.GetService()), screen.Painted(paint, one.GetState().String()),
			screen.Plain(after), screen.Plain(refuse), screen.Plain(end))
	}
	return t
}

func practiceText(p *emergencyv1.Practice) string {
	text := map[emergencyv1.Emergency_Kind]string{
		emergencyv1.Emergency_TERMINATION: "termination", emergencyv1.Emergency_FREEZE: "freeze", emergencyv1.Emergency_LOCKDOWN: "lockdown",
	}[p.GetKind()]
	if selects := selected(p.GetSelector()); selects != "" {
		text += " of " + selects
	}
	return text
}

func (p panel) listDrills() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list drills, newest first", Args: cobra.NoArgs}
	listing := p.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(emergencyv1.ListDrillsResponse)
		err := app.Collect(command.Context(), p.App, listing, "/v1/drills", all, func(page *emergencyv1.ListDrillsResponse) int { return len(page.GetDrills()) })
		if err != nil {
			return err
		}
		return p.Print(all, func() *screen.Table {
			t := screen.NewTable("ID", "STATUS", "PRACTISED", "STARTED", "DOORS", "WOULD HAVE", "BY")
			for _, d := range all.GetDrills() {
				t.Row(d.GetId(), d.GetStatus().String(), practiceText(d.GetPractice()), screen.Stamp(d.GetStartTime(), p.Zone), shown(d.GetResult()), would(d.GetResult()), d.GetCreatedBy())
			}
			return t
		})
	}
	return command
}

func (p panel) showDrill() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "show what a drill has shown, door by door", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			d := new(emergencyv1.Drill)
			if err := p.Get(command.Context(), app.Path("drills", args[0]), d); err != nil {
				return err
			}
			return p.printDrill(d)
		}}
}

func (p panel) cancelDrill() *cobra.Command {
	command := &cobra.Command{Use: "cancel ID", Short: "end a drill that runs, with what was measured so far", Args: cobra.ExactArgs(1)}
	why := command.Flags().StringP("justification", "j", "", "why; it goes on the record")
	command.RunE = func(command *cobra.Command, args []string) error {
		d := new(emergencyv1.Drill)
		if err := p.PostOnce(command.Context(), app.Path("drills", args[0], ":cancel"), &emergencyv1.CancelDrillRequest{Justification: *why, RequestId: app.RequestID()}, d); err != nil {
			return err
		}
		return p.printDrill(d)
	}
	return command
}

func (p panel) scheduleDrill(command *cobra.Command) func(practised) func(*cobra.Command) error {
	lasts := command.Flags().Duration("for", time.Minute, "how long each runs: 10s to 15m")
	first := command.Flags().String("first", "", "the first time: 22:30, \"2026-11-30 22:30\", or RFC 3339")
	every := command.Flags().String("every", "7d", "how long until the next: whole days, as 1d or 7d")
	act := p.ActFlags(command, "drill")
	return func(what practised) func(*cobra.Command) error {
		return func(command *cobra.Command) error {
			r, err := p.scheduleRequest(what, *lasts, *first, *every)
			if err != nil {
				return err
			}
			if err := act.AskWhy(command.Context()); err != nil {
				return err
			}
			r.Justification, r.GovernanceCode, r.RequestId = act.Justification, act.Ticket, act.RequestID
			answer := new(emergencyv1.DrillSchedule)
			err = act.Do(command.Context(), func(grant string) error {
				r.Grant = grant
				return p.PostOnce(command.Context(), "/v1/drill-schedules", r, answer)
			})
			if err != nil {
				return err
			}
			return p.Print(answer, func() *screen.Table { return p.schedules(answer) })
		}
	}
}

func (p panel) scheduleRequest(what practised, lasts time.Duration, first, every string) (*emergencyv1.CreateDrillScheduleRequest, error) {
	at, err := screen.ParseMoment(first, p.Now(), p.Zone)
	if err != nil {
		return nil, app.Usagef("--first: %v", err)
	}
	interval, err := screen.ParseSpan(every)
	if err != nil {
		return nil, app.Usagef("--every: %v", err)
	}
	r := &emergencyv1.CreateDrillScheduleRequest{Duration: durationpb.New(lasts), FirstTime: timestamppb.New(at), Interval: durationpb.New(interval)}
	switch {
	case what.termination != nil:
		r.Practice = &emergencyv1.CreateDrillScheduleRequest_Termination{Termination: what.termination}
	case what.freeze != nil:
		r.Practice = &emergencyv1.CreateDrillScheduleRequest_Freeze{Freeze: what.freeze}
	default:
		r.Practice = &emergencyv1.CreateDrillScheduleRequest_Lockdown{Lockdown: what.lockdown}
	}
	return r, nil
}

func (p panel) schedules(all ...*emergencyv1.DrillSchedule) *screen.Table {
	t := screen.NewTable("ID", "PRACTISES", "NEXT", "EVERY", "LAST", "LEFT OUT", "ANSWERS FOR IT", "JUSTIFICATION")
	for _, s := range all {
		t.Row(s.GetId(), practiceText(s.GetPractice()), cmp.Or(screen.Stamp(s.GetNextTime(), p.Zone), "never again"), screen.Span(s.GetInterval().AsDuration()), s.GetLastDrill(),
			s.GetLeftOut(), s.GetCreatedBy(), s.GetJustification())
	}
	return t
}

func (p panel) listSchedules() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list what is planned, the next first", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			answer := new(emergencyv1.ListDrillSchedulesResponse)
			if err := p.Get(command.Context(), "/v1/drill-schedules", answer); err != nil {
				return err
			}
			return p.Print(answer, func() *screen.Table { return p.schedules(answer.GetSchedules()...) })
		}}
}

func (p panel) deleteSchedule() *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "plan it no longer; a drill that runs goes on", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := p.Delete(command.Context(), app.Path("drill-schedules", args[0]), nil); err != nil {
				return err
			}
			return p.Tell(proto.Message(new(emergencyv1.DeleteDrillScheduleRequest)), "Drill schedule %s is deleted.", args[0])
		}}
}
