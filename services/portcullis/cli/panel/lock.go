package panel

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
)

// lock answers the commands of locks.
func (p panel) lock() *cobra.Command {
	return app.Group("lock", "shut one user, device or access group; list or cancel locks",
		p.lockOn("user", "refuse a user everywhere, and end their sessions and sign-ins", func(r *emergencyv1.ApplyLockRequest) *string { return &r.User }),
		p.lockOn("device", "refuse every session on a device, and end those that live", func(r *emergencyv1.ApplyLockRequest) *string { return &r.Device }),
		p.lockOn("group", "refuse every session on the devices of an access group, and end those that live", func(r *emergencyv1.ApplyLockRequest) *string { return &r.AccessGroup }),
		p.list(locks(p.App)), p.show(locks(p.App)), p.cancel(locks(p.App)))
}

func (p panel) lockOn(what, does string, field func(*emergencyv1.ApplyLockRequest) *string) *cobra.Command {
	k := locks(p.App)
	k.flags = func(flags *pflag.FlagSet) func(common) (proto.Message, *emergencyv1.PreviewRequest) {
		force := new(false)
		if what == "user" {
			flags.BoolVar(force, "force", false, forceUsage)
		}
		return func(c common) (proto.Message, *emergencyv1.PreviewRequest) {
			request := &emergencyv1.ApplyLockRequest{
				StartTime: c.startTime(), Justification: c.act.Justification, GovernanceCode: c.act.Ticket,
				Grant: c.grant, RequestId: c.act.RequestID, JustificationPublic: c.public, Digest: c.digest, Force: *force,
			}
			if c.length > 0 {
				request.Duration = durationpb.New(c.length)
			}
			*field(request) = c.names[0]
			return request, &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lock{Lock: request}}
		}
	}
	command := &cobra.Command{
		Use: what + " NAME", Short: does, Args: cobra.ExactArgs(1),
		Long: "A lock holds for administrators too. Without --for it goes on until somebody cancels it.",
		Example: "  portcullis lock " + what + " NAME --for 2h --justification \"Stolen laptop\" --ticket INC-1\n" +
			"  portcullis lock " + what + " NAME --justification \"Until the forensics are done\"",
	}
	p.applies(k, command)
	command.Flags().Lookup("for").Usage = "how long: 30m, 2h, 3d; until somebody cancels it, if not said"
	return command
}

func locks(a *app.App) kind {
	return kind{
		noun: "lock", collection: "locks", endless: true,
		list: func(ctx context.Context, l *app.Listing) (proto.Message, []*emergencyv1.Emergency, error) {
			all := new(emergencyv1.ListLocksResponse)
			err := app.Collect(ctx, a, l, "/v1/locks", all, func(p *emergencyv1.ListLocksResponse) int { return len(p.GetLocks()) })
			return all, all.GetLocks(), err
		},
	}
}
