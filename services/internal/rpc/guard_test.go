package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

func check(t *testing.T, reason string, err error) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Errorf("got %v, want %s", err, reason)
	}
}

// everything registers all there is, without doing anything.
var everything = map[string]func(grpc.ServiceRegistrar){
	rpc.Control: func(r grpc.ServiceRegistrar) {
		emergencyv1.RegisterEmergenciesServer(r, emergencyv1.UnimplementedEmergenciesServer{})
		emergencyv1.RegisterPoliciesServer(r, emergencyv1.UnimplementedPoliciesServer{})
		emergencyv1.RegisterActsServer(r, emergencyv1.UnimplementedActsServer{})
		emergencyv1.RegisterHoldsServer(r, emergencyv1.UnimplementedHoldsServer{})
		emergencyv1.RegisterApprovalsServer(r, emergencyv1.UnimplementedApprovalsServer{})
		emergencyv1.RegisterTicketsServer(r, emergencyv1.UnimplementedTicketsServer{})
		emergencyv1.RegisterDrillsServer(r, emergencyv1.UnimplementedDrillsServer{})
		emergencyv1.RegisterRostersServer(r, emergencyv1.UnimplementedRostersServer{})
		auditv1.RegisterAuditServer(r, auditv1.UnimplementedAuditServer{})
		auditv1.RegisterReportsServer(r, auditv1.UnimplementedReportsServer{})
		auditv1.RegisterCheckpointsServer(r, auditv1.UnimplementedCheckpointsServer{})
	},
	rpc.Identity: func(r grpc.ServiceRegistrar) {
		identityv1.RegisterSignInsServer(r, identityv1.UnimplementedSignInsServer{})
		identityv1.RegisterProviderSignInsServer(r, identityv1.UnimplementedProviderSignInsServer{})
		identityv1.RegisterGrantsServer(r, identityv1.UnimplementedGrantsServer{})
		identityv1.RegisterUsersServer(r, identityv1.UnimplementedUsersServer{})
		identityv1.RegisterTokensServer(r, identityv1.UnimplementedTokensServer{})
		identityv1.RegisterDoorsServer(r, identityv1.UnimplementedDoorsServer{})
	},
	rpc.Gate: func(r grpc.ServiceRegistrar) {
		emergencyv1.RegisterDoorkeepersServer(r, emergencyv1.UnimplementedDoorkeepersServer{}) // as each service does
		gatev1.RegisterAccessServer(r, gatev1.UnimplementedAccessServer{})
		gatev1.RegisterPostureServer(r, gatev1.UnimplementedPostureServer{})
		gatev1.RegisterDevicesServer(r, gatev1.UnimplementedDevicesServer{})
		gatev1.RegisterAccessGroupsServer(r, gatev1.UnimplementedAccessGroupsServer{})
		gatev1.RegisterDirectoryServer(r, gatev1.UnimplementedDirectoryServer{})
		gatev1.RegisterGuardsServer(r, gatev1.UnimplementedGuardsServer{})
		gatev1.RegisterDoorsServer(r, gatev1.UnimplementedDoorsServer{})
		authv3.RegisterAuthorizationServer(r, &authv3.UnimplementedAuthorizationServer{})
	},
	rpc.Broker: func(r grpc.ServiceRegistrar) {
		sessionv1.RegisterSessionsServer(r, sessionv1.UnimplementedSessionsServer{})
		sessionv1.RegisterConnectorsServer(r, sessionv1.UnimplementedConnectorsServer{})
	},
	rpc.Bastion: func(r grpc.ServiceRegistrar) {
		sessionv1.RegisterBastionsServer(r, sessionv1.UnimplementedBastionsServer{})
	},
	rpc.Notifier: func(r grpc.ServiceRegistrar) {
		notificationv1.RegisterNotificationsServer(r, notificationv1.UnimplementedNotificationsServer{})
		notificationv1.RegisterSmtpAccountsServer(r, notificationv1.UnimplementedSmtpAccountsServer{})
		notificationv1.RegisterMailboxesServer(r, notificationv1.UnimplementedMailboxesServer{})
		notificationv1.RegisterSmsServer(r, notificationv1.UnimplementedSmsServer{})
		notificationv1.RegisterWebhooksServer(r, notificationv1.UnimplementedWebhooksServer{})
		notificationv1.RegisterTemplatesServer(r, notificationv1.UnimplementedTemplatesServer{})
		notificationv1.RegisterOutboxServer(r, notificationv1.UnimplementedOutboxServer{})
		notificationv1.RegisterInboxServer(r, notificationv1.UnimplementedInboxServer{})
		notificationv1.RegisterEventsServer(r, notificationv1.UnimplementedEventsServer{})
	},
}

