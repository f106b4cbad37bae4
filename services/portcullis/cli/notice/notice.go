// Package notice is who is told of what, and how it went: rules, what messages go out by, their texts, the
// outbox, and what one was told oneself.
package notice

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

type notice struct{ *app.App }

// Commands answers the commands about notifications.
func Commands(a *app.App) []*cobra.Command {
	n := notice{a}
	return []*cobra.Command{
		n.notification(), n.smtp(), n.mailbox(), n.sms(), n.webhook(), n.template(), n.outbox(), n.inbox(), n.event(),
	}
}

// changed is how the API repeats what it has no more words for; a program gets an empty object.
func (n notice) changed(what, name, became string) error {
	return n.Tell(new(emptypb.Empty), "%s %s %s.", what, name, became)
}

// past reads a moment: RFC 3339, or how long ago it was, such as 2h.
func (n notice) past(text string) (string, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC().Format(time.RFC3339Nano), nil
	}
	ago, err := screen.ParseSpan(text)
	if err != nil {
		return "", fmt.Errorf("%q is neither a time such as 2026-11-30T22:30:00Z nor how long ago, such as 2h", text)
	}
	return n.Now().Add(-ago).UTC().Format(time.RFC3339), nil
}
