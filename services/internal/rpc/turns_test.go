package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/rpc"
)

const watchPosture = "/portcullis.gate.v1.Posture/WatchPosture"

// silent is a call whose request is not sent.
func silent(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheOutsideSendsNoMoreThanFourMebibytesAMessage(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	_, err := gatev1.NewDirectoryClient(w.public()).Import(as(t, w.signIn("ana", time.Hour)),
		&gatev1.ImportRequest{Document: strings.Repeat("x", 5<<20)}, grpc.MaxCallSendMsgSize(64<<20))
	check(t, fault.ResourceExhausted, err)
	if text := fault.From(err).Message; !strings.Contains(text, "larger than max") || !strings.Contains(text, "4194304") {
		t.Error(text)
	}
}

func TestACallFromOutsideWhoseRequestDoesNotComeIsEnded(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.publicWithin(50 * time.Millisecond)
	checks := open(t, conn, w.signIn("ana", time.Hour)) // may wait with its first question
	var got gatev1.PostureState
	err := silent(t, as(t, ""), conn, watchPosture).RecvMsg(&got)
	check(t, fault.InvalidArgument, err)
	if text := fault.From(err).Message; !strings.Contains(text, "in time") {
		t.Error(text)
	}
	posture, err := gatev1.NewPostureClient(conn).WatchPosture(as(t, ""), &gatev1.WatchPostureRequest{})
	if err == nil {
		_, err = posture.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	check(t, fault.InvalidArgument, silent(t, as(t, ""), conn, watchPosture).RecvMsg(&got)) // as long again
	echo(t, checks)
	over := make(chan error, 1)
	go func() { _, err := posture.Recv(); over <- err }()
	select {
	case err := <-over:
		t.Error("what was asked in time ended: ", err)
	case <-time.After(100 * time.Millisecond):
	}
}

func TestStrangersThatSendNothingTakeNobodysTurn(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.publicWithin(time.Minute)
	var waiting []grpc.ClientStream
	for range 17 { // an address has 16 turns
		waiting = append(waiting, silent(t, as(t, ""), conn, watchPosture))
	}
	refused := make(chan error, len(waiting))
	for _, s := range waiting {
		go func() {
			var got gatev1.PostureState
			refused <- s.RecvMsg(&got)
		}()
	}
	err := <-refused
	check(t, fault.ResourceExhausted, err)
	if fault.From(err).RetryAfter == 0 {
		t.Error("when to try again is not said: ", err)
	}
	if _, err := gatev1.NewAccessClient(conn).Check(as(t, w.signIn("ana", time.Hour)), &gatev1.CheckRequest{}); err != nil {
		t.Error("who signed in waits for strangers: ", err)
	}
}

func TestAStrangerHearsNoBeforeItsRequestIsRead(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	var got gatev1.ImportResponse
	err := silent(t, as(t, "nonsense"), w.publicWithin(time.Minute), "/portcullis.gate.v1.Directory/Import").RecvMsg(&got)
	check(t, fault.Unauthenticated, err)
}

func TestAConnectionFromOutsideHasAHundredStreams(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.public()
	ana := w.signIn("ana", time.Hour)
	for range 100 {
		echo(t, open(t, conn, ana))
	}
	ctx, cancel := context.WithTimeout(as(t, ana), 100*time.Millisecond)
	defer cancel()
	if _, err := gatev1.NewAccessClient(conn).Check(ctx, &gatev1.CheckRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Error("it has one more: ", err)
	}
}

func TestTheOutsideSendsNoMoreThanThirtyTwoKibibytesOfHeaders(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.public()
	ask := func(bytes int) error {
		_, err := gatev1.NewAccessClient(conn).Check(as(t, w.signIn("ana", time.Hour), "x-large", strings.Repeat("x", bytes)), &gatev1.CheckRequest{})
		return err
	}
	if err := ask(33 << 10); err == nil {
		t.Error("33 KiB were taken")
	}
	if err := ask(16 << 10); err != nil {
		t.Error("16 KiB were not: ", err)
	}
}

func TestAMessageOfAStreamFromOutsideIsNoLargerThanARequest(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	s, err := gatev1.NewAccessClient(w.public()).CheckStream(as(t, w.signIn("ana", time.Hour)), grpc.MaxCallSendMsgSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&gatev1.CheckRequest{Device: strings.Repeat("x", 5<<20)})
	_, err = s.Recv()
	check(t, fault.ResourceExhausted, err)
}
