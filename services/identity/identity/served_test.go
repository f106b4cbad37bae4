package identity_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

// serve puts the replica behind a real server, and answers a connection as a service makes it.
func (w *world) serve() func(from string) *grpc.ClientConn {
	w.t.Helper()
	pipes := rpc.NewPipes()
	server, err := rpc.NewServer(rpc.Config{Service: rpc.Identity, View: w.view, Credentials: pipes.Credentials(),
		Now: w.clock.Now, Log: w.logger(), Metrics: prometheus.NewRegistry()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Register(server)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ctx, pipes.Listen(rpc.Identity)); err != nil {
			w.t.Errorf("serving: %v", err)
		}
	})
	w.t.Cleanup(func() { cancel(); serving.Wait() })
	return func(from string) *grpc.ClientConn {
		conn, err := pipes.Dial(from, rpc.Identity)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { conn.Close() })
		return conn
	}
}

func carrying(token, address string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), rpc.Authorization, "Bearer "+token, rpc.Address, address)
}

func TestThroughItsServerAPersonSignsInRefreshesAndIsSignedOutByALockdown(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	outside := w.serve()(rpc.Gateway)
	signIns, users := identityv1.NewSignInsClient(outside), identityv1.NewUsersClient(outside)
	in, err := signIns.CreateSignIn(carrying("", "192.0.2.10"), &identityv1.CreateSignInRequest{Username: "alice", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	in, err = signIns.RefreshSignIn(carrying(in.GetToken(), "192.0.2.10"), &identityv1.RefreshSignInRequest{})
	if err != nil {
		t.Fatal(err)
	}
	me, err := users.GetUser(carrying(in.GetToken(), "192.0.2.10"), &identityv1.GetUserRequest{Name: "me"})
	if err != nil || me.GetName() != "alice" {
		t.Fatalf("%v, %v", me, err)
	}
	_, err = users.CreateUser(carrying(in.GetToken(), ""), &identityv1.CreateUserRequest{User: &identityv1.User{Name: "bruno"}})
	refused(t, err, fault.PermissionDenied)
	w.lockdown("L-0001")
	_, err = signIns.RefreshSignIn(carrying(in.GetToken(), ""), &identityv1.RefreshSignInRequest{})
	refused(t, err, fault.Lockdown)
	_, err = signIns.CreateSignIn(carrying("", "192.0.2.10"), &identityv1.CreateSignInRequest{Username: "alice", Password: password})
	refused(t, err, fault.Lockdown)
	_, err = signIns.CreateSignIn(carrying("", "192.0.2.10"), &identityv1.CreateSignInRequest{Username: "alice", Password: "wrong password 1"})
	refused(t, err, fault.Unauthenticated)
	admin, err := signIns.CreateSignIn(carrying("", "192.0.2.10"), &identityv1.CreateSignInRequest{Username: "admin", Password: w.first.Password, Code: w.next(w.first.Secret)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identityv1.NewGrantsClient(outside).CreateGrant(carrying(admin.GetToken(), ""), &identityv1.CreateGrantRequest{Code: w.next(w.first.Secret), Purpose: "cancel"}); err != nil {
		t.Errorf("the administrator's way out: %v", err)
	}
	w.clock.advance(2 * 3600e9)
	_, err = users.GetUser(carrying(in.GetToken(), ""), &identityv1.GetUserRequest{Name: "me"})
	refused(t, err, fault.Unauthenticated) // the lockdown is over, the sign-in stays so
}

func TestTheAddressThatCountsIsTheOneThatTheGatewaySaw(t *testing.T) {
	w := newWorld(t)
	dial := w.serve()
	signIns := identityv1.NewSignInsClient(dial(rpc.Gateway))
	for i := range 20 {
		_, err := signIns.CreateSignIn(carrying("", "198.51.100.7"), &identityv1.CreateSignInRequest{Username: fmt.Sprintf("guess%d", i), Password: "wrong password 1"})
		refused(t, err, fault.Unauthenticated)
	}
	guess := &identityv1.CreateSignInRequest{Username: "guess", Password: "wrong password 1"}
	_, err := signIns.CreateSignIn(carrying("", "198.51.100.7"), guess)
	refused(t, err, fault.LockedOut)
	_, err = signIns.CreateSignIn(carrying("", "198.51.100.8"), guess)
	refused(t, err, fault.Unauthenticated)
}

func TestTheDoorsAnswerServicesOnly(t *testing.T) {
	w := newWorld(t)
	token := w.signIn("admin", w.first.Password, w.next(w.first.Secret), home)
	dial := w.serve()
	_, err := identityv1.NewDoorsClient(dial(rpc.Gateway)).ListAdministrators(carrying(token, ""), &identityv1.ListAdministratorsRequest{})
	refused(t, err, fault.PermissionDenied)
	names, err := identityv1.NewDoorsClient(dial(rpc.Control)).ListAdministrators(t.Context(), &identityv1.ListAdministratorsRequest{})
	if err != nil || len(names.GetNames()) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	a, err := identityv1.NewDoorsClient(dial(rpc.Bastion)).Authenticate(t.Context(), &identityv1.AuthenticateRequest{Username: "admin", Address: "192.0.2.1:22",
		Proof: &identityv1.AuthenticateRequest_Password{Password: &identityv1.PasswordProof{Password: w.first.Password}}})
	if err != nil || !a.GetCodeRequired() {
		t.Errorf("%v, %v", a, err)
	}
}

func TestWhoIsRefusedAWayInIsWrittenDownAndAWrongPasswordIsNot(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	admin := w.signIn("admin", w.first.Password, w.next(w.first.Secret), "192.0.2.10")
	spared := who.FromContext(w.as(admin, home)).SignIn
	dial := w.serve()
	signIns, grants := identityv1.NewSignInsClient(dial(rpc.Gateway)), identityv1.NewGrantsClient(dial(rpc.Gateway))
	enter := func(user, password, reason string) {
		_, err := signIns.CreateSignIn(carrying("", "198.51.100.7"), &identityv1.CreateSignInRequest{Username: user, Password: password})
		refused(t, err, reason)
	}
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.SparedSignIn = spared })
	for range 3 {
		enter("alice", password, fault.Lockdown)
	}
	_, err := grants.CreateGrant(carrying(admin, "192.0.2.10"), &identityv1.CreateGrantRequest{Code: w.wrong(w.first.Secret), Purpose: "cancel"})
	refused(t, err, fault.CodeInvalid)
	// An address that guesses is locked out; of the names that it makes up none is kept.
	for i := range 20 {
		enter(fmt.Sprintf("guess%d", i), "wrong password 1", fault.Unauthenticated)
	}
	enter("perhaps a password", "wrong password 1", fault.LockedOut)
	enter("bob", "wrong password 1", fault.LockedOut)
	_, err = identityv1.NewDoorsClient(dial(rpc.Bastion)).Authenticate(t.Context(), &identityv1.AuthenticateRequest{Username: "alice", Address: "198.51.100.7",
		Proof: &identityv1.AuthenticateRequest_Password{Password: &identityv1.PasswordProof{Password: "wrong password 1"}}})
	refused(t, err, fault.LockedOut)
	w.stop()
	want := []string{
		"attempt.grant.none: admin from 192.0.2.10 by INTERACTIVE, CODE_INVALID 1",
		"attempt.session.none: alice from 198.51.100.7 by SESSION, LOCKED_OUT 1",
		"attempt.sign-in.L-0001: alice from 198.51.100.7 by INTERACTIVE, LOCKDOWN 3",
		"attempt.sign-in.none:  from 198.51.100.7 by INTERACTIVE, LOCKED_OUT 2",
	}
	if diff := cmp.Diff(want, w.attempts()); diff != "" {
		t.Error(diff)
	}
}

// attempts are the entries of ATTEMPT.
func (w *world) attempts() (all []string) {
	w.t.Helper()
	stream, err := w.journal.Stream(w.t.Context(), "ATTEMPT")
	if err != nil {
		w.t.Fatal(err)
	}
	err = stream.Replay(w.t.Context(), 1, func(e journal.Entry) error {
		r := new(gatev1.AttemptRecord)
		err := proto.Unmarshal(e.Data, r)
		all = append(all, fmt.Sprintf("%s: %s from %s by %s, %s %d", e.Subject, r.GetUser(), r.GetAddress(), r.GetChannel(), r.GetReason(), r.GetCount()))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
