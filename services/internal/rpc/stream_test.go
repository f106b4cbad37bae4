package rpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
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

// record is an audit whose export lasts.
type record struct {
	auditv1.UnimplementedAuditServer
}

func (record) Export(_ *auditv1.ExportRequest, s grpc.ServerStreamingServer[auditv1.StoredEntry]) error {
	if err := s.Send(&auditv1.StoredEntry{}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func TestAStreamEndsWithTheCredentialThatOpenedIt(t *testing.T) {
	hour := func(w *world) (string, string) { return "", w.signIn("bob", time.Hour) }
	for name, c := range map[string]struct {
		begin func(w *world) (id, bearer string)
		end   func(w *world, id string)
		want  string
	}{
		"signed out": {hour, func(w *world, _ string) { w.signOut("bob") }, fault.Unauthenticated},
		"user disabled": {hour, func(w *world, _ string) {
			w.identity("user.bob", &identityv1.UserRecord{User: &identityv1.User{Name: "bob", Disabled: true}})
		}, fault.Unauthenticated},
		"role taken away": {hour, func(w *world, _ string) { w.user("bob") }, fault.PermissionDenied},
		"token deleted": {func(w *world) (string, string) { return w.token(identityv1.Token_API, who.ReadAudit) },
			func(w *world, id string) { w.deleteToken(id) }, fault.Unauthenticated},
		"expired": {func(w *world) (string, string) { return "", w.signIn("bob", 1500*time.Millisecond) }, // in whole seconds
			func(*world, string) {}, fault.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serve(rpc.Control, func(r grpc.ServiceRegistrar) { auditv1.RegisterAuditServer(r, record{}) })
			id, bearer := c.begin(w)
			s, err := auditv1.NewAuditClient(w.dial(rpc.Gateway, rpc.Control)).Export(as(t, bearer), &auditv1.ExportRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			if err != nil {
				t.Fatal(err)
			}
			c.end(w, id)
			check(t, c.want, ended(t, s))
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
