// Package drill practises emergencies from the command line: one now, or one again and again.
package drill

import (
	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/selector"
)

type drills struct{ *app.App }

// Commands answers the commands of drills.
func Commands(a *app.App) []*cobra.Command { return []*cobra.Command{drills{a}.drill()} }

// drill answers the commands of exercises.
func (x drills) drill() *cobra.Command {
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
	schedule := each("schedule", "practise one again and again", x.schedule)
	schedule.AddCommand(x.listSchedules(), x.deleteSchedule())
	return app.Group("drill", "practise an emergency: the same way to every door, and nobody is touched",
		each("run", "practise one now", x.run), x.list(), x.show(), x.cancel(), schedule)
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
		chosen := new(emergencyv1.Selector)
		selector.Flags(command, chosen)
		return func() (practised, error) {
			return practised{termination: &emergencyv1.ApplyTerminationRequest{Selector: chosen}}, selector.Check(chosen)
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
