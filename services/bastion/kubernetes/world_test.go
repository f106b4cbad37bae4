package kubernetes

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// world is a proxy between people and an API server.
type world struct {
	t         testing.TB
	platform  *platform
	hub       *hub
	api       *api
	connector *connector.Connector
	proxy     *Proxy
	address   string // https://127.0.0.1:…
	ca        []byte // of the proxy's certificate
	roots     *x509.CertPool
	cert, key string
	crowd     sync.Map // connections of strangers
	stop      context.CancelFunc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, platform: newPlatform(t), hub: newHub(), api: newAPI(t), roots: x509.NewCertPool()}
	dir := t.TempDir()
	w.cert, w.key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	w.rotate()
	w.platform.add(w.api.device("prod"), w.api.credential())
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	w.connector, err = connector.New(connector.Config{ID: "bastion-1", Protocols: []string{Protocol}, Heartbeat: 20 * time.Millisecond},
		connector.Deps{Broker: w.hub, Log: log, Gate: func(ctx context.Context, r connector.Request) (connector.Admitted, error) {
			if w.platform.hold != nil {
				w.platform.hold(r)
			}
			v, err := w.platform.Check(ctx, &gatev1.CheckRequest{User: r.User, Device: r.Device, Channel: gatev1.Channel_SESSION})
			if err == nil && !v.GetAllowed() {
				err = fault.New(fault.PermissionDenied, "%s", v.GetMessage())
			}
			return connector.Admitted{Admission: emergency.AdmissionOf(v.GetAdmission()), Groups: v.GetAccessGroups()}, err
		}})
	must(t, err)
	listening := make(chan net.Listener, 1)
	p, err := New(Config{Address: "127.0.0.1:0", Cert: w.cert, Key: w.key, Prefix: "portcullis:", Connector: "bastion-1"}, Deps{
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			listening <- l
			return l, err
		},
		State: w.platform.state, Changed: func() (<-chan struct{}, func()) { return w.platform.changed, func() {} },
		Gate: w.platform, Devices: w.platform, Credential: w.platform.credential, Open: w.connector.Open,
		Join: func(c net.Conn) { w.crowd.Store(c, true) }, Leave: func(c net.Conn) { w.crowd.Delete(c) }, Now: time.Now, Log: log,
	})
	must(t, err)
	w.proxy = p
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	ran := make(chan error, 2)
	go func() { ran <- w.connector.Run(ctx) }()
	go func() { ran <- p.Run(ctx) }()
	w.address = "https://" + (<-listening).Addr().String()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ran; err != nil {
				t.Errorf("Run answered %v when its context ended", err)
			}
		}
	})
	eventually(t, "the connector is attached", func() bool { return !w.connector.Held().IsZero() })
	return w
}

// rotate writes another certificate for the proxy, of an authority of its own.
func (w *world) rotate() {
	w.t.Helper()
	cert, key := certificateFor(w.t, "127.0.0.1")
	w.ca = cert
	w.roots.AppendCertsFromPEM(cert)
	must(w.t, os.WriteFile(w.key, key, 0o600))
	must(w.t, os.WriteFile(w.cert, cert, 0o600))
}

// certificateFor answers one that vouches for itself, and its key, in PEM.
func certificateFor(t testing.TB, ip string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// client speaks HTTP/1.1 with the proxy, over connections of its own.
func (w *world) client() *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableCompression: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// request asks for a path below the device as somebody.
func (w *world) request(user, path string, change ...func(*http.Request)) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.address+path, nil)
	must(w.t, err)
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+w.platform.signIn(user))
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// get answers status and body.
func (w *world) get(user, path string, change ...func(*http.Request)) (int, string) {
	w.t.Helper()
	answer, err := w.client().Do(w.request(user, path, change...))
	must(w.t, err)
	defer answer.Body.Close()
	if answer.Header.Get("Retry-After") != "" {
		w.t.Error("kubectl would ask again and again")
	}
	body, err := io.ReadAll(answer.Body)
	must(w.t, err)
	return answer.StatusCode, string(body)
}

