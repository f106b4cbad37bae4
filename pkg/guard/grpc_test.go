package guard_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/guard"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// health is a service with a unary call and a stream whose handler never looks up.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	watching chan context.Context
	release  chan struct{}
}

func (h *health) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (h *health) Watch(_ *grpc_health_v1.HealthCheckRequest, s grpc_health_v1.Health_WatchServer) error {
	if err := s.Send(&grpc_health_v1.HealthCheckResponse{}); err != nil {
		return err
	}
	h.watching <- s.Context()
	<-h.release
	return nil
}

// byHeader trusts a test's metadata.
func byHeader(ctx context.Context, _ string) (guard.Caller, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	if v := in.Get("user"); len(v) == 1 {
		return guard.Caller{User: v[0], Device: "orders", Channel: emergency.SessionChannel}, nil
	}
	return guard.Caller{}, fault.New(fault.Unauthenticated, "Say who you are")
}

func as(t *testing.T, user string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "user", user)
}

func newServer(t *testing.T, g *guard.Guard) (*health, grpc_health_v1.HealthClient) {
	t.Helper()
	h := &health{watching: make(chan context.Context, 10), release: make(chan struct{})}
	server := grpc.NewServer(grpc.UnaryInterceptor(guard.UnaryServerInterceptor(g, byHeader)), grpc.StreamInterceptor(guard.StreamServerInterceptor(g, byHeader)))
	grpc_health_v1.RegisterHealthServer(server, h)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.release); conn.Close(); server.Stop() })
	return h, grpc_health_v1.NewHealthClient(conn)
}

func TestALockdownRefusesCallsAndEndsStreamsWhateverTheirHandlersDo(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	h, client := newServer(t, g)
	if _, err := client.Check(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	refused(t, err, fault.Unauthenticated)
	watch, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	handler := <-h.watching

	gate.untilHeld(gate.lockdown("L-1"))
	_, err = watch.Recv()
	refused(t, err, fault.Lockdown)
	if f := fault.From(err); f.Code != codes.Unavailable || f.RetryAfter < 59*time.Minute || f.Details["emergency"] != "L-1" {
		t.Errorf("%+v does not say until when", f)
	}
	<-handler.Done()
	refused(t, context.Cause(handler), fault.Lockdown)
	_, err = client.Check(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	refused(t, err, fault.Lockdown)
	watch, err = client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	refused(t, err, fault.Lockdown)
}

func TestWhatCameAndWentWhileTheGateWasAwayStillBites(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	_, client := newServer(t, g)
	watch, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	gate.stop()
	gate.change(func(b *emergency.Builder) {
		b.PutEmergency(gate.emergency("T-1", emergencyv1.Emergency_TERMINATION, func(e *emergencyv1.Emergency) {
			e.Selector = &emergencyv1.Selector{Devices: []string{"orders"}}
		}))
	})
	gate.startAgain()
	_, err = watch.Recv()
	refused(t, err, fault.Aborted)
	if fault.From(err).Details["emergency"] != "T-1" {
		t.Errorf("%v does not say which", err)
	}
	again, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Recv(); err != nil { // after a termination new ones may start at once
		t.Fatal(err)
	}
}

func TestAFreezeEndsWhatIsLiveOnlyIfItSaysSo(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	_, client := newServer(t, g)
	watch, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.Watch(as(t, "root"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []grpc_health_v1.Health_WatchClient{watch, admin} {
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	freeze := func(id string, ends bool) {
		gate.untilHeld(gate.change(func(b *emergency.Builder) {
			b.PutEmergency(gate.emergency(id, emergencyv1.Emergency_FREEZE, func(e *emergencyv1.Emergency) { e.EndLiveSessions = &ends }))
		}))
	}
	ended := make(chan error, 1)
	go func() { _, err := watch.Recv(); ended <- err }()
	freeze("F-1", false)
	select {
	case err := <-ended:
		t.Fatalf("a freeze that lets live ones go on ended it: %v", err)
	default:
	}
	freeze("F-2", true)
	refused(t, <-ended, fault.Frozen)
	gate.untilHeld(gate.lockdown("L-1"))
	_, err = admin.Recv()
	refused(t, err, fault.Lockdown) // and not F-2
}

func TestALockShutsItsUserOrDeviceAndEndsWhatIsLive(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	_, client := newServer(t, g)
	watch, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	lock := func(id string, sel *emergencyv1.Selector) {
		gate.untilHeld(gate.change(func(b *emergency.Builder) {
			b.PutEmergency(gate.emergency(id, emergencyv1.Emergency_LOCK, func(e *emergencyv1.Emergency) { e.Selector, e.EndTime = sel, nil }))
		}))
	}
	lock("K-1", &emergencyv1.Selector{Users: []string{"alice"}})
	_, err = watch.Recv()
	refused(t, err, fault.Locked)
	if _, err := client.Check(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{}); fault.From(err).Details["emergency"] != "K-1" {
		t.Errorf("a new call: %v", err)
	}
	admin := guard.Caller{User: "root", Device: "orders", Channel: emergency.SessionChannel}
	allowed(t, g.Check(admin))
	lock("K-2", &emergencyv1.Selector{AccessGroups: []string{"shop"}})
	refused(t, g.Check(admin), fault.Locked)
	allowed(t, g.Check(root))
	gate.untilHeld(gate.change(func(b *emergency.Builder) { b.PutGroup("shop", []string{"alice", "root"}, nil, true) }))
	refused(t, g.Check(admin), fault.PermissionDenied)
}

func TestAClientsGuardEndsTheStreamsThatItOpened(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	plain := grpc.NewServer()
	h := &health{watching: make(chan context.Context, 10), release: make(chan struct{})}
	grpc_health_v1.RegisterHealthServer(plain, h)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = plain.Serve(listener) }()
	who := func(context.Context, string) (guard.Caller, error) { return alice, nil }
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(guard.UnaryClientInterceptor(g, who)), grpc.WithStreamInterceptor(guard.StreamClientInterceptor(g, who)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.release); conn.Close(); plain.Stop() })
	client := grpc_health_v1.NewHealthClient(conn)
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	gate.untilHeld(gate.lockdown("L-1"))
	_, err = watch.Recv()
	refused(t, err, fault.Lockdown)
	<-(<-h.watching).Done()
	_, err = client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	refused(t, err, fault.Lockdown)
	_, err = client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	refused(t, err, fault.Lockdown)
}

func TestALockdownThatCameAndWentWhileTheGateWasAwayEndsStreamsOfPeopleAndPrograms(t *testing.T) {
	gate := newGate(t)
	g := newGuard(t, gate)
	_, client := newServer(t, g)
	var watches []grpc.ServerStreamingClient[grpc_health_v1.HealthCheckResponse]
	for _, caller := range []string{"alice", "root"} {
		watch, err := client.Watch(as(t, caller), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		watches = append(watches, watch)
	}
	gate.stop()
	gate.lockdown("L-1", func(e *emergencyv1.Emergency) { e.CancelTime, e.EndTime = timestamppb.Now(), timestamppb.Now() })
	gate.startAgain()
	for _, watch := range watches {
		_, err := watch.Recv()
		refused(t, err, fault.Lockdown)
		if fault.From(err).Details["emergency"] != "L-1" {
			t.Errorf("%v does not say which", err)
		}
	}
	again, err := client.Watch(as(t, "alice"), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Recv(); err != nil {
		t.Fatal(err)
	}
}
