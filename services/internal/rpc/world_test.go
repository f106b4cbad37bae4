package rpc_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// world is a view that a test changes as the journal would.
type world struct {
	t      testing.TB
	signer who.Signer
	log    *lines
	pipes  *rpc.Pipes

	mu      sync.Mutex
	skew    time.Duration
	records *emergency.Builder
	people  *who.Builder
	revised uint64
	state   *watch.State
	subs    map[chan struct{}]struct{}
	tokens  map[string]*identityv1.TokenRecord
}

func newWorld(t testing.TB) *world {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	records := emergency.NewBuilder()
	w := &world{t: t, signer: who.Signer{KeyID: "k1", Key: private}, log: &lines{}, pipes: rpc.NewPipes(), records: records,
		people: who.NewBuilder(records), subs: map[chan struct{}]struct{}{}, tokens: map[string]*identityv1.TokenRecord{}}
	w.identity("key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: public})
	w.user("ana", emergency.Administrator)
	w.user("bob", who.Auditor)
	w.user("eve")
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

func (w *world) State() *watch.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *world) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, c)
	}
}

// change publishes a new state.
func (w *world) change(fold func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fold()
	now := time.Now().Add(w.skew)
	view, err := w.people.View(now)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.state = &watch.State{Emergency: w.records.Snapshot(now), Who: view, Fresh: true}
	for c := range w.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (w *world) identity(subject string, m proto.Message) {
	w.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(func() {
		if err := w.people.Put("identity."+subject, data); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) user(name string, roles ...string) {
	w.t.Helper()
	w.identity("user."+name, &identityv1.UserRecord{User: &identityv1.User{Name: name, Roles: roles}})
}

// revision is what is held now.
func (w *world) revision() emergency.Revision {
	return emergency.Revision{Epoch: 1, Sequence: w.revised}
}

// signIn answers a sign-in's bearer; its id is the user's name.
func (w *world) signIn(user string, lasts time.Duration) string {
	w.t.Helper()
	w.mu.Lock()
	admission := w.state.Emergency.Admission(time.Now())
	w.mu.Unlock()
	token, err := w.signer.SignIn(who.SignIn{ID: user, User: user, Admission: admission, Issued: time.Now(), Expires: time.Now().Add(lasts)})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) token(channel identityv1.Token_Channel, permissions ...string) (id, bearer string) {
	id, bearer, hash := who.NewToken()
	w.tokens[id] = &identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{Id: id, Name: id, Channel: channel, Permissions: permissions, ArmedRevision: w.revision().String()}}
	w.identity("token."+id, w.tokens[id])
	return id, bearer
}

func (w *world) deleteToken(id string) {
	w.tokens[id].Deleted = true
	w.identity("token."+id, w.tokens[id])
}

func (w *world) signOut(signIn string) {
	w.identity("revocation."+signIn, &identityv1.RevocationRecord{SignIn: signIn, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))})
}

// lockdown puts one on record, changed as a test wants it.
func (w *world) lockdown(starts, lasts time.Duration, change ...func(*emergencyv1.Emergency)) *emergencyv1.Emergency {
	now := w.now()
	w.revised++
	e := &emergencyv1.Emergency{Id: "L-0042", Kind: emergencyv1.Emergency_LOCKDOWN, CreateTime: timestamppb.New(now), StartTime: timestamppb.New(now.Add(starts)),
		EndTime: timestamppb.New(now.Add(starts + lasts)), CutoffRevision: w.revision().String(), Revision: w.revision().String()}
	for _, c := range change {
		c(e)
	}
	w.change(func() { w.records.PutEmergency(e); w.records.SetRevision(w.revision()) })
	return e
}

func (w *world) lift(e *emergencyv1.Emergency) {
	w.revised++
	lifted := proto.CloneOf(e)
	lifted.CancelTime, lifted.EndTime, lifted.Started = timestamppb.New(w.now()), timestamppb.New(w.now()), true
	w.change(func() { w.records.PutEmergency(lifted); w.records.SetRevision(w.revision()) })
}

// lines is a log that a test can read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serve runs a service's server on the pipes until the test ends.
func (w *world) serve(name string, register func(grpc.ServiceRegistrar)) {
	w.t.Helper()
	w.serveWith(name, register, nil)
}

