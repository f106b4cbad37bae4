package rpc_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/who"
)

// public is a connection from the outside, through a proxy on a real port.
func (w *world) public() *grpc.ClientConn {
	w.t.Helper()
	return w.publicWithin(0)
}

// publicWithin is one that waits so long for a request.
func (w *world) publicWithin(first time.Duration) *grpc.ClientConn {
	w.t.Helper()
	p := rpc.NewProxy(rpc.ProxyConfig{Log: w.logger(), FirstWithin: first, Dial: func(service string) (grpc.ClientConnInterface, error) {
		return w.dial(rpc.Gateway, service), nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return conn
}

func TestThePublicPortCarriesCallsOfEveryKind(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	w.serve(rpc.Broker, func(r grpc.ServiceRegistrar) { sessionv1.RegisterConnectorsServer(r, broker{}) })
	conn := w.public()
	ana := w.signIn("ana", time.Hour)
	got, err := gatev1.NewAccessClient(conn).Check(as(t, ana, rpc.RequestID, "req-9"), &gatev1.CheckRequest{})
	if err != nil || got.GetMessage() != "ana" || got.GetEmergency() != "127.0.0.1" || got.GetRevision() != "req-9" {
		t.Error(got, err)
	}
	posture, err := gatev1.NewPostureClient(conn).WatchPosture(as(t, ana), &gatev1.WatchPostureRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := posture.Recv(); err != nil || first.GetRevision() != "ana" {
		t.Error(first, err)
	}
	checks := open(t, conn, ana)
	echo(t, checks)
	if err := checks.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := checks.Recv(); err == nil || err.Error() != "EOF" {
		t.Error("closing one way does not end it: ", err)
	}
	_, enforcer := w.token(identityv1.Token_ENFORCER)
	attached, err := sessionv1.NewConnectorsClient(conn).Attach(as(t, enforcer))
	if err != nil {
		t.Fatal(err)
	}
	if err := attached.Send(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Hello{Hello: &sessionv1.Hello{Connector: "c-1"}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := attached.Recv(); err != nil || !slices.Equal(m.GetConfirm().GetIds(), []string{"c-1"}) {
		t.Error(m, err)
	}
	document := strings.Repeat("x", 3<<20)
	imported, err := gatev1.NewDirectoryClient(conn).Import(as(t, ana), &gatev1.ImportRequest{Document: document}, grpc.MaxCallSendMsgSize(64<<20))
	if err != nil || int(imported.GetDevices()) != len(document) {
		t.Error(imported, err)
	}
	health, err := grpc_health_v1.NewHealthClient(conn).Check(as(t, ""), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Error(health, err)
	}
}

func TestTheOutsideCantClaimToBeSomebody(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.public()
	ana := w.signIn("ana", time.Hour)
	got, err := gatev1.NewAccessClient(conn).Check(as(t, ana, rpc.Address, "192.0.2.99", "x-forwarded-for", "192.0.2.98", "portcullis-user", "root"), &gatev1.CheckRequest{})
	if err != nil || got.GetEmergency() != "127.0.0.1" {
		t.Error(got, err)
	}
	_, err = gatev1.NewAccessClient(conn).Check(as(t, "", "portcullis-user", "ana"), &gatev1.CheckRequest{})
	check(t, fault.Unauthenticated, err)
}

func TestTheOutsideReachesNothingThatIsForServices(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.public()
	_, admin := w.token(identityv1.Token_API, who.Permissions()...)
	for method, row := range rpc.Table() {
		if row.Public() {
			continue
		}
		if got := ask(as(t, admin), conn, method); got != fault.Unimplemented {
			t.Errorf("%s: %s", method, got)
		}
	}
	if got := ask(as(t, admin), conn, "/portcullis.gate.v1.Access/Guess"); got != fault.Unimplemented {
		t.Error(got)
	}
}

func TestRefusalsAndCutsComeThroughThePublicPortWhole(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Gate, (&gate{}).register)
	conn := w.public()
	s := open(t, conn, w.signIn("bob", time.Hour))
	lockdown := w.lockdown(0, time.Hour)
	var trailer metadata.MD
	_, err := gatev1.NewAccessClient(conn).Check(as(t, w.signIn("bob", time.Hour)), &gatev1.CheckRequest{}, grpc.Trailer(&trailer))
	for _, err := range []error{ended(t, s), err} {
		got := fault.From(err)
		if got.Reason != fault.Lockdown || got.Details["until"] != lockdown.GetEndTime().AsTime().Format(time.RFC3339Nano) || got.RetryAfter == 0 {
			t.Errorf("%v %v", got, got.Details)
		}
	}
	if !slices.Equal(trailer.Get("grpc-retry-pushback-ms"), []string{"-1"}) {
		t.Error("the client may retry: ", trailer)
	}
	_, err = gatev1.NewDirectoryClient(conn).Import(as(t, ""), &gatev1.ImportRequest{Document: strings.Repeat("x", 33<<20)}, grpc.MaxCallSendMsgSize(64<<20))
	if reason := fault.From(err).Reason; reason != fault.ResourceExhausted && reason != fault.Unauthenticated {
		t.Error(err)
	}
}

func TestAPartThatIsNotThereIsUnavailableWithoutItsAddress(t *testing.T) {
	w := newWorld(t)
	p := rpc.NewProxy(rpc.ProxyConfig{Log: w.logger(), Dial: func(string) (grpc.ClientConnInterface, error) {
		return grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.Serve(t.Context(), l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = auditv1.NewAuditClient(conn).ListEntries(as(t, "x"), &auditv1.ListEntriesRequest{})
	check(t, fault.Unavailable, err)
	if strings.Contains(err.Error(), "127.0.0.1") {
		t.Error(err)
	}
}

func TestAStreamThatItsCallerLeavesEndsBehindThePublicPort(t *testing.T) {
	w := newWorld(t)
	left := make(chan struct{})
	g := &leaver{left: left}
	w.serve(rpc.Gate, func(r grpc.ServiceRegistrar) { gatev1.RegisterPostureServer(r, g) })
	ctx, leave := context.WithCancel(as(t, ""))
	s, err := gatev1.NewPostureClient(w.public()).WatchPosture(ctx, &gatev1.WatchPostureRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	leave()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Error("the handler never heard of it")
	}
}

// leaver tells when a watcher has left.
type leaver struct {
	gatev1.UnimplementedPostureServer
	left chan struct{}
}

func (l *leaver) WatchPosture(_ *gatev1.WatchPostureRequest, s grpc.ServerStreamingServer[gatev1.PostureState]) error {
	if err := s.Send(&gatev1.PostureState{}); err != nil {
		return err
	}
	<-s.Context().Done()
	close(l.left)
	return nil
}

func TestAServiceCarriesTheCredentialOnlyWhenAsked(t *testing.T) {
	w := newWorld(t)
	w.serve(rpc.Control, func(r grpc.ServiceRegistrar) {})
	seen := make(chan metadata.MD, 1)
	w.serve(rpc.Gate, func(r grpc.ServiceRegistrar) {
		gatev1.RegisterAccessServer(r, forwarder{forward: func(ctx context.Context) {
			out, _ := metadata.FromOutgoingContext(rpc.Forward(ctx))
			plain, _ := metadata.FromOutgoingContext(ctx)
			if len(plain) != 0 {
				t.Error("it goes on by itself: ", plain)
			}
			seen <- out
		}})
	})
	ana := w.signIn("ana", time.Hour)
	if _, err := gatev1.NewAccessClient(w.dial(rpc.Gateway, rpc.Gate)).Check(as(t, ana, rpc.Address, "192.0.2.7", rpc.RequestID, "req-1", "portcullis-more", "x"), &gatev1.CheckRequest{}); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	if len(got) != 3 || got.Get(rpc.Authorization)[0] != "Bearer "+ana || got.Get(rpc.Address)[0] != "192.0.2.7" || got.Get(rpc.RequestID)[0] != "req-1" {
		t.Error(got)
	}
}

type forwarder struct {
	gatev1.UnimplementedAccessServer
	forward func(context.Context)
}

func (f forwarder) Check(ctx context.Context, _ *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	f.forward(ctx)
	return &gatev1.CheckResponse{}, nil
}

func TestAPipeCarriesMuchAtOnceBothWays(t *testing.T) {
	p := rpc.NewPipes()
	l := p.Listen(rpc.Gate)
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	near, err := p.Connect(t.Context(), rpc.Control, rpc.Gate)
	if err != nil {
		t.Fatal(err)
	}
	far := <-accepted
	sent := bytes.Repeat([]byte("portcullis"), 1<<17)
	for _, c := range []net.Conn{near, far} {
		go func() { _, _ = c.Write(sent) }()
	}
	for _, c := range []net.Conn{near, far} {
		got := make([]byte, len(sent))
		for n := 0; n < len(got); {
			m, err := c.Read(got[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
		if !bytes.Equal(got, sent) {
			t.Error("it is not what was sent")
		}
	}
	_, info, err := p.Credentials().ServerHandshake(near)
	if err == nil {
		t.Error("a connection that is no pipe's far end was taken: ", info)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Connect(ctx, rpc.Control, rpc.Bastion); err == nil {
		t.Error("it connects to nobody")
	}
}
