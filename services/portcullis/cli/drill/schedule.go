package drill

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (x drills) schedule(command *cobra.Command) func(practised) func(*cobra.Command) error {
	lasts := command.Flags().Duration("for", time.Minute, "how long each runs: 10s to 15m")
	first := command.Flags().String("first", "", "the first time: 22:30, \"2026-11-30 22:30\", or RFC 3339")
	every := command.Flags().String("every", "7d", "how long until the next: whole days, as 1d or 7d")
	act := x.ActFlags(command, "drill")
	return func(what practised) func(*cobra.Command) error {
		return func(command *cobra.Command) error {
			r, err := x.scheduleRequest(what, *lasts, *first, *every)
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
				return x.PostOnce(command.Context(), "/v1/drill-schedules", r, answer)
			})
			if err != nil {
				return err
			}
			return x.Print(answer, func() *screen.Table { return x.schedules(answer) })
		}
	}
}

func (x drills) scheduleRequest(what practised, lasts time.Duration, first, every string) (*emergencyv1.CreateDrillScheduleRequest, error) {
	at, err := screen.ParseMoment(first, x.Now(), x.Zone)
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

func (x drills) schedules(all ...*emergencyv1.DrillSchedule) *screen.Table {
	t := screen.NewTable("ID", "PRACTISES", "NEXT", "EVERY", "LAST", "LEFT OUT", "ANSWERS FOR IT", "JUSTIFICATION")
	for _, s := range all {
		t.Row(s.GetId(), practiceText(s.GetPractice()), cmp.Or(screen.Stamp(s.GetNextTime(), x.Zone), "never again"), screen.Span(s.GetInterval().AsDuration()), s.GetLastDrill(),
			s.GetLeftOut(), s.GetCreatedBy(), s.GetJustification())
	}
	return t
}

func (x drills) listSchedules() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list what is planned, the next first", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			answer := new(emergencyv1.ListDrillSchedulesResponse)
			if err := x.Get(command.Context(), "/v1/drill-schedules", answer); err != nil {
				return err
			}
			return x.Print(answer, func() *screen.Table { return x.schedules(answer.GetSchedules()...) })
		}}
}

func (x drills) deleteSchedule() *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "plan it no longer; a drill that runs goes on", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := x.Delete(command.Context(), app.Path("drill-schedules", args[0]), nil); err != nil {
				return err
			}
			return x.Tell(new(emergencyv1.DeleteDrillScheduleRequest), "Drill schedule %s is deleted.", args[0])
		}}
}
