package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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
)

// noon is the tests' present.
var noon = time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)

// world is services that behave: they verify the bearer, keep what they are given, and know lockdowns.
type world struct {
	lock sync.Mutex
	// refuse is what every call is refused with, if set.
	refuse error
	// trusting leaves the credential and lockdowns to the server around it.
	trusting bool
	// seen is what the last call brought.
	seen     metadata.MD
	request  proto.Message
	lockdown time.Time
	changed  chan struct{}
	stop     func()
	// called is the full name of the method that was called last.
	called atomic.Value
	port   string
	// left hears why a watcher's stream ended, if somebody listens.
	left  chan error
	users map[string]*identityv1.User
}

func (w *world) enter(ctx context.Context, request proto.Message, anonymous bool) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.seen, _ = metadata.FromIncomingContext(ctx)
	w.request = request
	if w.refuse != nil {
		return w.refuse
	}
	if w.trusting {
		return nil
	}
	if !anonymous && strings.Join(w.seen.Get("authorization"), "") != "Bearer good" {
		return fault.New(fault.Unauthenticated, "The token is not valid. Sign in again")
	}
	if !anonymous && !w.lockdown.IsZero() {
		return lockedDown(w.lockdown)
	}
	return nil
}

func lockedDown(until time.Time) error {
	texts := emergency.Texts{}
	return fault.New(fault.Lockdown, "%s", texts.Lockdown(until)).Until("until", until, noon)
}

// lockDown begins a lockdown, and ends one if until is zero.
func (w *world) lockDown(until time.Time) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.lockdown = until
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) setRefuse(err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.refuse = err
}

func (w *world) last() (metadata.MD, proto.Message) {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.seen, w.request
}

type fakeGate struct {
	gatev1.UnimplementedPostureServer
	gatev1.UnimplementedDevicesServer
	gatev1.UnimplementedDirectoryServer
	gatev1.UnimplementedAccessServer
	gatev1.UnimplementedAccessGroupsServer
	*world
}

func (g fakeGate) now() (*gatev1.PostureState, chan struct{}) {
	g.lock.Lock()
	defer g.lock.Unlock()
	state := &gatev1.PostureState{Time: timestamppb.New(noon)}
	if !g.lockdown.IsZero() {
		state.Lockdown = &gatev1.LockdownNow{Until: timestamppb.New(g.lockdown)}
	}
	return state, g.changed
}

func (g fakeGate) GetPosture(ctx context.Context, r *gatev1.GetPostureRequest) (*gatev1.PostureState, error) {
	state, _ := g.now()
	return state, g.enter(ctx, r, true)
}

// WatchPosture is open to anyone in a lockdown; a credential that it cuts is cut here too.
func (g fakeGate) WatchPosture(r *gatev1.WatchPostureRequest, s grpc.ServerStreamingServer[gatev1.PostureState]) error {
	if err := g.enter(s.Context(), r, true); err != nil {
		return err
	}
	for {
		state, changed := g.now()
		if !g.trusting && len(g.seen.Get("authorization")) > 0 && state.GetLockdown() != nil {
			return lockedDown(state.GetLockdown().GetUntil().AsTime())
		}
		if err := s.Send(state); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-s.Context().Done():
			g.left <- s.Context().Err()
			return s.Context().Err()
		}
	}
}

func (g fakeGate) CreateDevice(ctx context.Context, r *gatev1.CreateDeviceRequest) (*gatev1.Device, error) {
	return r.GetDevice(), g.enter(ctx, r, false)
}

func (g fakeGate) GetDevice(ctx context.Context, r *gatev1.GetDeviceRequest) (*gatev1.Device, error) {
	return &gatev1.Device{Name: r.GetName()}, g.enter(ctx, r, false)
}

func (g fakeGate) ListDevices(ctx context.Context, r *gatev1.ListDevicesRequest) (*gatev1.ListDevicesResponse, error) {
	return &gatev1.ListDevicesResponse{}, g.enter(ctx, r, false)
}

func (g fakeGate) UpdateDevice(ctx context.Context, r *gatev1.UpdateDeviceRequest) (*gatev1.Device, error) {
	return r.GetDevice(), g.enter(ctx, r, false)
}

func (g fakeGate) Import(ctx context.Context, r *gatev1.ImportRequest) (*gatev1.ImportResponse, error) {
	return &gatev1.ImportResponse{Devices: 1}, g.enter(ctx, r, false)
}

func (g fakeGate) Check(ctx context.Context, r *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	return &gatev1.CheckResponse{Allowed: true, Reason: gatev1.CheckResponse_ALLOWED, Revision: "1-7"}, g.enter(ctx, r, false)
}

