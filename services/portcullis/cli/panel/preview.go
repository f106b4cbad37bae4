package panel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) preview(k kind) *cobra.Command {
	command := &cobra.Command{Use: "preview", Short: "say what a " + k.noun + " would hit, and change nothing", Args: cobra.NoArgs}
	when, request := new(span), k.flags(command.Flags())
	when.flags(command)
	command.Flags().Lookup("for").DefValue = "2h"
	command.RunE = func(command *cobra.Command, _ []string) error {
		if when.length == "" {
			when.length = "2h"
		}
		length, start, err := when.read(p)
		if err != nil {
			return err
		}
		_, preview := request(common{start: start(), length: length, act: new(app.Act)})
		return p.showPreview(command, preview)
	}
	return command
}

func (p panel) showPreview(command *cobra.Command, request *emergencyv1.PreviewRequest) error {
	answer := new(emergencyv1.PreviewResponse)
	if err := p.Post(command.Context(), "/v1/emergencies:preview", request, answer); err != nil {
		return err
	}
	return p.Print(answer, func() *screen.Table { return p.hit(answer) })
}

func (p panel) hit(a *emergencyv1.PreviewResponse) *screen.Table {
	t := screen.NewTable("WOULD HIT", "", "")
	t.Row("sessions", fmt.Sprint(a.GetSessions()), some(a.GetSessionNames(), a.GetSessions()))
	t.Row("devices", fmt.Sprint(a.GetDevices()), some(a.GetDeviceNames(), a.GetDevices()))
	t.Row("access groups", fmt.Sprint(a.GetAccessGroups()), some(a.GetAccessGroupNames(), a.GetAccessGroups()))
	t.Row("sign-ins", fmt.Sprint(a.GetSignIns()), some(a.GetSignInUsers(), a.GetSignIns()))
	t.Row("tokens", fmt.Sprint(a.GetTokens()), some(a.GetTokenNames(), a.GetTokens()))
	t.Row("administrators left", fmt.Sprint(len(a.GetAdministrators())), screen.List(a.GetAdministrators()))
	t.Row("let through", fmt.Sprint(len(a.GetBreakGlassUsers())+len(a.GetBreakGlassTokens())),
		screen.List(append(a.GetBreakGlassUsers(), a.GetBreakGlassTokens()...)))
	if unasked := slices.Concat(a.GetUnreachableServices(), a.GetUnreachableConnectors()); len(unasked) > 0 {
		t.Cells(screen.Painted(screen.Held, "not counted: unreachable"), screen.Plain(fmt.Sprint(len(unasked))), screen.Plain(screen.List(unasked)))
	}
	t.Row("digest", "", a.GetDigest())
	return t
}

const fewNames = 8

func some(names []string, of uint32) string {
	if len(names) > fewNames {
		names = names[:fewNames]
	}
	text := screen.List(names)
	if rest := int(of) - len(names); len(names) > 0 && rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// hits is a preview in one line, nothing that is zero.
func hits(a *emergencyv1.PreviewResponse) string {
	var parts []string
	for _, part := range []struct {
		n    uint32
		what string
	}{{a.GetSessions(), "session"}, {a.GetDevices(), "device"}, {a.GetSignIns(), "sign-in"}, {a.GetTokens(), "token"}} {
		if part.n > 0 {
			parts = append(parts, screen.Count(part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return "nothing that is open now"
	}
	return strings.Join(parts, ", ")
}
