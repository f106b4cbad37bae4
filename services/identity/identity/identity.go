// Package identity knows who people and programs are. It alone holds passwords, MFA secrets and the key
// that signs sign-ins and grants; everybody else verifies with what it writes into the stream IDENTITY.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/federation"
	"portcullis.dev/services/identity/people"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// View is the watched journal: a *watch.Watcher.
type View interface {
	State() *watch.State
	Wait(ctx context.Context, stream string, sequence uint64) error
}

// Deps is what the service works with.
type Deps struct {
	Journal *journal.Journal
	View    View
	// Stale reports whether the View is older than a strict service may go by; nil where it goes by any.
	Stale func() bool
	// Practise hears of each sign-in that is let through, by what was known then; nil for nobody.
	Practise func(known *emergency.Snapshot, r emergency.Request, now time.Time)
	// Roll is fed with the stream IDENTITY, in order, before the View shows it.
	Roll *people.Roll
	// Acts notes what takes a grant, in the name of the caller.
	Acts emergencyv1.ActsClient
	// Box seals what must not be readable at rest.
	Box   seal.Box
	Texts emergency.Texts
	Log   *slog.Logger
	Now   func() time.Time
	// Announce is told of the first administrator until it returns nil once. Optional.
	Announce func(Bootstrap) error
	// Attempts is told who was refused, and run. Optional.
	Attempts *attempt.Recorder
	// Enforce tells emergency-control what identity holds: sign-ins that a lockdown ended are over here.
	// Optional.
	Enforce func(context.Context) error
}

// Service serves sign-ins, users, roles, tokens and grants.
type Service struct {
	identityv1.UnimplementedSignInsServer
	identityv1.UnimplementedGrantsServer
	identityv1.UnimplementedUsersServer
	identityv1.UnimplementedTokensServer
	identityv1.UnimplementedDoorsServer

	config   Config
	deps     Deps
	roll     *people.Roll
	present  people.Present
	pool     *proof.Pool
	attempts *proof.Attempts
	provider *federation.Service
	vault    atomic.Pointer[vault]
	kept     *proof.Kept
	ready    chan struct{}
}

// vault is what takes the journal to open: the two streams, and the key.
type vault struct {
	identity, secret *journal.Stream
	signer           who.Signer
	hashKey          []byte // of requests, so that what they hold can't be guessed from their hash
}

// New checks what it is given and starts nothing.
func New(c Config, d Deps) (*Service, error) {
	if d.Journal == nil || d.View == nil || d.Roll == nil || d.Acts == nil || d.Log == nil || d.Now == nil {
		return nil, errors.New("making identity: something it needs is missing")
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("making identity: %w", err)
	}
	s := &Service{config: c, deps: d, roll: d.Roll, pool: proof.NewPool(), attempts: proof.NewAttempts(), kept: proof.NewKept(), ready: make(chan struct{})}
	var err error
	s.provider, err = federation.New(c.provider(), federation.Deps{People: s, Attempts: s.attempts, Box: d.Box, Log: d.Log, Now: d.Now})
	if err != nil {
		return nil, fmt.Errorf("making identity: %w", err)
	}
	return s, nil
}

// Register adds the six services.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	identityv1.RegisterSignInsServer(r, noting{s})
	identityv1.RegisterProviderSignInsServer(r, s.provider)
	identityv1.RegisterGrantsServer(r, noting{s})
	identityv1.RegisterUsersServer(r, s)
	identityv1.RegisterTokensServer(r, s)
	identityv1.RegisterDoorsServer(r, noting{s})
}

// Run opens the streams, makes the key and the first administrator where there are none yet, and blocks
// until the context ends.
func (s *Service) Run(ctx context.Context) error {
	v, err := s.begin(ctx)
	if err != nil {
		return orEnded(ctx, err)
	}
	s.vault.Store(v)
	close(s.ready)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.deps.Attempts.Run(ctx) })
	g.Go(func() error { return s.keep(ctx, v) })
	if s.deps.Enforce != nil {
		g.Go(func() error { return s.deps.Enforce(ctx) })
	}
	return g.Wait()
}

