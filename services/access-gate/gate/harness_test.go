package gate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// platform is a real journal with people in it, and services that behave like the real ones.
type platform struct {
	t        testing.TB
	journal  *journal.Journal
	key      ed25519.PrivateKey
	keys     seal.Keys
	acts     *fakeActs
	identity *fakeIdentity
	bastion  *fakeBastion
	head     uint64
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	server, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "keys")
	if err := seal.Create(folder); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, journal: j, key: key, keys: seal.Open(folder), acts: &fakeActs{requests: map[string]string{}}, bastion: &fakeBastion{}}
	p.identity = &fakeIdentity{platform: p, staged: map[string][]*identityv1.User{}}
	p.user("admin", emergency.Administrator)
	for _, name := range []string{"ann", "bob", "eve"} {
		p.user(name)
	}
	return p
}

func (p *platform) user(name string, roles ...string) {
	p.put("IDENTITY", "identity.user."+name, &identityv1.UserRecord{User: &identityv1.User{Name: name, Roles: roles}})
}

func (p *platform) put(stream, subject string, m proto.Message) uint64 {
	p.t.Helper()
	ctx := context.WithoutCancel(p.t.Context()) // a gate may be at work while a test ends
	s := must(p.journal.Stream(ctx, stream))
	return must(s.Append(ctx, journal.Message{Subject: subject, Data: must(proto.Marshal(m))}))
}

// emergency writes a record as control does.
func (p *platform) emergency(e *emergencyv1.Emergency) uint64 {
	p.t.Helper()
	p.head++
	entry := &emergencyv1.Entry{Epoch: 1, Sequence: p.head, Subject: "emergency.window." + e.GetId(), Record: &emergencyv1.Entry_Emergency{Emergency: e}}
	if e.GetCutoffRevision() == "" {
		e.CutoffRevision = fmt.Sprintf("1-%d", p.head)
	}
	s := must(p.journal.Stream(p.t.Context(), "EMERGENCY"))
	return must(s.Append(p.t.Context(), journal.Message{Subject: entry.GetSubject(), Data: must(audit.Seal(entry, p.key))}))
}

// two has a policy by which what opens takes two administrators.
func (p *platform) two(g *running) {
	p.t.Helper()
	p.head++
	entry := &emergencyv1.Entry{Epoch: 1, Sequence: p.head, Subject: "emergency.policy", Record: &emergencyv1.Entry_Policy{Policy: &emergencyv1.Policy{SecondAdministrator: true}}}
	s := must(p.journal.Stream(p.t.Context(), "EMERGENCY"))
	at := must(s.Append(p.t.Context(), journal.Message{Subject: entry.GetSubject(), Data: must(audit.Seal(entry, p.key))}))
	if err := g.watch.Wait(p.t.Context(), watch.Emergency, at); err != nil {
		p.t.Fatal(err)
	}
}

func window(id string, kind emergencyv1.Emergency_Kind, from, to time.Duration) *emergencyv1.Emergency {
	now := time.Now()
	return &emergencyv1.Emergency{
		Id: id, Kind: kind, StartTime: timestamppb.New(now.Add(from)), EndTime: timestamppb.New(now.Add(to)), CreateTime: timestamppb.New(now),
		Justification: "ransomware", GovernanceCode: "INC-1", SparedSignIn: "s-1", CreatedBy: "admin",
	}
}

// freeze is on for an hour from now on, as the gate knows.
func (p *platform) freeze(g *running) {
	p.t.Helper()
	at := p.emergency(window("F-0009", emergencyv1.Emergency_FREEZE, -time.Second, time.Hour))
	if err := g.watch.Wait(p.t.Context(), watch.Emergency, at); err != nil {
		p.t.Fatal(err)
	}
}

// running is one gate, and how to crash it.
type running struct {
	*Service
	crash func()
}

func (p *platform) gate() *running { return p.gateWith(watch.Staleness{}) }

// gateWith is a gate that takes an old view so.
func (p *platform) gateWith(old watch.Staleness) *running {
	p.t.Helper()
	log := slog.New(slog.DiscardHandler)
	w := watch.New(watch.Config{Journal: p.journal, Trust: audit.Trust(p.key.Public().(ed25519.PublicKey)), Directory: true, Staleness: old, Log: log})
	s := New(Config{Sealer: must(p.keys.Sealer())}, Deps{
		Journal: p.journal, Watch: w, Acts: p.acts, Users: p.identity, Bastions: p.bastion, Now: time.Now, Log: log,
		Enforce:  func(ctx context.Context) error { <-ctx.Done(); return nil },
		Attempts: must(attempt.New(attempt.Deps{Journal: p.journal, Now: time.Now, Log: log})),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = w.Run(ctx) })
	<-w.Ready()
	all.Go(func() {
		if err := s.Run(ctx); err != nil {
			p.t.Errorf("the gate stopped: %v", err)
		}
	})
	r := &running{s, sync.OnceFunc(func() { cancel(); all.Wait() })}
	p.t.Cleanup(r.crash)
	p.await(s, func() bool { return s.streams.Load() != nil }, "the gate is open")
	return r
}