func (w *world) serveWith(name string, register func(grpc.ServiceRegistrar), change func(*rpc.Config)) {
	w.t.Helper()
	s := w.server(name, change)
	register(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, w.pipes.Listen(name)) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) server(name string, change func(*rpc.Config)) *rpc.Server {
	w.t.Helper()
	c := rpc.Config{Service: name, View: w, Credentials: w.pipes.Credentials(), Now: w.now, Log: w.logger(), Metrics: prometheus.NewRegistry()}
	if change != nil {
		change(&c)
	}
	s, err := rpc.NewServer(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// dial is one service's connection to another.
func (w *world) dial(from, to string) *grpc.ClientConn {
	w.t.Helper()
	c, err := w.pipes.Dial(from, to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// as is a call's context with a credential.
func as(t *testing.T, bearer string, more ...string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	if bearer != "" {
		more = append(more, rpc.Authorization, "Bearer "+bearer)
	}
	return metadata.AppendToOutgoingContext(ctx, more...)
}

// gate is an access-gate that says who asks.
type gate struct {
	gatev1.UnimplementedAccessServer
	gatev1.UnimplementedPostureServer
	gatev1.UnimplementedDevicesServer
	gatev1.UnimplementedDirectoryServer
	calls atomic.Int64
	fail  func() error
	// deaf makes streams ignore that their context has ended.
	deaf chan struct{}
}

func (g *gate) Check(ctx context.Context, r *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	g.calls.Add(1)
	if g.fail != nil {
		return nil, g.fail()
	}
	c := who.FromContext(ctx)
	return &gatev1.CheckResponse{Message: c.Actor(), Emergency: c.Address, Revision: telemetry.RequestOf(ctx)}, nil
}

func (g *gate) CheckStream(s grpc.BidiStreamingServer[gatev1.CheckRequest, gatev1.CheckResponse]) error {
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&gatev1.CheckResponse{Message: r.GetDevice()}); err != nil {
			return err
		}
	}
}

func (g *gate) WatchPosture(_ *gatev1.WatchPostureRequest, s grpc.ServerStreamingServer[gatev1.PostureState]) error {
	if err := s.Send(&gatev1.PostureState{Revision: who.FromContext(s.Context()).Actor()}); err != nil {
		return err
	}
	if g.deaf != nil {
		<-g.deaf
		return errors.New("it went on to the end")
	}
	<-s.Context().Done()
	return context.Cause(s.Context())
}

func (g *gate) GetPosture(ctx context.Context, _ *gatev1.GetPostureRequest) (*gatev1.PostureState, error) {
	return &gatev1.PostureState{Revision: who.FromContext(ctx).Actor()}, nil
}

func (g *gate) ListDevices(context.Context, *gatev1.ListDevicesRequest) (*gatev1.ListDevicesResponse, error) {
	g.calls.Add(1)
	return &gatev1.ListDevicesResponse{}, nil
}

func (g *gate) CreateDevice(_ context.Context, r *gatev1.CreateDeviceRequest) (*gatev1.Device, error) {
	return r.GetDevice(), nil
}

func (g *gate) DeleteDevice(context.Context, *gatev1.DeleteDeviceRequest) (*emptypb.Empty, error) {
	panic("the secret is s3cret")
}

func (g *gate) Import(_ context.Context, r *gatev1.ImportRequest) (*gatev1.ImportResponse, error) {
	return &gatev1.ImportResponse{Devices: uint32(len(r.GetDocument()))}, nil
}

func (g *gate) register(r grpc.ServiceRegistrar) {
	gatev1.RegisterAccessServer(r, g)
	gatev1.RegisterPostureServer(r, g)
	gatev1.RegisterDevicesServer(r, g)
	gatev1.RegisterDirectoryServer(r, g)
}

// identity lets people out, and says who asked for a refresh.
type identity struct {
	identityv1.UnimplementedSignInsServer
}

func (identity) CreateSignIn(context.Context, *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	return &identityv1.SignIn{}, nil
}

func (identity) RefreshSignIn(ctx context.Context, _ *identityv1.RefreshSignInRequest) (*identityv1.SignIn, error) {
	return &identityv1.SignIn{Token: who.FromContext(ctx).SignIn}, nil
}

func (identity) DeleteSignIn(context.Context, *identityv1.DeleteSignInRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// broker echoes what connectors say.
type broker struct {
	sessionv1.UnimplementedConnectorsServer
}

func (broker) Attach(s grpc.BidiStreamingServer[sessionv1.ConnectorMessage, sessionv1.BrokerMessage]) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if err := s.Send(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{Ids: []string{m.GetHello().GetConnector()}}}}); err != nil {
			return err
		}
	}
}
