package panel

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
	"portcullis.dev/services/portcullis/cli/screen"
)

func (p panel) shorten(k kind) *cobra.Command {
	command := &cobra.Command{Use: "shorten [ID]", Short: "let one end earlier; without an id, the only one there is", Args: cobra.MaximumNArgs(1)}
	act := p.ActFlags(command, "shorten")
	until := command.Flags().String("until", "", "the new end: 22:30, \"2026-11-30 22:30\", or RFC 3339")
	length := command.Flags().String("for", "", "the new end, counted from now: 30m")
	command.RunE = func(command *cobra.Command, args []string) error {
		end, err := p.newEnd(*until, *length)
		if err != nil {
			return err
		}
		id, err := p.theOne(command.Context(), k, args)
		if err != nil {
			return err
		}
		return p.change(command.Context(), act, app.Path(k.collection, id, ":shorten"), func(grant string) proto.Message {
			return &emergencyv1.ShortenRequest{EndTime: timestamppb.New(end()), Justification: act.Justification,
				GovernanceCode: act.Ticket, Grant: grant, RequestId: act.RequestID}
		})
	}
	return command
}

func (p panel) newEnd(until, length string) (func() time.Time, error) {
	if (until == "") == (length == "") {
		return nil, app.Usagef("--until or --for: one of them says when it ends")
	}
	if until != "" {
		at, err := screen.ParseMoment(until, p.Now(), p.Zone)
		if err != nil {
			return nil, app.Usagef("--until: %v", err)
		}
		return func() time.Time { return at }, nil
	}
	left, err := screen.ParseSpan(length)
	if err != nil {
		return nil, app.Usagef("--for: %v", err)
	}
	return func() time.Time { return p.Now().Add(left) }, nil
}
