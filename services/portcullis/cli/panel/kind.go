package panel

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/portcullis/cli/app"
)

// kind is what differs between a freeze, a lockdown and a lock.
type kind struct {
	noun, collection, does string
	// endless says that it may go on until it is lifted.
	endless bool
	// flags adds the kind's own, and answers what makes its request of what all windows have.
	flags func(*pflag.FlagSet) func(common) (apply proto.Message, preview *emergencyv1.PreviewRequest)
	list  func(context.Context, *app.Listing) (proto.Message, []*emergencyv1.Emergency, error)
	// devices is the kind's command that lists what it closes.
	devices func(panel) *cobra.Command
}

// common is what every window is applied with.
type common struct {
	names  []string  // what it is on, where it says so
	start  time.Time // zero is now
	length time.Duration
	public bool
	act    *app.Act
	grant  string
	digest string // of the preview that it is bound to
}

func (c common) startTime() *timestamppb.Timestamp {
	if c.start.IsZero() {
		return nil
	}
	return timestamppb.New(c.start)
}

func freezes(a *app.App) kind {
	return kind{
		noun: "freeze", collection: "freezes",
		does:  "close the devices of the groups that block during freezes",
		flags: freezeFlags, devices: panel.freezeDevices,
		list: func(ctx context.Context, l *app.Listing) (proto.Message, []*emergencyv1.Emergency, error) {
			all := new(emergencyv1.ListFreezesResponse)
			err := app.Collect(ctx, a, l, "/v1/freezes", all, func(p *emergencyv1.ListFreezesResponse) int { return len(p.GetFreezes()) })
			return all, all.GetFreezes(), err
		},
	}
}

func freezeFlags(flags *pflag.FlagSet) func(common) (proto.Message, *emergencyv1.PreviewRequest) {
	endLive := flags.Bool("end-live-sessions", false, "end the live sessions on the frozen devices too")
	return func(c common) (proto.Message, *emergencyv1.PreviewRequest) {
		request := &emergencyv1.ApplyFreezeRequest{
			StartTime: c.startTime(), Duration: durationpb.New(c.length), Justification: c.act.Justification, GovernanceCode: c.act.Ticket,
			Grant: c.grant, RequestId: c.act.RequestID, JustificationPublic: c.public, EndLiveSessions: *endLive, Digest: c.digest,
		}
		return request, &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Freeze{Freeze: request}}
	}
}

func lockdowns(a *app.App) kind {
	return kind{
		noun: "lockdown", collection: "lockdowns",
		does:  "end every session and sign-in, and close the platform to all but administrators",
		flags: lockdownFlags, devices: panel.lockdownDevices,
		list: func(ctx context.Context, l *app.Listing) (proto.Message, []*emergencyv1.Emergency, error) {
			all := new(emergencyv1.ListLockdownsResponse)
			err := app.Collect(ctx, a, l, "/v1/lockdowns", all, func(p *emergencyv1.ListLockdownsResponse) int { return len(p.GetLockdowns()) })
			return all, all.GetLockdowns(), err
		},
	}
}

const forceUsage = "where no administrator with a working MFA would be left, ask a second administrator to approve it all the same"

func lockdownFlags(flags *pflag.FlagSet) func(common) (proto.Message, *emergencyv1.PreviewRequest) {
	users := flags.StringSlice("break-glass-user", nil, "user to let through; may be repeated")
	tokens := flags.StringSlice("break-glass-token", nil, "id of a program's token to let through; may be repeated")
	revoke := flags.Bool("revoke-tokens", false, "program tokens stay shut after it, until each is re-armed")
	force := flags.Bool("force", false, forceUsage)
	return func(c common) (proto.Message, *emergencyv1.PreviewRequest) {
		request := &emergencyv1.ApplyLockdownRequest{
			StartTime: c.startTime(), Duration: durationpb.New(c.length), Justification: c.act.Justification, GovernanceCode: c.act.Ticket,
			Grant: c.grant, RequestId: c.act.RequestID, JustificationPublic: c.public, Digest: c.digest,
			BreakGlassUsers: *users, BreakGlassTokens: *tokens, RevokeTokens: *revoke, Force: *force,
		}
		return request, &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: request}}
	}
}
