package control

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/emergency-control/ticket"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// platform is a real journal with an administrator in it, and what is needed to act in their name.
type platform struct {
	t       testing.TB
	journal *journal.Journal
	signer  who.Signer
	key     ed25519.PrivateKey
	clock   *clock
	// tickets is where replicas look governance codes up; none, if nil.
	tickets *ticket.Desk
	// people are the administrators with a working MFA.
	people *fakeIdentity
	dir    string
	halt   func()
}

// clock is the services' clock, which a test may move.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	still  time.Time // what it shows but for the offset, once it is stopped
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.still.IsZero() {
		return c.still.Add(c.offset)
	}
	return time.Now().Add(c.offset)
}

// stop has it move when it is advanced, and not by itself.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = time.Now()
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// must answers the value of a call that may not fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	p := &platform{t: t, dir: t.TempDir(), clock: &clock{}, people: &fakeIdentity{names: []string{"admin", "second"}}}
	p.boot()
	t.Cleanup(func() { p.halt() })
	p.found()
	return p
}

// found makes the streams, and puts the administrators in them.
func (p *platform) found() {
	p.t.Helper()
	t := p.t
	if err := journal.Create(t.Context(), p.journal, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, entryKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.signer, p.key = who.Signer{KeyID: "k1", Key: private}, entryKey
	p.put("IDENTITY", "identity.key.k1", &identityv1.KeyRecord{Id: "k1", PublicKey: public})
	for _, name := range []string{"admin", "second"} {
		p.put("IDENTITY", "identity.user."+name, &identityv1.UserRecord{User: &identityv1.User{Name: name, Roles: []string{emergency.Administrator}}})
	}
}

// boot starts the server on the platform's disk; halt ends it.
func (p *platform) boot() {
	p.t.Helper()
	server, err := local.Start(local.Config{Dir: p.dir})
	if err != nil {
		p.t.Fatal(err)
	}
	j, err := journal.Connect(context.Background(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	p.journal, p.halt = j, func() { j.Close(); server.Shutdown() }
}

func (p *platform) put(stream, subject string, m proto.Message) {
	p.t.Helper()
	s := must(p.journal.Stream(p.t.Context(), stream))
	data, err := proto.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := s.Append(p.t.Context(), journal.Message{Subject: subject, Data: data}); err != nil {
		p.t.Fatal(err)
	}
}

// replica runs one emergency-control and returns once it is ready.
func (p *platform) replica() *Service {
	p.t.Helper()
	s, stop := p.run()
	p.t.Cleanup(stop)
	return s
}

// run runs one until stop.
func (p *platform) run() (s *Service, stop func()) {
	p.t.Helper()
	trust := audit.Trust(p.key.Public().(ed25519.PublicKey))
	log := slog.New(slog.DiscardHandler)
	w := watch.New(watch.Config{Journal: p.journal, Trust: trust, Directory: true, Now: p.clock.now, Log: log})
	tickets := p.tickets
	if tickets == nil {
		tickets = must(ticket.New(ticket.Defaults(), log))
	}
	s = New(Config{Apart: 24 * time.Hour, Key: p.key, Trust: trust, Product: "Portcullis"}, Deps{
		Journal: p.journal, Watch: w, Now: p.clock.now, Log: log, Sessions: fakeSessions{}, Identity: p.people, Tickets: tickets, Outbox: fakeOutbox{}, Texts: emergency.Texts{Product: "Portcullis", Zone: time.UTC},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	<-w.Ready()
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			p.t.Errorf("control stopped: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	<-s.ledger.ready
	p.await(s, func() bool { head, _, _ := s.ledger.head(); return head > 0 }, "the first entry")
	return s, stop
}

// await waits until something holds at a replica, which looks again whenever its record or its view moves.
func (p *platform) await(s *Service, holds func() bool, what string) {
	p.t.Helper()
	nudged, stop := s.watch.Subscribe()
	defer stop()
	timeout := time.After(20 * time.Second)
	for {
		s.ledger.mu.Lock()
		moved := s.ledger.moved
		s.ledger.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-moved:
		case <-nudged:
		case <-timeout:
			p.t.Fatalf("never came: %s", what)
		}
	}
}

func (p *platform) as(user string) context.Context {
	return who.NewContext(p.t.Context(), who.Caller{User: user, SignIn: "signin-" + user, Channel: emergency.Interactive, Address: "127.0.0.1"})
}

// grant is a fresh one for any purpose.
func (p *platform) grant(user string) string { return p.grantFor(user, "", 5*time.Minute) }

func (p *platform) grantFor(user, purpose string, life time.Duration) string {
	p.t.Helper()
	now := p.clock.now()
	return must(p.signer.Grant(who.Grant{ID: rand.Text(), User: user, SignIn: "signin-" + user, Purpose: purpose, Issued: now, Expires: now.Add(life)}))
}

func (p *platform) freeze() *emergencyv1.ApplyFreezeRequest {
	return &emergencyv1.ApplyFreezeRequest{Duration: durationpb.New(time.Hour), Justification: "ransomware", Grant: p.grant("admin")}
}

func (p *platform) lockdown(in, duration time.Duration) *emergencyv1.ApplyLockdownRequest {
	r := &emergencyv1.ApplyLockdownRequest{Duration: durationpb.New(duration), Justification: "ransomware", Grant: p.grant("admin")}
	if in > 0 {
		r.StartTime = timestamppb.New(p.clock.now().Add(in))
	}
	return r
}

// entries is the whole record, verified.
func (p *platform) entries() []*emergencyv1.Entry {
	p.t.Helper()
	s := must(p.journal.Stream(p.t.Context(), "EMERGENCY"))
	chain := audit.NewChain(audit.Trust(p.key.Public().(ed25519.PublicKey)))
	var all []*emergencyv1.Entry
	err := s.Replay(p.t.Context(), 1, func(e journal.Entry) error {
		entry, _, err := chain.Next(e.Sequence, e.Subject, e.Data)
		all = append(all, entry)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// edges counts the entries of one emergency by what they say.
func (p *platform) edges(id string) map[emergencyv1.Entry_Change]int {
	counts := map[emergencyv1.Entry_Change]int{}
	for _, e := range p.entries() {
		if e.GetEmergency().GetId() == id {
			counts[e.GetChange()]++
		}
	}
	return counts
}

func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Fatalf("got %v, want a refusal with reason %s", err, reason)
	}
}

// fakeSessions is a broker with two sessions open, on one connector that answers.
type fakeSessions struct{ sessionv1.SessionsClient }

func (fakeSessions) CountSelected(_ context.Context, r *sessionv1.CountSelectedRequest, _ ...grpc.CallOption) (*sessionv1.CountSelectedResponse, error) {
	if r.GetSelector().GetAll() {
		return &sessionv1.CountSelectedResponse{Sessions: 2, Ids: []string{"s1", "s2"}}, nil
	}
	return &sessionv1.CountSelectedResponse{}, nil
}

func (fakeSessions) ListEndedSessions(_ context.Context, r *sessionv1.ListEndedSessionsRequest, _ ...grpc.CallOption) (*sessionv1.ListEndedSessionsResponse, error) {
	ended := &sessionv1.Session{Id: "s1", User: "bruno", Device: "db-1", Protocol: "SSH", EndCause: r.GetCause(), EndTime: r.GetSince()}
	return &sessionv1.ListEndedSessionsResponse{Total: 1, Users: 1, Devices: 1, Protocols: map[string]uint32{"SSH": 1}, Sessions: []*sessionv1.Session{ended}}, nil
}

// fakeOutbox has three messages of each emergency, on two pages. Eve may not read it, and for ivan it can't be reached.
type fakeOutbox struct{ notificationv1.OutboxClient }

func (fakeOutbox) ListDeliveries(ctx context.Context, r *notificationv1.ListDeliveriesRequest, _ ...grpc.CallOption) (*notificationv1.ListDeliveriesResponse, error) {
	switch who.FromContext(ctx).User {
	case "eve":
		return nil, status.Error(codes.PermissionDenied, "no")
	case "ivan":
		return nil, status.Error(codes.Unavailable, "no connection")
	}
	if r.GetPageToken() == "" {
		return &notificationv1.ListDeliveriesResponse{NextPageToken: "2", Outbox: []*notificationv1.Delivery{
			{Id: "1", Method: notificationv1.Method_EMAIL, State: notificationv1.Delivery_SENT}, {Id: "2", Method: notificationv1.Method_EMAIL, State: notificationv1.Delivery_SENT}}}, nil
	}
	return &notificationv1.ListDeliveriesResponse{Outbox: []*notificationv1.Delivery{
		{Id: "3", Method: notificationv1.Method_SMS, State: notificationv1.Delivery_FAILED, Recipient: "+5511", Error: "no such number", Event: r.GetFilter()}}}, nil
}

// fakeIdentity knows two administrators, if it is told no other ones.
type fakeIdentity struct {
	identityv1.DoorsClient
	mu    sync.Mutex
	names []string
}

func (f *fakeIdentity) are(names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = names
}

func (f *fakeIdentity) ListAdministrators(context.Context, *identityv1.ListAdministratorsRequest, ...grpc.CallOption) (*identityv1.ListAdministratorsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &identityv1.ListAdministratorsResponse{Names: slices.Clone(f.names), SignedIn: []string{"admin", "bruno"}}, nil
}
