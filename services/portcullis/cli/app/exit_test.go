package app

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/screen"
)

func TestADeedThatMayBeDoneSaysHowToFindOut(t *testing.T) {
	refused := &api.Refusal{Reason: fault.JournalUnavailable, Message: "The journal has not answered"}
	broken := &api.Unreachable{Address: "http://there", Sent: true, Cause: errors.New("reset")}
	for path, want := range map[string]string{
		"/v1/lockdowns":               "portcullis lockdown list",
		"/v1/lockdowns/L-0042:cancel": "portcullis lockdown list",
		"/v1/freezes":                 "portcullis freeze list",
		"/v1/terminations":            "portcullis terminate list",
		"/v1/devices":                 "Look before",
	} {
		for _, cause := range []error{refused, broken} {
			var said bytes.Buffer
			a := New(&screen.Terminal{Out: &said, Err: &said})
			a.ran = true
			code := a.Exit(&cobra.Command{}, &api.Unknown{Path: path, Cause: cause})
			if code != ExitUnreachable || !strings.Contains(said.String(), "not known") || !strings.Contains(said.String(), want) || strings.Contains(said.String(), "Refused") {
				t.Errorf("%s: exit %d, %s", path, code, said.String())
			}
		}
	}
}
