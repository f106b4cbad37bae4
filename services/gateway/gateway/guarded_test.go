package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/pace"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// record is what a real server decides on: one program's token, and the emergencies there are.
type record struct {
	t           testing.TB
	emergencies *emergency.Builder
	people      *who.Builder
	token       string
	state       atomic.Pointer[watch.State]
	lock        sync.Mutex
	subscribers []chan struct{}
}

func newRecord(t testing.TB) *record {
	b := emergency.NewBuilder()
	r := &record{t: t, emergencies: b, people: who.NewBuilder(b)}
	id, token, hash := who.NewToken()
	data, err := proto.Marshal(&identityv1.TokenRecord{Hash: hash, Token: &identityv1.Token{
		Id: id, Name: "ci", Channel: identityv1.Token_API, Permissions: []string{who.Read, who.ReadAudit},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.people.Put("identity.token."+id, data); err != nil {
		t.Fatal(err)
	}
	r.token = token
	r.publish()
	return r
}

func (r *record) publish() {
	view, err := r.people.View(time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.state.Store(&watch.State{Emergency: r.emergencies.Snapshot(time.Now()), Who: view, Fresh: true})
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, s := range r.subscribers {
		select {
		case s <- struct{}{}:
		default:
		}
	}
}

func (r *record) State() *watch.State { return r.state.Load() }

func (r *record) Subscribe() (<-chan struct{}, func()) {
	s := make(chan struct{}, 1)
	r.lock.Lock()
	defer r.lock.Unlock()
	r.subscribers = append(r.subscribers, s)
	return s, func() {}
}

func (r *record) lockDown(until time.Time) {
	now := time.Now()
	r.emergencies.SetRevision(emergency.Revision{Epoch: 1, Sequence: 10})
	r.emergencies.PutEmergency(&emergencyv1.Emergency{
		Id: "L-0010", Kind: emergencyv1.Emergency_LOCKDOWN, StartTime: timestamppb.New(now.Add(-time.Second)), EndTime: timestamppb.New(until),
		Revision: "1-10", CutoffRevision: "1-10", Started: true,
	})
	r.publish()
}

// network is how the servers of a test are reached.
type network struct {
	// pace is of each client, instead of the usual.
	pace        pace.Pace
	credentials func(service string) credentials.TransportCredentials
	listen      func(service string) net.Listener
	dial        func(service string) (*grpc.ClientConn, error)
}

func inProcess() network {
	pipes := rpc.NewPipes()
	return network{
		credentials: func(string) credentials.TransportCredentials { return pipes.Credentials() },
		listen:      pipes.Listen,
		dial:        func(service string) (*grpc.ClientConn, error) { return pipes.Dial(rpc.Gateway, service) },
	}
}

// openGuarded is a gateway before real servers of ours, and its public gRPC port.
func openGuarded(t testing.TB, n network, change ...func(*Deps)) (p *public, r *record, port string) {
	t.Helper()
	r = newRecord(t)
	w := &world{left: make(chan error, 100), changed: make(chan struct{}), trusting: true}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for service, register := range map[string]func(*rpc.Server){
		rpc.Gate: func(s *rpc.Server) {
			gate := fakeGate{world: w}
			gatev1.RegisterPostureServer(s, gate)
			gatev1.RegisterDevicesServer(s, gate)
			gatev1.RegisterAccessServer(s, gate)
		},
		rpc.Control: func(s *rpc.Server) {
			emergencyv1.RegisterEmergenciesServer(s, fakeControl{world: w})
			emergencyv1.RegisterHoldsServer(s, emergencyv1.UnimplementedHoldsServer{})
			emergencyv1.RegisterApprovalsServer(s, emergencyv1.UnimplementedApprovalsServer{})
			emergencyv1.RegisterTicketsServer(s, emergencyv1.UnimplementedTicketsServer{})
			emergencyv1.RegisterDrillsServer(s, emergencyv1.UnimplementedDrillsServer{})
			emergencyv1.RegisterRostersServer(s, emergencyv1.UnimplementedRostersServer{})
			auditv1.RegisterAuditServer(s, fakeControl{world: w})
		},
	} {
		server, err := rpc.NewServer(rpc.Config{Service: service, View: r, Credentials: n.credentials(service), Pace: n.pace, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		register(server)
		listener := n.listen(service)
		running.Go(func() { _ = server.Serve(ctx, listener) })
	}
	dial := once(t, n.dial)
	p = open(t, func(_ *Config, d *Deps) {
		d.Dial, d.Now = dial, time.Now
		d.Verify = func(bearer string) (who.Caller, error) { return r.State().Who.Verify(bearer, time.Now()) }
		for _, c := range change {
			c(d)
		}
	})
	p.world = w
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := rpc.NewProxy(rpc.ProxyConfig{Dial: dial, Log: slog.New(slog.DiscardHandler), Refused: p.gateway.deps.tries().refused})
	running.Go(func() { _ = proxy.Serve(ctx, listener) })
	return p, r, listener.Addr().String()
}

// once keeps the connections that it answers, as a host does.
func once(t testing.TB, dial func(string) (*grpc.ClientConn, error)) func(string) (grpc.ClientConnInterface, error) {
	var lock sync.Mutex
	all := map[string]*grpc.ClientConn{}
	return func(service string) (grpc.ClientConnInterface, error) {
		lock.Lock()
		defer lock.Unlock()
		if all[service] == nil {
			conn, err := dial(service)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = conn.Close() })
			all[service] = conn
		}
		return all[service], nil
	}
}

func TestTheServiceItselfVerifiesWhoAsksThroughHTTP(t *testing.T) {
	p, r, _ := openGuarded(t, inProcess())
	for token, want := range map[string]int{
		r.token: 200, r.token + "x": 401, "pct_a_b": 401, "good": 401, "": 401,
	} {
		header := ""
		if token != "" {
			header = "Bearer " + token
		}
		a := p.call(t, "GET", "/v1/devices/db-1", "", "Authorization", header)
		if a.status != want || want == 401 && !strings.Contains(a.body, `"reason":"UNAUTHENTICATED"`) {
			t.Errorf("%.12q: got %d %s", token, a.status, a.body)
		}
	}
	a := p.call(t, "POST", "/v1/devices", `{"name":"db-1"}`, "Authorization", "Bearer "+r.token)
	if a.status != 403 || !strings.Contains(a.body, `"permission":"System.Devices.Manage"`) {
		t.Errorf("without the permission: got %d %s", a.status, a.body)
	}
	a = p.call(t, "GET", "/v1/devices?pageSize=1001", "", "Authorization", "Bearer "+r.token)
	if a.status != 400 || !strings.Contains(a.body, `"field":"pageSize"`) {
		t.Errorf("against the protos' rules: got %d %s", a.status, a.body)
	}
}

func TestALockdownCutsAStreamThatWasOpenedBeforeIt(t *testing.T) {
	p, r, _ := openGuarded(t, inProcess())
	_, export := p.reading(t, p.url, "/v1/audit:export", r.token)
	_, anonymous := p.reading(t, p.url, "/v1/posture:watch", "")
	for range 3 {
		line(t, export)
	}
	line(t, anonymous)
	until := time.Now().Add(time.Hour)
	start := time.Now()
	r.lockDown(until)
	text := line(t, export)
	if took := time.Since(start); !strings.HasPrefix(text, `{"error":{"response":{"status":503,`) || took > time.Second {
		t.Errorf("after %v: %s", took, text)
	}
	p.lockDown(until)
	if text := line(t, anonymous); !strings.Contains(text, `"until"`) || strings.Contains(text, "error") {
		t.Errorf("posture is open to everyone, and yet: %s", text)
	}
	a := p.call(t, "GET", "/v1/devices/db-1", "", "Authorization", "Bearer "+r.token)
	if a.status != 503 || !strings.HasPrefix(a.body, `{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until `) || a.header.Get("Retry-After") != "3600" {
		t.Errorf("got %d %s %v", a.status, a.body, a.header)
	}
}

func TestTheGRPCPortRefusesWithErrorInfoAndBelievesNoIdentity(t *testing.T) {
	p, r, port := openGuarded(t, inProcess())
	conn, err := grpc.NewClient(port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	devices := gatev1.NewDevicesClient(conn)
	with := func(pairs ...string) context.Context { return metadata.AppendToOutgoingContext(t.Context(), pairs...) }
	if _, err := devices.GetDevice(with("portcullis-address", "6.6.6.6"), &gatev1.GetDeviceRequest{Name: "db-1"}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without a token: %v", err)
	}
	device, err := devices.GetDevice(with("authorization", "Bearer "+r.token, "portcullis-address", "6.6.6.6"), &gatev1.GetDeviceRequest{Name: "db-1"})
	if err != nil || device.GetName() != "db-1" {
		t.Errorf("got %v, %v", device, err)
	}
	if seen, _ := p.last(); strings.Join(seen.Get("portcullis-address"), "") != "127.0.0.1" {
		t.Errorf("the address is %q", seen.Get("portcullis-address"))
	}
	_, err = gatev1.NewDirectoryClient(conn).ResolveDevice(with("authorization", "Bearer "+r.token), &gatev1.ResolveDeviceRequest{Name: "db-1"})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("an inner method: %v", err)
	}
	r.lockDown(time.Now().Add(time.Hour))
	_, err = devices.GetDevice(with("authorization", "Bearer "+r.token), &gatev1.GetDeviceRequest{Name: "db-1"})
	if e := fault.From(err); status.Code(err) != codes.Unavailable || e.Reason != fault.Lockdown || e.RetryAfter < 59*time.Minute || e.Details["until"] == "" {
		t.Errorf("got %v: %+v", err, e)
	}
}

// The gateway's own connections carry no rights of their own: what it may not carry, it can't call.
func TestARequestWithoutACredentialGainsNothingByPassingTheGateway(t *testing.T) {
	p, _, _ := openGuarded(t, inProcess())
	for _, r := range routes() {
		if strings.Contains(strings.Join(rpc.Table()[r.rpc].Need, " "), rpc.Anyone) || r.stream {
			continue
		}
		if owner := rpc.Table()[r.rpc].Owner; owner != rpc.Gate && owner != rpc.Control || strings.Contains(r.rpc, "Directory") || strings.Contains(r.rpc, "AccessGroups") || strings.Contains(r.rpc, "Polic") || strings.Contains(r.rpc, "audit") {
			continue // not served here
		}
		path := strings.NewReplacer("{", "", "}", "", ".", "-").Replace(r.pattern)
		body := ""
		if r.body != "" {
			body = `{}`
		}
		if r.verb == http.MethodPatch {
			body = `{"host":"h"}`
		}
		if a := p.call(t, r.verb, path, body, "Authorization", ""); a.status != 401 {
			t.Errorf("%s %s: got %d %s", r.verb, path, a.status, a.body)
		}
	}
}

func TestWhoCallsTooOftenIsToldByRESTWhenToTryAgain(t *testing.T) {
	n := inProcess()
	n.pace = pace.Pace{PerSecond: 0.5, Burst: 2}
	p, r, _ := openGuarded(t, n)
	var a got
	for range 3 {
		a = p.call(t, "GET", "/v1/devices/web-1", "", "Authorization", "Bearer "+r.token)
	}
	if a.status != 429 || a.header.Get("Retry-After") != "2" || !strings.Contains(a.body, `"reason":"RATE_LIMITED"`) || !strings.Contains(a.body, "retryTime") {
		t.Errorf("got %d %q %s", a.status, a.header.Get("Retry-After"), a.body)
	}
	if a := p.call(t, "GET", "/v1/posture", "", "Authorization", ""); a.status != 200 {
		t.Errorf("the posture meanwhile: got %d %s", a.status, a.body)
	}
}
