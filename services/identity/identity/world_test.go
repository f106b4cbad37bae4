package identity_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

const (
	home     = "192.0.2.10:51000" // where the administrator works
	away     = "198.51.100.7:4711"
	password = "correct horse battery"
	within   = 20 * time.Second
)

// world is one journal and the replicas of identity on it.
type world struct {
	t         *testing.T
	server    *local.Server
	elsewhere string // a server's nats://…, instead
	before    func() // happens before identity is told the time; nil: nothing
	log       *locked
	clock     *clock
	box       seal.Box
	signer    ed25519.PrivateKey
	trust     audit.Keys
	control   *fakeControl
	config    identity.Config
	first     identity.Bootstrap // what was announced
	shown     int
	entries   uint64 // of EMERGENCY
	// announce replaces what a replica does with the first administrator.
	announce   func(identity.Bootstrap) error
	lastSecret string // of the administrator made last
	mu         sync.Mutex
	stale      atomic.Bool
	*replica
}

// replica is one running identity.
type replica struct {
	*identity.Service
	view    *watch.Watcher
	journal *journal.Journal
	stop    func()
}

func newWorld(t *testing.T, change ...func(*identity.Config)) *world {
	t.Helper()
	w := emptyWorld(t, change...)
	w.replica = w.start()
	return w
}

func emptyWorld(t *testing.T, change ...func(*identity.Config)) *world {
	t.Helper()
	server, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	keys := t.TempDir() + "/keys"
	if err := seal.Create(keys); err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(keys).AEAD()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, server: server, log: &locked{}, clock: &clock{}, box: box, signer: private, trust: audit.Trust(public),
		control: &fakeControl{spent: map[string]bool{}, done: map[string]string{}, hash: map[string]string{}}, config: identity.Defaults(),
	}
	for _, c := range change {
		c(&w.config)
	}
	if err := journal.Create(t.Context(), w.connect(), journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) connect() *journal.Journal {
	w.t.Helper()
	c := journal.Config{Name: "test", User: "identity", URL: w.elsewhere, InProcess: w.server.InProcess()}
	if c.URL != "" {
		c.InProcess = nil
	}
	j, err := journal.Connect(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(j.Close)
	return j
}

// start runs one more replica, and returns when it serves.
func (w *world) start() *replica {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, running := w.watching(ctx, cancel)
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			w.t.Errorf("running: %v", err)
		}
	})
	w.until("identity to serve", func() bool {
		_, err := r.CreateSignIn(ctx, &identityv1.CreateSignInRequest{Username: "nobody.yet", Password: "x"})
		return fault.Is(err, fault.Unauthenticated)
	})
	return r
}

func (w *world) now() time.Time {
	if w.before != nil {
		w.before()
	}
	return w.clock.Now()
}

// startAndFail runs a replica that is expected to fail, and answers how.
func (w *world) startAndFail() error {
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := w.watching(ctx, cancel)
	defer r.stop()
	return r.Run(ctx)
}

// watching answers a replica whose view is ready.
func (w *world) watching(ctx context.Context, cancel func()) (*replica, *sync.WaitGroup) {
	w.t.Helper()
	j := w.connect()
	r := &replica{journal: j, view: watch.New(watch.Config{Journal: j, Trust: w.trust, Now: w.clock.Now, Log: w.logger()})}
	roll := w.roll()
	r.view.Tap(watch.Identity, roll.Put)
	var err error
	r.Service, err = identity.New(w.config, identity.Deps{
		Journal: j, View: r.view, Roll: roll, Acts: w.control.for_(r.view, w.clock), Box: w.box, Log: w.logger(), Now: w.now,
		Announce: w.show, Attempts: w.recorder(j), Stale: w.stale.Load,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	running := new(sync.WaitGroup)
	running.Go(func() {
		if err := r.view.Run(ctx); err != nil {
			w.t.Errorf("watching: %v", err)
		}
	})
	r.stop = func() { cancel(); running.Wait() }
	w.t.Cleanup(r.stop)
	select {
	case <-r.view.Ready():
	case <-time.After(within):
		w.t.Error("the view is not ready")
	}
	return r, running
}

func (w *world) show(b identity.Bootstrap) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.announce != nil {
		return w.announce(b)
	}
	w.first, w.shown = b, w.shown+1
	return nil
}

func (w *world) recorder(j *journal.Journal) *attempt.Recorder {
	r, err := attempt.New(attempt.Deps{Journal: j, Now: w.clock.Now, Log: w.logger()})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) roll() *people.Roll      { return people.NewRoll() }
func (w *world) nothing() *watch.Watcher { return watch.New(watch.Config{}) }
func (w *world) logger() *slog.Logger    { return slog.New(slog.NewTextHandler(w.log, nil)) }

func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// locked is a log of several goroutines.
type locked struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// from is a call without a credential.
func from(address string) context.Context {
	return who.NewContext(context.Background(), who.Caller{Address: address})
}

// as is a call with a credential, verified as a server does.
func (w *world) as(token, address string) context.Context {
	w.t.Helper()
	c, err := w.view.State().Who.Verify(token, w.clock.Now())
	if err != nil {
		w.t.Fatalf("verifying a token: %v", err)
	}
	c.Address = address
	return who.NewContext(context.Background(), c)
}

// verified reports whether a token still works.
func (w *world) verified(token string) bool {
	_, err := w.view.State().Who.Verify(token, w.clock.Now())
	return err == nil
}

// code is what an app shows now; next waits for one that was not used.
func (w *world) code(secret string) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *world) next(secret string) string {
	w.clock.advance(30 * time.Second)
	return w.code(secret)
}