// Ready is closed once people can sign in.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// begin makes what identity needs to serve. A journal that is out of reach is awaited: it comes back by itself, and
// what would start this anew waits longer each time.
func (s *Service) begin(ctx context.Context) (*vault, error) {
	for {
		v, err := s.prepare(ctx)
		if !errors.Is(err, journal.ErrUnavailable) && !errors.Is(err, journal.ErrUnknown) {
			return v, err
		}
		s.deps.Log.WarnContext(ctx, "the journal can't be reached; starting once it can", "error", err)
		select {
		case <-time.After(beginAgain):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

const beginAgain = 500 * time.Millisecond

func (s *Service) prepare(ctx context.Context) (*vault, error) {
	v, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.bootstrap(ctx, v); err != nil {
		return nil, fmt.Errorf("making the first administrator: %w", err)
	}
	if err := s.announce(ctx, v); err != nil {
		return nil, fmt.Errorf("showing the first administrator: %w", err)
	}
	return v, nil
}

func orEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Service) open(ctx context.Context) (*vault, error) {
	v := new(vault)
	var err error
	if v.identity, err = s.deps.Journal.Await(ctx, watch.Identity); err != nil {
		return nil, fmt.Errorf("opening %s: %w", watch.Identity, err)
	}
	if v.secret, err = s.deps.Journal.Await(ctx, secretStream); err != nil {
		return nil, fmt.Errorf("opening %s: %w", secretStream, err)
	}
	if err := s.openKey(ctx, v); err != nil {
		return nil, fmt.Errorf("opening the signing key: %w", err)
	}
	return v, nil
}

// opened answers the vault, or a refusal while it is not open yet.
func (s *Service) opened() (*vault, error) {
	if v := s.vault.Load(); v != nil {
		return v, nil
	}
	starting := fault.New(fault.Unavailable, "Identity is starting. Try again in a moment")
	starting.RetryAfter = time.Second
	return nil, starting
}

func (s *Service) view() *who.View { return s.deps.View.State().Who }

func (s *Service) emergencies() *emergency.Snapshot { return s.deps.View.State().Emergency }

// noting is the service as others reach it: it notes who was refused a way in.
type noting struct{ *Service }

// CreateSignIn signs a person in.
func (n noting) CreateSignIn(ctx context.Context, r *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	in, err := n.Service.CreateSignIn(ctx, r)
	n.note(err, attempt.Try{Door: gatev1.AttemptRecord_SIGN_IN, User: r.GetUsername(), Address: who.FromContext(ctx).Address, Channel: gatev1.Channel_INTERACTIVE})
	return in, err
}

// CreateGrant turns a fresh code into the proof that a guarded act takes.
func (n noting) CreateGrant(ctx context.Context, r *identityv1.CreateGrantRequest) (*identityv1.CreateGrantResponse, error) {
	g, err := n.Service.CreateGrant(ctx, r)
	c := who.FromContext(ctx)
	n.note(err, attempt.Try{Door: gatev1.AttemptRecord_GRANT, User: c.User, Address: c.Address, Channel: gatev1.Channel_INTERACTIVE})
	return g, err
}

// Authenticate answers whom the bastion has before it.
func (n noting) Authenticate(ctx context.Context, r *identityv1.AuthenticateRequest) (*identityv1.AuthenticateResponse, error) {
	a, err := n.Service.Authenticate(ctx, r)
	n.note(err, attempt.Try{Door: gatev1.AttemptRecord_SESSION, User: r.GetUsername(), Address: r.GetAddress(), Channel: gatev1.Channel_SESSION})
	return a, err
}

// note notes what more than a wrong password was refused for. A name that nobody has may be a password in the wrong
// field, and is left out.
func (n noting) note(err error, t attempt.Try) {
	if err == nil {
		return
	}
	e := fault.From(err)
	asked := e.Reason == fault.CodeInvalid && e.Details["codeRequired"] != ""
	if asked || !slices.Contains([]string{fault.Lockdown, fault.Locked, fault.CodeInvalid, fault.CodeUsed, fault.LockedOut}, e.Reason) {
		return
	}
	if n.roll.User(t.User) == nil {
		t.User = ""
	}
	t.Reason, t.Emergency = e.Reason, e.Details["emergency"]
	if until, ok := e.End(); ok {
		t.Until = until
	}
	n.deps.Attempts.Refused(t)
}