type fakeIdentity struct {
	identityv1.UnimplementedUsersServer
	identityv1.UnimplementedSignInsServer
	identityv1.UnimplementedGrantsServer
	identityv1.UnimplementedTokensServer
	*world
}

func (i fakeIdentity) GetUser(ctx context.Context, r *identityv1.GetUserRequest) (*identityv1.User, error) {
	if err := i.enter(ctx, r, false); err != nil {
		return nil, err
	}
	i.lock.Lock()
	defer i.lock.Unlock()
	if user := i.users[r.GetName()]; user != nil {
		return proto.CloneOf(user), nil
	}
	return nil, fault.New(fault.NotFound, "There is no user %s", r.GetName())
}

// UpdateUser does as the mask says, and refuses what it can't.
func (i fakeIdentity) UpdateUser(ctx context.Context, r *identityv1.UpdateUserRequest) (*identityv1.User, error) {
	if err := i.enter(ctx, r, false); err != nil {
		return nil, err
	}
	i.lock.Lock()
	defer i.lock.Unlock()
	user := i.users[r.GetUser().GetName()]
	if user == nil {
		return nil, fault.New(fault.NotFound, "There is no user %s", r.GetUser().GetName())
	}
	fields := user.ProtoReflect().Descriptor().Fields()
	for _, path := range r.GetUpdateMask().GetPaths() {
		f := fields.ByName(protoreflect.Name(path))
		if f == nil || path == "name" || path == "grant" {
			return nil, fault.New(fault.InvalidArgument, "The field %s can't be changed", path).With("field", path)
		}
		user.ProtoReflect().Clear(f)
		if r.GetUser().ProtoReflect().Has(f) {
			user.ProtoReflect().Set(f, r.GetUser().ProtoReflect().Get(f))
		}
	}
	return proto.CloneOf(user), nil
}

func (i fakeIdentity) CreateSignIn(ctx context.Context, r *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	if err := i.enter(ctx, r, true); err != nil {
		return nil, err
	}
	if r.GetPassword() != "right" {
		return nil, fault.New(fault.Unauthenticated, "The name or the password is wrong")
	}
	if !i.lockdown.IsZero() {
		return nil, lockedDown(i.lockdown)
	}
	return &identityv1.SignIn{Token: "good", ExpireTime: timestamppb.New(noon.Add(15 * time.Minute))}, nil
}

func (i fakeIdentity) RefreshSignIn(ctx context.Context, r *identityv1.RefreshSignInRequest) (*identityv1.SignIn, error) {
	return &identityv1.SignIn{Token: "good", ExpireTime: timestamppb.New(noon.Add(15 * time.Minute))}, i.enter(ctx, r, false)
}

func (i fakeIdentity) DeleteSignIn(ctx context.Context, r *identityv1.DeleteSignInRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, i.enter(ctx, r, false)
}

type fakeControl struct {
	emergencyv1.UnimplementedEmergenciesServer
	emergencyv1.UnimplementedPoliciesServer
	emergencyv1.UnimplementedHoldsServer
	emergencyv1.UnimplementedApprovalsServer
	emergencyv1.UnimplementedTicketsServer
	emergencyv1.UnimplementedDrillsServer
	emergencyv1.UnimplementedRostersServer
	auditv1.UnimplementedAuditServer
	*world
}

func (c fakeControl) ApplyFreeze(ctx context.Context, r *emergencyv1.ApplyFreezeRequest) (*emergencyv1.Emergency, error) {
	return &emergencyv1.Emergency{Id: "F-0007", Kind: emergencyv1.Emergency_FREEZE}, c.enter(ctx, r, false)
}

func (c fakeControl) GetFreeze(ctx context.Context, r *emergencyv1.GetEmergencyRequest) (*emergencyv1.Emergency, error) {
	return &emergencyv1.Emergency{Id: r.GetId()}, c.enter(ctx, r, false)
}

func (c fakeControl) Preview(ctx context.Context, r *emergencyv1.PreviewRequest) (*emergencyv1.PreviewResponse, error) {
	return &emergencyv1.PreviewResponse{Sessions: 3}, c.enter(ctx, r, false)
}

func (c fakeControl) UpdatePolicy(ctx context.Context, r *emergencyv1.UpdatePolicyRequest) (*emergencyv1.Policy, error) {
	return r.GetPolicy(), c.enter(ctx, r, false)
}

// Export sends three entries, then waits for what ends it.
func (c fakeControl) Export(r *auditv1.ExportRequest, s grpc.ServerStreamingServer[auditv1.StoredEntry]) error {
	if err := c.enter(s.Context(), r, false); err != nil {
		return err
	}
	c.lock.Lock()
	changed := c.changed
	c.lock.Unlock()
	for n := range 3 {
		if err := s.Send(&auditv1.StoredEntry{Sequence: uint64(n + 1), Data: []byte{1, 2}}); err != nil {
			return err
		}
	}
	select {
	case <-changed:
		return lockedDown(c.lockdown)
	case <-s.Context().Done():
		return s.Context().Err()
	}
}