// ask calls a method of any kind with an empty message, and answers the reason of what comes back;
// UNIMPLEMENTED and INVALID_ARGUMENT mean that it was let in.
func ask(ctx context.Context, conn *grpc.ClientConn, method string) string {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err == nil {
		_ = s.SendMsg(&emptypb.Empty{})
		_ = s.CloseSend()
		err = s.RecvMsg(&emptypb.Empty{})
	}
	return fault.From(err).Reason
}

func let(reason string) bool { return reason == fault.Unimplemented || reason == fault.InvalidArgument }

func TestOnlyTheServicesInTheTableReachAMethod(t *testing.T) {
	w := newWorld(t)
	for name, register := range everything {
		w.serve(name, register)
	}
	_, admin := w.token(identityv1.Token_API, who.Permissions()...)
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	for _, from := range []string{rpc.Control, rpc.Identity, rpc.Gate, rpc.Broker, rpc.Bastion, rpc.Notifier, rpc.Gateway, "stranger", ""} {
		for method, row := range rpc.Table() {
			conn := w.dial(from, strings.Replace(row.Owner, rpc.Every, rpc.Gate, 1))
			own, carries := slices.Contains(row.Own, from), slices.Contains(row.Carry, from)
			want := own || carries && slices.Contains(row.Need, rpc.Anyone)
			if got := ask(as(t, ""), conn, method); let(got) != want {
				t.Errorf("%s calls %s without a credential: %s", from, method, got)
			}
			doors := slices.Equal(row.Need, []string{rpc.Enforcers})
			if got := ask(as(t, admin), conn, method); let(got) != (own || carries && !doors) {
				t.Errorf("%s calls %s with an administrator's: %s", from, method, got)
			}
			doors = slices.Contains(row.Need, rpc.Enforcers) || slices.Contains(row.Need, rpc.Anyone)
			if got := ask(as(t, enforcer), conn, method); let(got) != (own || carries && doors) {
				t.Errorf("%s calls %s with an enforcer's: %s", from, method, got)
			}
			_ = conn.Close()
		}
	}
}

func TestAMethodTakesOneOfThePermissionsInItsRow(t *testing.T) {
	w := newWorld(t)
	for name, register := range everything {
		w.serve(name, register)
	}
	bearers := map[string]string{}
	for _, p := range who.Permissions() {
		_, bearers[p] = w.token(identityv1.Token_API, p)
	}
	for method, row := range rpc.Table() {
		if !row.Public() {
			continue
		}
		conn := w.dial(rpc.Gateway, strings.Replace(row.Owner, rpc.Every, rpc.Gate, 1))
		for permission, bearer := range bearers {
			want := slices.Contains(row.Need, permission) || slices.Contains(row.Need, rpc.SignedIn) || slices.Contains(row.Need, rpc.Anyone)
			if got := ask(as(t, bearer), conn, method); let(got) != want || !want && got != fault.PermissionDenied {
				t.Errorf("%s with %s: %s", method, permission, got)
			}
		}
		_ = conn.Close()
	}
}

