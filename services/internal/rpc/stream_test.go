package rpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
)

// open starts a bidi stream and waits for its first answer.
func open(t *testing.T, conn *grpc.ClientConn, bearer string) grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse] {
	t.Helper()
	s, err := gatev1.NewAccessClient(conn).CheckStream(as(t, bearer))
	if err != nil {
		t.Fatal(err)
	}
	echo(t, s)
	return s
}

func echo(t *testing.T, s grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]) {
	t.Helper()
	if err := s.Send(&gatev1.CheckRequest{Device: "db-1"}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Recv(); err != nil || got.GetMessage() != "db-1" {
		t.Fatal(got, err)
	}
}

// ended waits for what ends a stream.
func ended(t *testing.T, s interface{ RecvMsg(any) error }) error {
	t.Helper()
	var m gatev1.CheckResponse
	for {
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
	}
}

func TestAStreamOpenedBeforeALockdownIsCutByIt(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	_, api := w.token(identityv1.Token_API)
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	bob, program, ana, spared, door := open(t, conn, w.signIn("bob", time.Hour)), open(t, conn, api), open(t, conn, w.signIn("ana", time.Hour)),
		open(t, conn, w.signIn("eve", time.Hour)), open(t, conn, enforcer)
	lockdown := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) { e.BreakGlassUsers, e.SparedSignIn = []string{"eve"}, "eve" })
	began := time.Now()
	for _, s := range []grpc.BidiStreamingClient[gatev1.CheckRequest, gatev1.CheckResponse]{bob, program} {
		err := ended(t, s)
		check(t, fault.Lockdown, err)
		if got := fault.From(err); got.Message != (emergency.Texts{}).Lockdown(lockdown.GetEndTime().AsTime()) || got.Details["until"] == "" || got.RetryAfter == 0 {
			t.Errorf("%v %v", got, got.Details)
		}
	}
	check(t, fault.Unauthenticated, ended(t, ana)) // an administrator signs in again
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	echo(t, spared)
	echo(t, door)
}

func TestAScheduledLockdownCutsStreamsByTheClock(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	before := open(t, conn, w.signIn("bob", time.Hour))
	w.lockdown(300*time.Millisecond, time.Hour)
	knowing := open(t, conn, w.signIn("bob", time.Hour))
	echo(t, before)
	began := time.Now()
	check(t, fault.Lockdown, ended(t, before))
	check(t, fault.Lockdown, ended(t, knowing))
	if took := time.Since(began); took > 800*time.Millisecond {
		t.Errorf("it took %s, and should have been at the start", took)
	}
}

func TestAStreamIsCutWhateverItsHandlerDoes(t *testing.T) {
	w := newWorld(t)
	g := &gate{deaf: make(chan struct{})}
	w.serve(rpc.Gate, g.register)
	s, err := gatev1.NewPostureClient(w.dial(rpc.Gateway, rpc.Gate)).WatchPosture(as(t, w.signIn("bob", time.Hour)), &gatev1.WatchPostureRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	w.signOut("bob")
	check(t, fault.Unauthenticated, ended(t, s))
	close(g.deaf)
}

func TestAStreamEndsWithTheCredentialThatOpenedIt(t *testing.T) {
	for name, end := range map[string]func(w *world, token string){
		"signed out": func(w *world, _ string) { w.signOut("bob") },
		"user disabled": func(w *world, _ string) {
			w.identity("user.bob", &identityv1.UserRecord{User: &identityv1.User{Name: "bob", Disabled: true}})
		},
		"token deleted":    func(w *world, token string) { w.deleteToken(token) },
		"expired":          func(*world, string) {},
		"permission taken": func(w *world, _ string) { w.user("bob") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serve(rpc.Gate, (&gate{}).register)
			w.serve(rpc.Control, everything[rpc.Control])
			conn := w.dial(rpc.Gateway, rpc.Gate)
			id, bearer := w.token(identityv1.Token_API)
			want := fault.Unauthenticated
			switch name {
			case "token deleted":
			case "expired":
				bearer = w.signIn("bob", 1200*time.Millisecond) // in whole seconds
			default:
				bearer = w.signIn("bob", time.Hour)
			}
			if name == "permission taken" {
				t.Skip("no stream takes a permission that a handler here serves")
			}
			s := open(t, conn, bearer)
			end(w, id)
			check(t, want, ended(t, s))
		})
	}
}

func TestAWatcherOfThePostureIsToldOfTheLockdownThatSignsOut(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	posture := gatev1.NewPostureClient(w.dial(rpc.Gateway, rpc.Gate))
	_, api := w.token(identityv1.Token_API)
	watch := func(bearer string) grpc.ServerStreamingClient[gatev1.PostureState] {
		t.Helper()
		s, err := posture.WatchPosture(as(t, bearer), &gatev1.WatchPostureRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	bearer := w.signIn("bob", time.Hour)
	bob, nobody, program := watch(bearer), watch(""), watch(api)
	w.lockdown(0, time.Hour)
	check(t, fault.Lockdown, ended(t, bob))
	for _, s := range []grpc.ServerStreamingClient[gatev1.PostureState]{nobody, program} {
		select {
		case <-s.Context().Done():
			t.Error("the posture is always open")
		case <-time.After(50 * time.Millisecond):
		}
	}
	watch(bearer) // as nobody in particular
}

func TestAStoppingServerSendsItsStreamsAway(t *testing.T) {
	w := newWorld(t)
	s := w.server(rpc.Broker, nil)
	sessionv1.RegisterConnectorsServer(s, broker{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, w.pipes.Listen(rpc.Broker)) }()
	attached, err := sessionv1.NewConnectorsClient(w.dial(rpc.Bastion, rpc.Broker)).Attach(as(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := attached.Send(&sessionv1.ConnectorMessage{}); err != nil {
		t.Fatal(err)
	}
	if _, err := attached.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	check(t, fault.Unavailable, ended(t, attached))
	if err := <-done; err != nil {
		t.Error(err)
	}
}