// await waits until something holds, which is looked at again whenever the gate's view moves, and a hundred times
// a second, for there are things that move by themselves.
func (p *platform) await(s *Service, holds func() bool, what string) {
	p.t.Helper()
	nudged, stop := s.watch.Subscribe()
	defer stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-nudged:
		case <-tick.C:
		case <-timeout:
			p.t.Fatalf("never came: %s", what)
		}
	}
}

func (p *platform) as(user string) context.Context {
	return who.NewContext(p.t.Context(), who.Caller{User: user, SignIn: "signin-" + user, Channel: emergency.Interactive})
}

func (p *platform) admin() context.Context { return p.as("admin") }

// devices and group make what tests begin with.
func (p *platform) devices(g *running, names ...string) {
	p.t.Helper()
	for _, name := range names {
		must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: name, Host: name + ".example"}}))
	}
}

func (p *platform) group(g *running, name string, blocks bool, users, devices []string) {
	p.t.Helper()
	must(g.CreateAccessGroup(p.admin(), &gatev1.CreateAccessGroupRequest{AccessGroup: &gatev1.AccessGroup{
		Name: name, Users: users, Devices: devices, BlockDuringFreezes: blocks,
	}}))
}

// reason is how a session of a user on a device is decided now.
func (p *platform) reason(g *running, user, device string) gatev1.CheckResponse_Reason {
	p.t.Helper()
	return must(g.Check(p.admin(), &gatev1.CheckRequest{User: user, Device: device, Channel: gatev1.Channel_SESSION})).GetReason()
}

func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Errorf("got %v, want %s", err, reason)
	}
}

// fakeActs spends a grant once, and answers the same request again.
type fakeActs struct {
	emergencyv1.ActsClient // what identity alone may call

	mu       sync.Mutex
	spent    []string
	requests map[string]string
	acts     []*emergencyv1.RecordActRequest
	lost     bool // the next answer doesn't arrive
	refuses  error
	asked    *emergencyv1.RecordActRequest
}

func (f *fakeActs) RecordAct(_ context.Context, r *emergencyv1.RecordActRequest, _ ...grpc.CallOption) (*emergencyv1.RecordActResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked = r; f.refuses != nil {
		return nil, f.refuses
	}
	hashed := proto.CloneOf(r)
	hashed.Grant = ""
	hash := string(must(proto.MarshalOptions{Deterministic: true}.Marshal(hashed)))
	if before, again := f.requests[r.GetRequestId()]; again {
		if before != hash {
			return nil, fault.New(fault.RequestIDReused, "another act")
		}
		return &emergencyv1.RecordActResponse{}, nil
	}
	if slices.Contains(f.spent, r.GetGrant()) {
		return nil, fault.New(fault.GrantUsed, "used")
	}
	if r.GetGrant() == "forged" {
		return nil, fault.New(fault.GrantInvalid, "not one")
	}
	f.spent, f.acts, f.requests[r.GetRequestId()] = append(f.spent, r.GetGrant()), append(f.acts, r), hash
	if f.lost {
		f.lost = false
		return nil, fault.New(fault.Unavailable, "the answer got lost")
	}
	return &emergencyv1.RecordActResponse{}, nil
}

// fakeIdentity keeps users aside, and writes them to IDENTITY when they are committed.
type fakeIdentity struct {
	identityv1.DoorsClient
	platform  *platform
	mu        sync.Mutex
	staged    map[string][]*identityv1.User
	committed []string
	down      bool
}

func (f *fakeIdentity) StageUsers(_ context.Context, r *identityv1.StageUsersRequest, _ ...grpc.CallOption) (*identityv1.StageUsersResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := new(identityv1.StageUsersResponse)
	for i, u := range r.GetUsers() {
		if u.GetEmail() == "wrong" {
			answer.Errors = append(answer.Errors, &identityv1.RowError{Row: uint32(i), Reason: fault.InvalidArgument, Message: "email: not an address"})
		}
	}
	f.staged[r.GetImportId()] = r.GetUsers()
	return answer, nil
}

func (f *fakeIdentity) CommitUsers(_ context.Context, r *identityv1.CommitUsersRequest, _ ...grpc.CallOption) (*identityv1.CommitUsersResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errors.New("identity is down")
	}
	for _, u := range f.staged[r.GetImportId()] {
		f.platform.user(u.GetName())
	}
	f.committed = append(f.committed, r.GetImportId())
	return new(identityv1.CommitUsersResponse), nil
}

func (f *fakeIdentity) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// fakeBastion shows one key for every address.
type fakeBastion struct {
	asked []*sessionv1.ShowHostKeyRequest
}

const (
	hostKey            = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfTDpzK0pDyDSnSTtFfrJDUVWfgVNqxhgWGHnLGmEDa"
	hostKeyFingerprint = "SHA256:K7XOFrDczWIEaNbsCqR5P7o77K0nr3Bk1FWAK4Y/qWQ"
)

func (f *fakeBastion) ShowHostKey(_ context.Context, r *sessionv1.ShowHostKeyRequest, _ ...grpc.CallOption) (*sessionv1.ShowHostKeyResponse, error) {
	f.asked = append(f.asked, r)
	return &sessionv1.ShowHostKeyResponse{AuthorizedKeyLine: hostKey}, nil
}