// wrong is a code that no step near now has.
func (w *world) wrong(secret string) string {
	near := map[string]bool{}
	for _, d := range []time.Duration{-90, -60, -30, 0, 30, 60, 90} {
		code, err := totp.GenerateCode(secret, w.clock.Now().Add(d*time.Second))
		if err != nil {
			w.t.Fatal(err)
		}
		near[code] = true
	}
	for i := 0; ; i++ {
		if code := fmt.Sprintf("%06d", i); !near[code] {
			return code
		}
	}
}

// admin signs the first administrator in.
func (w *world) admin() context.Context {
	w.t.Helper()
	return w.as(w.signIn(w.first.User, w.first.Password, w.next(w.first.Secret), home), home)
}

func (w *world) signIn(user, password, code, address string) string {
	w.t.Helper()
	in, err := w.CreateSignIn(from(address), &identityv1.CreateSignInRequest{Username: user, Password: password, Code: code})
	if err != nil {
		w.t.Fatalf("signing %s in: %v", user, err)
	}
	return in.GetToken()
}

func (w *world) grant(ctx context.Context, secret, purpose string) string {
	w.t.Helper()
	g, err := w.CreateGrant(ctx, &identityv1.CreateGrantRequest{Code: w.next(secret), Purpose: purpose})
	if err != nil {
		w.t.Fatalf("making a grant: %v", err)
	}
	return g.GetGrant()
}

// user makes a user with a password, and roles that take no grant.
func (w *world) user(ctx context.Context, name string, roles ...string) *identityv1.User {
	w.t.Helper()
	text := password
	u, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: name, Password: &text, Roles: roles}})
	if err != nil {
		w.t.Fatalf("making %s: %v", name, err)
	}
	return u
}

// administrator makes one more of them, with a working MFA, and answers its secret.
func (w *world) administrator(ctx context.Context, name string) (secret string) {
	w.t.Helper()
	text, grant := password, w.grant(ctx, w.first.Secret, "user")
	_, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{
		Name: name, Password: &text, Roles: []string{emergency.Administrator}, Grant: &grant,
	}})
	if err != nil {
		w.t.Fatalf("making administrator %s: %v", name, err)
	}
	w.lastSecret, _ = w.enrol(w.as(w.signIn(name, password, "", away), away))
	return w.lastSecret
}

func (w *world) enrol(ctx context.Context) (secret string, recovery []string) {
	w.t.Helper()
	e, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "me"})
	if err != nil {
		w.t.Fatalf("enrolling: %v", err)
	}
	secret = secretOf(e.GetUri())
	a, err := w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.code(secret)})
	if err != nil {
		w.t.Fatalf("activating: %v", err)
	}
	return secret, a.GetRecoveryCodes()
}

func secretOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "secret=")
	secret, _, _ := strings.Cut(rest, "&")
	return secret
}

// refused fails the test unless the error is a refusal for that reason.
func refused(t *testing.T, err error, reason string) *fault.Error {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Fatalf("got %v, want %s", err, reason)
	}
	return fault.From(err)
}

