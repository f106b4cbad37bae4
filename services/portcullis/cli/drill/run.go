package drill

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

const pollEvery = 500 * time.Millisecond

func (x drills) run(command *cobra.Command) func(practised) func(*cobra.Command) error {
	lasts := command.Flags().Duration("for", time.Minute, "how long: 10s to 15m")
	wait := command.Flags().Bool("wait", true, "watch until it has ended; an interrupt leaves it running")
	act := x.ActFlags(command, "drill")
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
				return x.PostOnce(command.Context(), "/v1/drills", r, d)
			})
			if err == nil && *wait {
				d, err = x.follow(command.Context(), d)
			}
			if err != nil {
				return err
			}
			return x.print(d)
		}
	}
}

// follow watches a drill until its end.
func (x drills) follow(ctx context.Context, d *emergencyv1.Drill) (*emergencyv1.Drill, error) {
	progress := x.Progress()
	defer progress.Done()
	for d.GetStatus() == emergencyv1.Drill_RUNNING {
		progress.Say(d.GetId() + " runs: " + shown(d.GetResult()))
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(pollEvery):
		}
		now := new(emergencyv1.Drill)
		if err := x.Get(ctx, app.Path("drills", d.GetId()), now); err == nil {
			d = now
		}
	}
	return d, nil
}

func (x drills) list() *cobra.Command {
	command := &cobra.Command{Use: "list", Short: "list drills, newest first", Args: cobra.NoArgs}
	listing := x.ListFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		all := new(emergencyv1.ListDrillsResponse)
		err := app.Collect(command.Context(), x.App, listing, "/v1/drills", all, func(page *emergencyv1.ListDrillsResponse) int { return len(page.GetDrills()) })
		if err != nil {
			return err
		}
		return x.Print(all, func() *screen.Table {
			t := screen.NewTable("ID", "STATUS", "PRACTISED", "STARTED", "DOORS", "WOULD HAVE", "BY")
			for _, d := range all.GetDrills() {
				t.Row(d.GetId(), d.GetStatus().String(), practiceText(d.GetPractice()), screen.Stamp(d.GetStartTime(), x.Zone), shown(d.GetResult()), would(d.GetResult()), d.GetCreatedBy())
			}
			return t
		})
	}
	return command
}

func (x drills) show() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "show what a drill has shown, door by door", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			d := new(emergencyv1.Drill)
			if err := x.Get(command.Context(), app.Path("drills", args[0]), d); err != nil {
				return err
			}
			return x.print(d)
		}}
}

func (x drills) cancel() *cobra.Command {
	command := &cobra.Command{Use: "cancel ID", Short: "end a drill that runs, with what was measured so far", Args: cobra.ExactArgs(1)}
	why := command.Flags().StringP("justification", "j", "", "why; it goes on the record")
	command.RunE = func(command *cobra.Command, args []string) error {
		d := new(emergencyv1.Drill)
		if err := x.PostOnce(command.Context(), app.Path("drills", args[0], ":cancel"), &emergencyv1.CancelDrillRequest{Justification: *why, RequestId: app.RequestID()}, d); err != nil {
			return err
		}
		return x.print(d)
	}
	return command
}