func TestTheCalleeItselfVerifiesTheCredential(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	access := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate))
	ana := w.signIn("ana", time.Hour)
	got, err := access.Check(as(t, ana), &gatev1.CheckRequest{})
	if err != nil || got.GetMessage() != "ana" {
		t.Error(got, err)
	}
	id, bearer := w.token(identityv1.Token_API)
	if got, err := access.Check(as(t, bearer), &gatev1.CheckRequest{}); err != nil || got.GetMessage() != "token:"+id {
		t.Error(got, err)
	}
	for name, bearer := range map[string]string{
		"none": "", "nonsense": "x", "a forged one": ana[:len(ana)-4] + "AAAA", "an expired one": w.signIn("ana", -time.Second),
		"an unknown user's": w.signIn("nobody", time.Hour), "an unknown token": bearer + "x",
	} {
		if _, err := access.Check(as(t, bearer), &gatev1.CheckRequest{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := metadata.AppendToOutgoingContext(as(t, ana), rpc.Authorization, "Bearer "+bearer)
	_, err = access.Check(two, &gatev1.CheckRequest{})
	check(t, fault.Unauthenticated, err)
	w.signOut("ana")
	_, err = access.Check(as(t, ana), &gatev1.CheckRequest{})
	check(t, fault.Unauthenticated, err)
	w.deleteToken(id)
	_, err = access.Check(as(t, bearer), &gatev1.CheckRequest{})
	check(t, fault.Unauthenticated, err)
	for _, never := range []string{ana, bearer} {
		if strings.Contains(w.log.String(), never) {
			t.Error("a credential is in the log")
		}
	}
}

func TestAnInvalidCredentialCountsAsNoneWhereNoneIsAsked(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	posture := gatev1.NewPostureClient(w.dial(rpc.Gateway, rpc.Gate))
	for bearer, want := range map[string]string{"": "", "nonsense": "", w.signIn("ana", -time.Second): "", w.signIn("bob", time.Hour): "bob"} {
		if got, err := posture.GetPosture(as(t, bearer), &gatev1.GetPostureRequest{}); err != nil || got.GetRevision() != want {
			t.Errorf("%v, %v, want %q", got, err, want)
		}
	}
}

func TestALockdownRefusesAllButAdministratorsAtTheConsole(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	w.serve(rpc.Gate, g.register)
	w.serve(rpc.Identity, func(r grpc.ServiceRegistrar) { identityv1.RegisterSignInsServer(r, identity{}) })
	w.serve(rpc.Notifier, everything[rpc.Notifier])
	zenvia, twilio := "/portcullis.notification.v1.Sms/ReceiveZenviaStatus", "/portcullis.notification.v1.Sms/ReceiveTwilioStatus"
	glassToken, glass := w.token(identityv1.Token_API, who.Read)
	_, api := w.token(identityv1.Token_API, who.Permissions()...)
	_, agent := w.token(identityv1.Token_AGENT)
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	old := w.signIn("bob", time.Hour)
	oldAdmin := w.signIn("ana", time.Hour)
	lockdown := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) {
		e.BreakGlassUsers, e.BreakGlassTokens = []string{"eve"}, []string{glassToken}
	})
	until := lockdown.GetEndTime().AsTime()
	admin, bob, eve := w.signIn("ana", time.Hour), w.signIn("bob", time.Hour), w.signIn("eve", time.Hour)

	checkMethod, posture, signOut := "/portcullis.gate.v1.Access/Check", "/portcullis.gate.v1.Posture/GetPosture", "/portcullis.identity.v1.SignIns/DeleteSignIn"
	for _, c := range []struct{ name, bearer, method, want string }{
		{"an administrator who has signed in since", admin, checkMethod, ""},
		{"an administrator from before", oldAdmin, checkMethod, fault.Unauthenticated},
		{"somebody from before", old, checkMethod, fault.Lockdown},
		{"somebody who has signed in since", bob, checkMethod, fault.Lockdown},
		{"a break-glass user", eve, checkMethod, ""},
		{"a break-glass token", glass, checkMethod, ""},
		{"a program of an administrator", api, checkMethod, fault.Lockdown},
		{"an agent", agent, checkMethod, fault.Lockdown},
		{"a door", enforcer, checkMethod, ""},
		{"somebody without a permission", bob, "/portcullis.gate.v1.Devices/CreateDevice", fault.Lockdown},
		{"nobody", "", checkMethod, fault.Unauthenticated},
		{"somebody who signs out", bob, signOut, ""},
		{"somebody who was signed out", old, signOut, fault.Unauthenticated},
		{"somebody at the posture", old, posture, ""},
		{"a program at the posture", api, posture, ""},
		{"nobody at the posture", "", posture, ""},
		{"Zenvia, of what became of an SMS", "", zenvia, fault.Unimplemented},
		{"Twilio, of what became of an SMS", "", twilio, fault.Unimplemented},
		{"a broker with somebody's token", api, zenvia, fault.Unimplemented},
		{"somebody who signs in", "", "/portcullis.identity.v1.SignIns/CreateSignIn", fault.InvalidArgument},
	} {
		err := w.dial(rpc.Gateway, rpc.Table()[c.method].Owner).Invoke(as(t, c.bearer), c.method, &emptypb.Empty{}, &emptypb.Empty{})
		got := fault.From(err)
		if err != nil && got.Reason != c.want || err == nil && c.want != "" {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if c.want != fault.Lockdown {
			continue
		}
		text := emergency.Texts{}.Lockdown(until)
		if got.Code != codes.Unavailable || got.Message != text || got.Details["until"] != until.UTC().Format(time.RFC3339Nano) || got.RetryAfter <= 59*time.Minute {
			t.Errorf("%s: %v %v, %v", c.name, got, got.Details, got.RetryAfter)
		}
	}
	conn := w.dial(rpc.Bastion, rpc.Gate)
	if _, err := gatev1.NewAccessClient(conn).Check(as(t, ""), &gatev1.CheckRequest{}); err != nil {
		t.Error("a door of ours is refused: ", err)
	}

	w.lift(lockdown)
	for bearer, want := range map[string]string{old: fault.Unauthenticated, oldAdmin: fault.Unauthenticated, bob: "", admin: "", api: ""} {
		err := w.dial(rpc.Gateway, rpc.Gate).Invoke(as(t, bearer), checkMethod, &emptypb.Empty{}, &emptypb.Empty{})
		if err != nil && fault.From(err).Reason != want || err == nil && want != "" {
			t.Errorf("after the lockdown: got %v, want %q", err, want)
		}
	}
}

func TestATokenThatALockdownHasRevokedWaitsForAnAdministrator(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	access := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate))
	_, api := w.token(identityv1.Token_API)
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	revoke := true
	lockdown := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) { e.RevokeTokens = &revoke })
	_, err := access.Check(as(t, api), &gatev1.CheckRequest{})
	check(t, fault.Lockdown, err)
	w.lift(lockdown)
	_, err = access.Check(as(t, api), &gatev1.CheckRequest{})
	check(t, fault.Unauthenticated, err)
	if _, err := access.Check(as(t, enforcer), &gatev1.CheckRequest{}); err != nil {
		t.Error("a door is refused: ", err)
	}
	_, rearmed := w.token(identityv1.Token_API)
	if _, err := access.Check(as(t, rearmed), &gatev1.CheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestALockRefusesItsUserAndTheirTokensAndEndsTheirSignIns(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	checkMethod, posture := "/portcullis.gate.v1.Access/Check", "/portcullis.gate.v1.Posture/GetPosture"
	made := func(by string, channel identityv1.Token_Channel) string {
		id, bearer := w.token(channel)
		w.tokens[id].Token.CreatedBy = by
		w.identity("token."+id, w.tokens[id])
		return bearer
	}
	his, hers, door := made("bob", identityv1.Token_API), made("ana", identityv1.Token_API), made("bob", identityv1.Token_ENFORCER)
	old, ana := w.signIn("bob", time.Hour), w.signIn("ana", time.Hour)
	lock := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) {
		e.Id, e.Kind, e.EndTime, e.Selector = "K-0042", emergencyv1.Emergency_LOCK, nil, &emergencyv1.Selector{Users: []string{"bob"}}
	})
	since := w.signIn("bob", time.Hour)
	ask := func(bearer, method string) *fault.Error {
		if err := w.dial(rpc.Gateway, rpc.Gate).Invoke(as(t, bearer), method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
			return fault.From(err)
		}
		return &fault.Error{}
	}
	for name, c := range map[string]struct{ bearer, method, want string }{
		"his sign-in from before":       {old, checkMethod, fault.Locked},
		"a sign-in of his since":        {since, checkMethod, fault.Locked},
		"his token":                     {his, checkMethod, fault.Locked},
		"a door of his making":          {door, checkMethod, ""},
		"another's sign-in":             {ana, checkMethod, ""},
		"another's token":               {hers, checkMethod, ""},
		"he, at what is open to anyone": {old, posture, ""},
	} {
		got := ask(c.bearer, c.method)
		if got.Reason != c.want {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
		if want := "Your user is locked until an administrator lifts it. Ask an administrator about K-0042"; c.want == fault.Locked &&
			(got.Message != want || got.Code != codes.PermissionDenied || got.Details["emergency"] != "K-0042" || got.Details["until"] != "") {
			t.Errorf("%s: %v, %v", name, got, got.Details)
		}
	}
	w.lift(lock)
	for bearer, want := range map[string]string{old: fault.Unauthenticated, his: "", since: ""} {
		if got := ask(bearer, checkMethod); got.Reason != want {
			t.Errorf("lifted: got %v, want %q", got, want)
		}
	}
}

