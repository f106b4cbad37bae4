package inventory

import (
	"strings"

	"github.com/spf13/cobra"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (i inventory) check() *cobra.Command {
	command := &cobra.Command{Use: "check", Short: "ask whether somebody would be let in now; exit code 3 if not", Args: cobra.NoArgs,
		Example: "  portcullis check --user alice --device db-1"}
	request := new(gatev1.CheckRequest)
	command.Flags().StringVarP(&request.User, "user", "u", "", "user; yourself if left out")
	command.Flags().StringVarP(&request.Device, "device", "d", "", "device; the channel alone if left out")
	channel := command.Flags().String("channel", "", "interactive, api, agent or session (the default with a device)")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := setChannel(request, *channel); err != nil {
			return err
		}
		if request.GetUser() == "" {
			request.User = i.Client().User()
		}
		answer := new(gatev1.CheckResponse)
		if err := i.Post(command.Context(), "/v1/access:check", request, answer); err != nil {
			return err
		}
		if err := i.Print(answer, func() *screen.Table { return i.verdict(answer) }); err != nil || answer.GetAllowed() {
			return err
		}
		return app.Refused()
	}
	return command
}

func setChannel(request *gatev1.CheckRequest, channel string) error {
	if channel == "" {
		channel = "interactive"
		if request.GetDevice() != "" {
			channel = "session"
		}
	}
	value, ok := gatev1.Channel_value[strings.ToUpper(channel)]
	if !ok || value == 0 {
		return app.Usagef("--channel is interactive, api, agent or session, not %q", channel)
	}
	request.Channel = gatev1.Channel(value)
	return nil
}

func (i inventory) verdict(a *gatev1.CheckResponse) *screen.Table {
	t := screen.Pairs()
	word := screen.Painted(screen.Sure, "allowed")
	if !a.GetAllowed() {
		word = screen.Painted(screen.Closed, "refused")
	}
	t.Cells(word, screen.Plain(a.GetMessage()))
	t.Pair("reason", a.GetReason().String())
	t.Pair("until", screen.Until(a.GetUntil(), i.Zone))
	t.Pair("emergency", a.GetEmergency())
	t.Pair("revision", a.GetRevision())
	return t
}
