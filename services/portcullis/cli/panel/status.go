package panel

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/doors"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) status() *cobra.Command {
	command := &cobra.Command{Use: "status", Short: "say what is on, until when", Args: cobra.NoArgs}
	watch := command.Flags().BoolP("watch", "w", false, "go on saying it at every change")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if *watch {
			return p.watch(command.Context())
		}
		state, err := p.posture(command.Context())
		if err != nil {
			return err
		}
		doors.Doors{App: p.App}.Warn(command.Context())
		p.waiting(command.Context())
		return p.showPosture(state)
	}
	return command
}

// posture asks without a credential when the one at hand is over: posture is open to everybody.
func (p panel) posture(ctx context.Context) (*gatev1.PostureState, error) {
	state := new(gatev1.PostureState)
	err := p.Get(ctx, "/v1/posture", state)
	if !overForUs(err) {
		return state, err
	}
	p.Term.Note("Not signed in: shown is what everybody may see.")
	return state, p.Client().Do(ctx, api.Request{Method: "GET", Path: "/v1/posture", Out: state, Anonymous: true})
}

func overForUs(err error) bool {
	return api.IsRefusal(err, fault.Unauthenticated) || api.IsRefusal(err, fault.Lockdown)
}

func (p panel) showPosture(state *gatev1.PostureState) error {
	if !p.ForPeople() {
		return p.Print(state, nil)
	}
	fmt.Fprintln(p.Term.Out, p.headline(state))
	if len(state.GetEmergencies()) == 0 {
		return nil
	}
	return p.windows(state.GetEmergencies()).Write(p.Term.Out)
}

// headline is the posture in one sentence.
func (p panel) headline(state *gatev1.PostureState) string {
	if lockdown := state.GetLockdown(); lockdown != nil {
		until := lockdown.GetUntil().AsTime()
		return screen.Closed.Render("Locked down") + fmt.Sprintf(" until %s, %s left.", p.Moment(screen.RoundUp(until)), screen.Span(until.Sub(p.Now())))
	}
	freezes, locks, pending := uint32(0), uint32(0), uint32(0)
	for _, e := range state.GetEmergencies() {
		switch {
		case e.GetStatus() == emergencyv1.Emergency_PENDING:
			pending++
		case e.GetKind() == emergencyv1.Emergency_FREEZE && e.GetStatus() == emergencyv1.Emergency_ONGOING:
			freezes++
		case e.GetKind() == emergencyv1.Emergency_LOCK:
			locks++
		}
	}
	text := "All doors open"
	if freezes > 0 {
		text = screen.Held.Render(screen.Count(freezes, "freeze") + " on")
	}
	if locks > 0 {
		text = strings.TrimPrefix(text+", ", "All doors open, ") + screen.Held.Render(screen.Count(locks, "lock")+" on")
	}
	if pending > 0 {
		text += fmt.Sprintf(", %d pending", pending)
	}
	return text + "."
}