func TestALockdownIsNotAskedAgainByItself(t *testing.T) {
	w := newWorld(t)
	g := &gate{}
	w.serve(rpc.Gate, g.register)
	w.lockdown(0, time.Hour)
	_, api := w.token(identityv1.Token_API)
	began := time.Now()
	var trailer metadata.MD
	_, err := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate)).Check(as(t, api), &gatev1.CheckRequest{}, grpc.Trailer(&trailer))
	check(t, fault.Lockdown, err)
	if got := trailer.Get("grpc-retry-pushback-ms"); !slices.Equal(got, []string{"-1"}) {
		t.Error("the client may retry: ", got, time.Since(began))
	}
}

func TestTheClientsAddressIsBelievedFromWhoCarriesCredentials(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	ana := w.signIn("ana", time.Hour)
	for address, want := range map[string]string{"192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1", "x\ny": "", "": ""} {
		got, err := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate)).Check(as(t, ana, rpc.Address, fmt.Sprintf("%q", address)[1:len(fmt.Sprintf("%q", address))-1]), &gatev1.CheckRequest{})
		if err != nil || got.GetEmergency() != want {
			t.Errorf("%q: got %v, %v", address, got, err)
		}
	}
}

func TestARequestKeepsItsIDUnlessThatIsNotPlain(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	access := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate))
	ana := w.signIn("ana", time.Hour)
	for id, kept := range map[string]bool{"abc-123": true, "": false, "a b": false, strings.Repeat("x", 65): false} {
		got, err := access.Check(as(t, ana, rpc.RequestID, id), &gatev1.CheckRequest{})
		if err != nil || (got.GetRevision() == id) != kept || got.GetRevision() == "" {
			t.Errorf("%q became %v, %v", id, got.GetRevision(), err)
		}
	}
}