// strike applies an emergency to all who decide, as the journal would.
func (w *world) strike(make func(emergency.Revision) *emergencyv1.Emergency) {
	w.t.Helper()
	r := w.platform.change(func(b *emergency.Builder, r emergency.Revision) { b.PutEmergency(make(r)) })
	s := &sessionv1.Standing{Revision: r.String()}
	for _, cut := range w.platform.state().Emergency.Cuts() {
		s.Cuts = append(s.Cuts, cut.Proto())
	}
	w.hub.send(s)
}

func window(kind emergencyv1.Emergency_Kind, until time.Time) func(emergency.Revision) *emergencyv1.Emergency {
	return func(r emergency.Revision) *emergencyv1.Emergency {
		return &emergencyv1.Emergency{Id: fmt.Sprintf("%.1s-%04d", kind, r.Sequence), Kind: kind, Revision: r.String(), CutoffRevision: r.String(),
			Started: true, CreateTime: timestamppb.Now(), StartTime: timestamppb.Now(), EndTime: timestamppb.New(until)}
	}
}

func termination(sel *emergencyv1.Selector) func(emergency.Revision) *emergencyv1.Emergency {
	return func(r emergency.Revision) *emergencyv1.Emergency {
		return &emergencyv1.Emergency{Id: fmt.Sprintf("T-%04d", r.Sequence), Kind: emergencyv1.Emergency_TERMINATION, Revision: r.String(),
			CutoffRevision: r.String(), CreateTime: timestamppb.Now(), Selector: sel}
	}
}

// platform decides like the real gate, and knows people, devices and credentials.
type platform struct {
	gatev1.AccessClient
	gatev1.DirectoryClient
	t       testing.TB
	signer  who.Signer
	hold    func(connector.Request) // called before the connector's gate answers
	changed chan struct{}

	mu          sync.Mutex
	builder     *emergency.Builder
	people      *who.Builder
	sequence    uint64
	now         *watch.State
	devices     map[string]*gatev1.Device
	credentials map[string]*gatev1.Credential
	addresses   []string
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p := &platform{t: t, signer: who.Signer{KeyID: "k1", Key: private}, changed: make(chan struct{}, 1), builder: emergency.NewBuilder(),
		devices: map[string]*gatev1.Device{}, credentials: map[string]*gatev1.Credential{}}
	p.people = who.NewBuilder(p.builder)
	p.put("identity.key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: public})
	for user, roles := range map[string][]string{"alice": nil, "bob": nil, "root": {emergency.Administrator}} {
		p.put("identity.user."+user, &identityv1.UserRecord{User: &identityv1.User{Name: user, Roles: roles}})
	}
	p.change(func(*emergency.Builder, emergency.Revision) {})
	return p
}

func (p *platform) put(subject string, m proto.Message) {
	p.t.Helper()
	data, err := proto.Marshal(m)
	must(p.t, err)
	must(p.t, p.people.Put(subject, data))
}

func (p *platform) change(f func(*emergency.Builder, emergency.Revision)) emergency.Revision {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sequence++
	r := emergency.Revision{Epoch: 1, Sequence: p.sequence}
	p.builder.SetRevision(r)
	f(p.builder, r)
	view, err := p.people.View(time.Now())
	must(p.t, err)
	p.now = &watch.State{Emergency: p.builder.Snapshot(time.Now()), Who: view, Fresh: true}
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return r
}

// add makes a device that alice and root may reach: she as a viewer, root as an owner.
func (p *platform) add(d *gatev1.Device, c *gatev1.Credential) {
	p.mu.Lock()
	p.devices[d.GetName()], p.credentials[d.GetName()] = d, c
	var names []string
	for name := range p.devices {
		names = append(names, name)
	}
	p.mu.Unlock()
	p.change(func(b *emergency.Builder, _ emergency.Revision) {
		b.PutDevice(d.GetName(), false)
		b.PutGroup("viewers", []string{"alice", "root"}, names, true)
		b.PutGroup("owners", []string{"root"}, names, false)
	})
}

func (p *platform) state() *watch.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *platform) signIn(user string) string {
	p.t.Helper()
	now := time.Now()
	token, err := p.signer.SignIn(who.SignIn{ID: rand.Text(), User: user, Issued: now, Expires: now.Add(15 * time.Minute), Admission: p.state().Emergency.Admission(now)})
	must(p.t, err)
	return token
}