// declare appends an emergency to EMERGENCY as control would, and waits until identity holds it.
func (w *world) declare(e *emergencyv1.Emergency) {
	w.t.Helper()
	stream, err := w.journal.Stream(w.t.Context(), watch.Emergency)
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries++
	subject := "emergency.lockdown." + e.GetId()
	if e.GetCutoffRevision() == "" {
		e.CutoffRevision = emergency.Revision{Epoch: 1, Sequence: w.entries}.String()
	}
	stored, err := audit.Seal(&emergencyv1.Entry{
		Epoch: 1, Sequence: w.entries, Subject: subject, Time: timestamppb.New(w.clock.Now()), Actor: "admin",
		Record: &emergencyv1.Entry_Emergency{Emergency: e},
	}, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	at, err := stream.Append(w.t.Context(), journal.Message{Subject: subject, Data: stored})
	if err != nil {
		w.t.Fatal(err)
	}
	if at != w.entries {
		w.t.Fatalf("entry %d is at %d", w.entries, at)
	}
	if err := w.view.Wait(w.t.Context(), watch.Emergency, at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lockdown(id string, change ...func(*emergencyv1.Emergency)) {
	now := w.clock.Now()
	e := &emergencyv1.Emergency{Id: id, Kind: emergencyv1.Emergency_LOCKDOWN, StartTime: timestamppb.New(now),
		EndTime: timestamppb.New(now.Add(time.Hour)), CreateTime: timestamppb.New(now)}
	for _, c := range change {
		c(e)
	}
	w.declare(e)
}

// fakeControl notes acts as emergency-control does: a grant is the caller's own, for the purpose, and works
// once; the same request again is the same act.
type fakeControl struct {
	mu    sync.Mutex
	spent map[string]bool
	done  map[string]string // revision by request id
	hash  map[string]string // of what was asked, by request id
	lost  bool              // the next answer doesn't arrive
	away  bool              // it can't be asked for what takes no grant
	acts  []string
	hands []string // of the acts that take a grant, and those of groups
}

type fakeActs struct {
	*fakeControl
	view  *watch.Watcher
	clock *clock
}

func (f *fakeControl) for_(view *watch.Watcher, c *clock) fakeActs { return fakeActs{f, view, c} }

func (f fakeActs) RecordAct(ctx context.Context, r *emergencyv1.RecordActRequest, _ ...grpc.CallOption) (*emergencyv1.RecordActResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hashed := proto.CloneOf(r)
	hashed.Grant = ""
	hash, err := proto.MarshalOptions{Deterministic: true}.Marshal(hashed)
	if err != nil {
		return nil, err
	}
	if revision, again := f.done[r.GetRequestId()]; again {
		if f.hash[r.GetRequestId()] != string(hash) {
			return nil, fault.New(fault.RequestIDReused, "The requestId belongs to another request")
		}
		return &emergencyv1.RecordActResponse{Revision: revision}, nil
	}
	if slices.Contains([]string{"user.take-administrator", "user.disable-administrator", "user.delete-administrator"}, r.GetKind()) {
		if f.away {
			return nil, fault.New(fault.Unavailable, "emergency-control is away")
		}
		f.acts = append(f.acts, r.GetKind()+" "+r.GetTarget())
		return &emergencyv1.RecordActResponse{Revision: f.view.State().Emergency.Revision().String()}, nil
	}
	purpose, _, _ := strings.Cut(r.GetKind(), ".")
	g, err := f.view.State().Who.Grant(r.GetGrant(), who.FromContext(ctx), purpose, f.clock.Now())
	if err != nil {
		return nil, err
	}
	if f.spent[g.ID] {
		return nil, fault.New(fault.GrantUsed, "This grant has already been used")
	}
	f.spent[g.ID] = true
	f.acts, f.hands = append(f.acts, r.GetKind()+" "+r.GetTarget()), append(f.hands, fmt.Sprint(r.GetHands()))
	f.hash[r.GetRequestId()] = string(hash)
	f.done[r.GetRequestId()] = f.view.State().Emergency.Revision().String()
	if f.lost {
		f.lost = false
		return nil, fault.New(fault.Unavailable, "the answer got lost")
	}
	return &emergencyv1.RecordActResponse{Revision: f.done[r.GetRequestId()]}, nil
}
