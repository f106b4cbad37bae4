package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
)

func TestWhatGoesWrongInsideStaysInside(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	w.serve(rpc.Gate, g.register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	ana := w.signIn("ana", time.Hour)
	for name, fail := range map[string]func() error{
		"an error":                         func() error { return errors.New("the secret is s3cret") },
		"a panic":                          func() error { panic("the secret is s3cret") },
		"another service's internal error": func() error { return status.Error(codes.Internal, "the secret is s3cret") },
	} {
		g.fail = fail
		_, err := gatev1.NewAccessClient(conn).Check(as(t, ana, rpc.RequestID, "req-7"), &gatev1.CheckRequest{})
		check(t, fault.Internal, err)
		if strings.Contains(fmt.Sprint(err), "s3cret") || !strings.Contains(fmt.Sprint(err), "req-7") {
			t.Errorf("%s reads %v", name, err)
		}
		if log := w.log.String(); !strings.Contains(log, "s3cret") || !strings.Contains(log, "req-7") {
			t.Errorf("%s is not in the log: %s", name, log)
		}
	}
}

func TestEveryErrorHasAReasonThatProgramsCanRelyOn(t *testing.T) {
	refused := fault.New(fault.GrantUsed, "used")
	for want, err := range map[string]error{
		fault.GrantUsed:          fmt.Errorf("applying: %w", refused),
		fault.NotFound:           status.Error(codes.NotFound, "no such"),
		fault.Stale:              fault.New(fault.Stale, "x").GRPCStatus().Err(),
		fault.JournalUnavailable: fmt.Errorf("appending: %w", journal.ErrUnavailable),
		fault.Aborted:            fmt.Errorf("updating: %w", journal.ErrConflict),
		fault.Internal:           errors.New("boom"),
	} {
		if got := rpc.Refusal(err); got.Reason != want {
			t.Errorf("%v became %v", err, got)
		}
	}
	for _, err := range []error{fmt.Errorf("x: %w", journal.ErrUnknown), fmt.Errorf("x: %w", journal.ErrFull)} {
		check(t, fault.JournalUnavailable, rpc.Refusal(err))
	}
	if got := rpc.Refusal(fmt.Errorf("asking: %w", context.DeadlineExceeded)); got.Code != codes.DeadlineExceeded {
		t.Error(got)
	}
	if got := rpc.Refusal(status.Error(codes.Unavailable, "dial tcp 10.1.2.3:7443: refused")); strings.Contains(got.Message, "10.1.2.3") {
		t.Error("an inner address is shown: ", got)
	}
}

func TestARequestThatBreaksTheProtosRulesIsRefusedByField(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	ana := w.signIn("ana", time.Hour)
	for want, call := range map[string]func() error{
		"pageSize": func() error {
			_, err := gatev1.NewDevicesClient(conn).ListDevices(as(t, ana), &gatev1.ListDevicesRequest{PageSize: -1})
			return err
		},
		"device.hostKey": func() error {
			_, err := gatev1.NewDevicesClient(conn).CreateDevice(as(t, ana), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{HostKey: strings.Repeat("x", 20000)}})
			return err
		},
		"user": func() error {
			s, err := gatev1.NewAccessClient(conn).CheckStream(as(t, ana))
			if err == nil {
				err = s.Send(&gatev1.CheckRequest{User: strings.Repeat("x", 200)})
			}
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
	} {
		got := fault.From(call())
		if got.Reason != fault.InvalidArgument || got.Details["field"] != want || !strings.Contains(got.Message, want) {
			t.Errorf("%s: %v %v", want, got, got.Details)
		}
	}
}

// bytesCodec sends bytes as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { return nil }

func TestARequestThatCantBeReadIsTheCallersMistake(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	ana := w.signIn("ana", time.Hour)
	for name, body := range map[string][]byte{"invalid UTF-8": {0x0a, 1, 0xff}, "no message at all": {0xff, 0xff}} {
		for _, method := range []string{"Check", "CheckStream"} {
			s, err := conn.NewStream(as(t, ana), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/portcullis.gate.v1.Access/"+method, grpc.ForceCodec(bytesCodec{}))
			if err == nil {
				_ = s.SendMsg(body)
				_ = s.CloseSend()
				err = s.RecvMsg(new([]byte))
			}
			if !fault.Is(err, fault.InvalidArgument) {
				t.Errorf("%s to %s: %v", name, method, err)
			}
		}
	}
}

func TestNothingIsReadOfARequestWhoseSenderIsNotLetIn(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	s, err := w.dial(rpc.Gateway, rpc.Gate).NewStream(as(t, ""), &grpc.StreamDesc{}, "/portcullis.gate.v1.Access/Check", grpc.ForceCodec(bytesCodec{}))
	if err == nil {
		_ = s.SendMsg([]byte{0xff, 0xff})
		err = s.RecvMsg(new([]byte))
	}
	check(t, fault.Unauthenticated, err)
}

func TestMessagesAreBoundedAndAnImportMayBeLarger(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	ana := w.signIn("ana", time.Hour)
	got, err := gatev1.NewDirectoryClient(conn).Import(as(t, ana), &gatev1.ImportRequest{Document: strings.Repeat("x", 20<<20)})
	if err != nil || got.GetDevices() != 20<<20 {
		t.Error(err)
	}
	_, err = gatev1.NewDirectoryClient(conn).Import(as(t, ana), &gatev1.ImportRequest{Document: strings.Repeat("x", 33<<20)}, grpc.MaxCallSendMsgSize(100<<20))
	check(t, fault.ResourceExhausted, err)
	for _, conn := range []*grpc.ClientConn{conn, w.public()} {
		_, err := gatev1.NewAccessClient(conn).Check(as(t, ana), &gatev1.CheckRequest{User: strings.Repeat("x", 5<<20)}, grpc.MaxCallSendMsgSize(64<<20))
		check(t, fault.ResourceExhausted, err)
	}
}

func TestAServerWithoutARowForAMethodDoesNotStart(t *testing.T) {
	w := newWorld(t)
	for name, desc := range map[string]*grpc.ServiceDesc{
		"no row": {ServiceName: "portcullis.gate.v1.Access", Methods: []grpc.MethodDesc{{MethodName: "Guess"}}},
		"is for": {ServiceName: "portcullis.identity.v1.Grants", Methods: []grpc.MethodDesc{{MethodName: "CreateGrant"}}},
	} {
		s := w.server(rpc.Gate, nil)
		s.RegisterService(desc, nil)
		if err := s.Serve(t.Context(), w.pipes.Listen(rpc.Gate)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
