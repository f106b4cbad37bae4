package connector

import (
	"context"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/internal/reach"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

const (
	askWithin  = 10 * time.Second
	maxMessage = 64 << 20 // of a broker: the cuts that stand
)

// Dial is what a session host outside needs of Portcullis: its public gRPC address, host:port, and an
// enforcer's token that has the connector's name. A nil TLS is the system's roots; on a loopback address,
// no TLS at all. The connection lives as long as the program.
func Dial(address, token string, c *tls.Config) (Deps, error) {
	options, err := reach.Options(address, c)
	if err != nil {
		return Deps{}, err
	}
	conn, err := grpc.NewClient(address, append(options, grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))...)
	if err != nil {
		return Deps{}, err
	}
	return Deps{Broker: sessionv1.NewConnectorsClient(conn), Gate: Ask(gatev1.NewAccessClient(conn))}, nil
}

// bearer is a token in each call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity leaves that to reach, which knows loopback addresses.
func (b bearer) RequireTransportSecurity() bool { return false }

// Ask is a Gate that asks Portcullis' own.
func Ask(gate gatev1.AccessClient) Gate {
	return func(ctx context.Context, r Request) (Admitted, error) {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		verdict, err := gate.Check(ctx, &gatev1.CheckRequest{User: r.User, Device: r.Device, Channel: gatev1.Channel_SESSION})
		if err != nil {
			return Admitted{}, fault.From(err)
		}
		if !verdict.GetAllowed() {
			return Admitted{}, fault.New(reasonOf(verdict.GetReason()), "%s", verdict.GetMessage())
		}
		return Admitted{Admission: emergency.AdmissionOf(verdict.GetAdmission()), Groups: verdict.GetAccessGroups()}, nil
	}
}

func reasonOf(r gatev1.CheckResponse_Reason) string {
	switch r {
	case gatev1.CheckResponse_LOCKDOWN:
		return fault.Lockdown
	case gatev1.CheckResponse_FROZEN:
		return fault.Frozen
	case gatev1.CheckResponse_LOCKED:
		return fault.Locked
	case gatev1.CheckResponse_STALE:
		return fault.Stale
	}
	return fault.PermissionDenied
}