func (p *platform) Check(ctx context.Context, r *gatev1.CheckRequest, _ ...grpc.CallOption) (*gatev1.CheckResponse, error) {
	s, now := p.state().Emergency, time.Now()
	if sent, ok := metadata.FromOutgoingContext(ctx); ok {
		p.mu.Lock()
		p.addresses = append(p.addresses, sent.Get(rpc.Address)...)
		p.mu.Unlock()
	}
	v := emergency.Decide(s, emergency.Request{User: r.GetUser(), Device: r.GetDevice(), Channel: emergency.SessionChannel}, now)
	return &gatev1.CheckResponse{
		Allowed: v.Allowed(), Reason: gatev1.CheckResponse_Reason(v.Reason), Message: emergency.Texts{}.Refusal(v, r.GetDevice()),
		Admission: s.Admission(now).Proto(), AccessGroups: s.DeviceGroups(r.GetDevice()), UserGroups: s.SharedGroups(r.GetUser(), r.GetDevice()),
	}, nil
}

func (p *platform) ResolveDevice(_ context.Context, r *gatev1.ResolveDeviceRequest, _ ...grpc.CallOption) (*gatev1.Device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.devices[r.GetName()]; d != nil {
		return proto.CloneOf(d), nil
	}
	return nil, fault.New(fault.NotFound, "There is no such device")
}

func (p *platform) credential(_ context.Context, device string) (*gatev1.Credential, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.credentials[device], nil
}

// hub is the broker: it tells the connector what must end.
type hub struct {
	mu       sync.Mutex
	standing *sessionv1.Standing
	link     *link
	open     map[string]*sessionv1.Session
	ended    map[string]string // id → cause
}

type link struct {
	grpc.ClientStream
	hub  *hub
	ctx  context.Context
	down chan *sessionv1.BrokerMessage
}

func newHub() *hub {
	return &hub{standing: &sessionv1.Standing{Revision: "1-1"}, open: map[string]*sessionv1.Session{}, ended: map[string]string{}}
}

func (h *hub) Attach(ctx context.Context, _ ...grpc.CallOption) (sessionv1.Connectors_AttachClient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link = &link{hub: h, ctx: ctx, down: make(chan *sessionv1.BrokerMessage, 1000)}
	h.link.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: h.standing}}
	return h.link, nil
}

func (l *link) CloseSend() error { return nil }

func (l *link) Recv() (*sessionv1.BrokerMessage, error) {
	select {
	case m := <-l.down:
		return m, nil
	case <-time.After(time.Second):
		return &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{}}}, nil
	case <-l.ctx.Done():
		return nil, errors.Join(io.EOF, l.ctx.Err())
	}
}

func (l *link) Send(m *sessionv1.ConnectorMessage) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	for _, s := range m.GetOpened().GetSessions() {
		l.hub.open[s.GetId()] = s
	}
	for _, e := range m.GetEnded().GetSessions() {
		l.hub.ended[e.GetId()] = e.GetCause()
		delete(l.hub.open, e.GetId())
	}
	for _, id := range m.GetEnded().GetIds() {
		l.hub.ended[id] = m.GetEnded().GetCause()
		delete(l.hub.open, id)
	}
	return nil
}

func (h *hub) send(s *sessionv1.Standing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.standing = s
	h.link.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: s}}
}

// live are the sessions that are open, as the broker knows.
func (h *hub) live() (all []*sessionv1.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.open {
		if s.GetState() == sessionv1.Session_OPEN {
			all = append(all, s)
		}
	}
	return all
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after twenty seconds: %s", what)
		}
	}
}