func TestAServerThatDoesNotKnowYetRefuses(t *testing.T) {
	w := newWorld(t)
	w.state = nil
	w.serve(rpc.Gate, (&gate{}).register)
	_, err := gatev1.NewPostureClient(w.dial(rpc.Gateway, rpc.Gate)).GetPosture(as(t, ""), &gatev1.GetPostureRequest{})
	check(t, fault.Unavailable, err)
	if status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	health := grpc_health_v1.NewHealthClient(w.dial(rpc.Gateway, rpc.Gate))
	status := func(name string) grpc_health_v1.HealthCheckResponse_ServingStatus {
		got, err := health.Check(as(t, ""), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetStatus()
	}
	if live, ready := status("live"), status("ready"); live != grpc_health_v1.HealthCheckResponse_SERVING || ready == live {
		t.Error(live, ready)
	}
	watch, err := health.Watch(as(t, ""), &grpc_health_v1.HealthCheckRequest{Service: "ready"})
	if err != nil {
		t.Fatal(err)
	}
	w.user("ana")
	for got := new(grpc_health_v1.HealthCheckResponse); got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING; {
		if got, err = watch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAfterALockdownOnlyThoseGoOnWhoHaveSignedInSinceAndProgramsWhoseTokensItHasNotRevoked(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.dial(rpc.Gateway, rpc.Gate)
	access := gatev1.NewAccessClient(conn)
	bob, admin, eve := w.signIn("bob", time.Hour), w.signIn("ana", time.Hour), w.signIn("eve", time.Hour)
	_, api := w.token(identityv1.Token_API)
	_, agent := w.token(identityv1.Token_AGENT)
	asks := func(what, bearer, reason string) {
		t.Helper()
		_, err := access.Check(as(t, bearer), &gatev1.CheckRequest{})
		if reason == "" && err != nil || reason != "" && !fault.Is(err, reason) {
			t.Errorf("%s: %v, want %q", what, err, reason)
		}
		s, err := gatev1.NewAccessClient(conn).CheckStream(as(t, bearer))
		if err == nil && reason == "" {
			echo(t, s)
		} else if err == nil {
			check(t, reason, ended(t, s))
		}
	}
	first := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) { e.SparedSignIn = "ana" })
	asks("the one that it spares", admin, "")
	second := w.lockdown(0, time.Hour, func(e *emergencyv1.Emergency) { e.Id = "L-0043" })
	w.lift(first) // the other holds
	asks("a program through the second", api, fault.Lockdown)
	asks("whom the first has spared", admin, fault.Unauthenticated)
	w.lift(second)
	for what, bearer := range map[string]string{"bob": bob, "the administrator": admin, "eve": eve} {
		asks(what, bearer, fault.Unauthenticated)
	}
	asks("a program", api, "")
	asks("an agent", agent, "")
	asks("bob, signed in again", w.signIn("bob", time.Hour), "")
	pending := w.lockdown(time.Hour, time.Hour, func(e *emergencyv1.Emergency) { e.Id, e.RevokeTokens = "L-0044", new(true) })
	since := w.signIn("bob", time.Hour)
	w.revised++
	pending.CancelTime, pending.Revision = timestamppb.New(w.now()), w.revision().String()
	w.change(func() { w.records.PutEmergency(pending); w.records.SetRevision(w.revision()) })
	asks("bob, after one that never began", since, "")
	asks("a program, after one that never began", api, "")
}