type fakeNotifier struct {
	notificationv1.UnimplementedNotificationsServer
	notificationv1.UnimplementedSmtpAccountsServer
	notificationv1.UnimplementedMailboxesServer
	notificationv1.UnimplementedSmsServer
	notificationv1.UnimplementedWebhooksServer
	notificationv1.UnimplementedTemplatesServer
	notificationv1.UnimplementedOutboxServer
	notificationv1.UnimplementedInboxServer
	notificationv1.UnimplementedEventsServer
	*world
}

func (n fakeNotifier) ReceiveTwilioStatus(ctx context.Context, r *notificationv1.ReceiveTwilioStatusRequest) (*notificationv1.ReceiveSmsStatusResponse, error) {
	return new(notificationv1.ReceiveSmsStatusResponse), n.enter(ctx, r, true)
}

type fakeBroker struct {
	sessionv1.UnimplementedSessionsServer
	*world
}

// serve runs the fakes on a real port and answers a connection to them.
func (w *world) serve(t testing.TB) *grpc.ClientConn {
	t.Helper()
	w.left = make(chan error, 100)
	w.changed, w.users = make(chan struct{}), map[string]*identityv1.User{}
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, r any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		w.called.Store(info.FullMethod)
		return next(ctx, r)
	}))
	gate, identity, control := fakeGate{world: w}, fakeIdentity{world: w}, fakeControl{world: w}
	gatev1.RegisterPostureServer(server, gate)
	gatev1.RegisterDevicesServer(server, gate)
	gatev1.RegisterDirectoryServer(server, gate)
	gatev1.RegisterAccessServer(server, gate)
	gatev1.RegisterAccessGroupsServer(server, gate)
	identityv1.RegisterUsersServer(server, identity)
	identityv1.RegisterSignInsServer(server, identity)
	identityv1.RegisterProviderSignInsServer(server, fakeProvider{world: w})
	identityv1.RegisterGrantsServer(server, identity)
	identityv1.RegisterTokensServer(server, identity)
	emergencyv1.RegisterEmergenciesServer(server, control)
	emergencyv1.RegisterPoliciesServer(server, control)
	emergencyv1.RegisterHoldsServer(server, control)
	emergencyv1.RegisterApprovalsServer(server, control)
	emergencyv1.RegisterTicketsServer(server, control)
	emergencyv1.RegisterDrillsServer(server, control)
	emergencyv1.RegisterRostersServer(server, control)
	auditv1.RegisterAuditServer(server, control)
	auditv1.RegisterReportsServer(server, auditv1.UnimplementedReportsServer{})
	notifier := fakeNotifier{world: w}
	notificationv1.RegisterNotificationsServer(server, notifier)
	notificationv1.RegisterSmtpAccountsServer(server, notifier)
	notificationv1.RegisterMailboxesServer(server, notifier)
	notificationv1.RegisterSmsServer(server, notifier)
	notificationv1.RegisterWebhooksServer(server, notifier)
	notificationv1.RegisterTemplatesServer(server, notifier)
	notificationv1.RegisterOutboxServer(server, notifier)
	notificationv1.RegisterInboxServer(server, notifier)
	notificationv1.RegisterEventsServer(server, notifier)
	sessionv1.RegisterSessionsServer(server, fakeBroker{world: w})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	w.port = listener.Addr().String()
	w.stop = server.Stop
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// public is a gateway before the fakes, and the address at which it serves.
type public struct {
	*world
	gateway *Gateway
	url     string
	log     *lines
}

// lines is a log that a test can read.
type lines struct {
	lock sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

func open(t testing.TB, change ...func(*Config, *Deps)) *public {
	t.Helper()
	w := &world{}
	connection := w.serve(t)
	log := &lines{}
	registry := prometheus.NewRegistry()
	config := Default()
	deps := Deps{
		Dial:   func(string) (grpc.ClientConnInterface, error) { return connection, nil },
		Listen: net.Listen, Ready: func() error { return nil },
		Gather: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), Metrics: registry,
		Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return noon },
	}
	for _, c := range change {
		c(&config, &deps)
	}
	g, err := New(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return &public{world: w, gateway: g, url: server.URL, log: log}
}

// got is an answer, read whole.
type got struct {
	status int
	header http.Header
	body   string
}

// call sends a request with the good token; headers come as name, value, and an empty value removes.
func (p *public) call(t testing.TB, method, path, body string, headers ...string) got {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer good")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{answer.StatusCode, answer.Header, string(text)}
}
