package rpc_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

func TestAStrictServiceWithAnOldViewLetsInEnforcersAndAdministratorsOnTheirWayToChangeWhatIsOn(t *testing.T) {
	w := newWorld(t)
	for name, register := range everything {
		w.serveWith(name, register, func(c *rpc.Config) { c.Stale = func() bool { return true } })
	}
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	_, api := w.token(identityv1.Token_API, who.Permissions()...)
	admin, bob := w.signIn("ana", time.Hour), w.signIn("bob", time.Hour)
	excepted := []string{"RefreshSignIn", "CreateGrant", "GetUser", "GetPolicy", "PlaceHold", "ListHolds", "DecideApproval", "ListApprovals", "CheckTicket"} // and all of Emergencies
	for method, row := range rpc.Table() {
		if !row.Public() {
			continue
		}
		verb := method[strings.LastIndexByte(method, '/')+1:]
		open := row.Open || verb == "Check" && strings.Contains(method, ".Access/") || verb == "CheckStream"
		conn := w.dial(rpc.Gateway, strings.Replace(row.Owner, rpc.Every, rpc.Gate, 1))
		stale := func(bearer string) bool { return ask(as(t, bearer), conn, method) == fault.Stale }
		if want := !open && !slices.Contains(row.Need, rpc.Enforcers) && row.Need != nil && !slices.Contains(row.Need, rpc.Anyone); stale(api) != want {
			t.Errorf("a program at %s is told that the view is old: %v", method, !want)
		}
		if want := !open && row.Need != nil && !slices.Contains(row.Need, rpc.Enforcers) && !strings.Contains(method, ".Emergencies/") && !slices.Contains(excepted, verb); stale(admin) != want {
			t.Errorf("an administrator at %s is told that the view is old: %v", method, !want)
		}
		if stale(enforcer) || stale("") {
			t.Errorf("at %s an enforcer, or nobody, is told that the view is old", method)
		}
	}
	err := w.dial(rpc.Gateway, rpc.Control).Invoke(as(t, bob), "/portcullis.emergency.v1.Emergencies/ListEnforcers", &emptypb.Empty{}, &emptypb.Empty{})
	if f := fault.From(err); f.Reason != fault.Stale || f.RetryAfter <= 0 || f.Message == "" {
		t.Errorf("an auditor hears %v", err)
	}
	if _, err := gatev1.NewAccessClient(w.dial(rpc.Bastion, rpc.Gate)).Check(as(t, ""), &gatev1.CheckRequest{}); fault.Is(err, fault.Stale) {
		t.Error("a service of ours is refused: ", err)
	}
}

func TestWhatGoesOnIsNotEndedByAViewThatGetsOld(t *testing.T) {
	w := newWorld(t)
	g, old := &gate{}, new(atomic.Bool)
	w.serveWith(rpc.Gate, g.register, func(c *rpc.Config) { c.Stale = old.Load })
	stream, err := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate)).CheckStream(as(t, w.signIn("bob", time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	answers := func() error {
		if err := stream.Send(&gatev1.CheckRequest{Device: "db"}); err != nil {
			return err
		}
		_, err := stream.Recv()
		return err
	}
	if err := answers(); err != nil {
		t.Fatal(err)
	}
	old.Store(true)
	w.user("carol") // everything that goes on is asked about again
	if err := answers(); err != nil {
		t.Error(err)
	}
}

func TestAnEnforcersTokenOutlivesEveryLockdownAndEndsWhenItIsTakenAway(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	id, enforcer := w.token(identityv1.Token_ENFORCER, who.Permissions()...)
	_, other := w.token(identityv1.Token_ENFORCER)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	stream, err := gatev1.NewAccessClient(conn).CheckStream(as(t, enforcer))
	if err != nil {
		t.Fatal(err)
	}
	answers := func(when string) {
		t.Helper()
		if err := stream.Send(&gatev1.CheckRequest{Device: "db"}); err != nil {
			t.Fatal(when, err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(when, err)
		}
		if _, err := gatev1.NewAccessClient(conn).Check(as(t, enforcer), &gatev1.CheckRequest{}); err != nil {
			t.Error(when, err)
		}
	}
	answers("before")
	l := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) { e.RevokeTokens = new(true) })
	answers("during a lockdown that revokes tokens")
	w.signOut(id)
	w.lift(l)
	answers("after it")
	if _, err := gatev1.NewDevicesClient(conn).ListDevices(as(t, enforcer), &gatev1.ListDevicesRequest{}); !fault.Is(err, fault.PermissionDenied) {
		t.Error("it reads more than a door must know: ", err)
	}
	w.deleteToken(id)
	if _, err := stream.Recv(); !fault.Is(err, fault.Unauthenticated) {
		t.Error("what it had open goes on: ", err)
	}
	if _, err := gatev1.NewAccessClient(conn).Check(as(t, enforcer), &gatev1.CheckRequest{}); !fault.Is(err, fault.Unauthenticated) {
		t.Error("it works on: ", err)
	}
	if _, err := gatev1.NewAccessClient(conn).Check(as(t, other), &gatev1.CheckRequest{}); err != nil {
		t.Error("so does not another door's: ", err)
	}
}
