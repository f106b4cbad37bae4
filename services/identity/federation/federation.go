// Package federation lets people in who sign in at an OpenID provider: authorization code with PKCE, state
// and nonce, all sealed into what only the browser that began has; and it takes the provider's word for who
// has left. It holds the client's secret, and is the only part that goes out to the provider.
package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/proof"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/who"
)

// Config says which provider. Without an issuer there is none.
type Config struct {
	Issuer, Name, ClientID, ClientSecret string
	// PublicURL is where browsers reach the console.
	PublicURL string
	// CA is a file of certificates beside the system's.
	CA                     string
	Scopes                 []string
	NameClaim, GroupsClaim string
	// Roles are by group.
	Roles          map[string]string
	MFAACR, MFAAMR []string
}

// People are the users here.
type People interface {
	// Arrive signs in whom the provider has identified, or says that a code must follow.
	Arrive(context.Context, *identityv1.ProviderArrival) (*identityv1.SignIn, error)
	// Confirm does so with that code.
	Confirm(ctx context.Context, a *identityv1.ProviderArrival, code string) (*identityv1.SignIn, error)
	// Depart ends what came in by these words of who.Entry; a logout token does that once.
	Depart(ctx context.Context, logoutToken string, words ...string) error
}

// Deps is what the package works with.
type Deps struct {
	People People
	// Attempts counts what was wrong, by address.
	Attempts *proof.Attempts
	Box      seal.Box
	Log      *slog.Logger
	Now      func() time.Time
}

// Service serves sign-ins by way of the provider.
type Service struct {
	identityv1.UnimplementedProviderSignInsServer
	config   Config
	deps     Deps
	provider *provider
	finished finished
}

// New checks what it is given, and asks the provider nothing: that may be down.
func New(c Config, d Deps) (*Service, error) {
	s := &Service{config: c, deps: d}
	if c.Issuer == "" {
		return s, nil
	}
	if c.ClientID == "" || c.PublicURL == "" {
		return nil, errors.New("oidc-issuer takes oidc-client-id and oidc-public-url beside it")
	}
	for key, value := range map[string]string{"oidc-issuer": c.Issuer, "oidc-public-url": c.PublicURL} {
		if err := guarded(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	s.config.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if s.config.Name == "" {
		at, _ := url.Parse(c.Issuer) // it was checked
		s.config.Name = at.Host
	}
	var err error
	s.provider, err = newProvider(s.config, d.Now)
	return s, err
}

// guarded refuses an address over which others could read or change what passes; this very machine's is none.
func guarded(address string) error {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return fmt.Errorf("%q is not an address like https://sign-in.example.com", address)
	}
	if at.Scheme != "https" && !(at.Scheme == "http" && loopback(at.Hostname())) {
		return fmt.Errorf("%q must begin with https://", address)
	}
	return nil
}

func (s *Service) configured() error {
	if s.provider == nil {
		return fault.New(fault.NotFound, "No OpenID provider is configured here. Sign in with your password").With("rule", "providerNone")
	}
	return nil
}

// GetSignInOptions answers what people call the provider.
func (s *Service) GetSignInOptions(context.Context, *identityv1.GetSignInOptionsRequest) (*identityv1.SignInOptions, error) {
	if s.provider == nil {
		return &identityv1.SignInOptions{}, nil
	}
	return &identityv1.SignInOptions{Provider: s.config.Name}, nil
}

// BeginProviderSignIn answers where the browser goes, and what it has to bring back.
func (s *Service) BeginProviderSignIn(ctx context.Context, r *identityv1.BeginProviderSignInRequest) (*identityv1.BeginProviderSignInResponse, error) {
	if err := s.configured(); err != nil {
		return nil, err
	}
	at, err := s.provider.reach(ctx)
	if err != nil {
		return nil, s.down(ctx, err)
	}
	f := s.begin(LocalPath(r.GetTo()))
	f.LoopbackPort = r.GetLoopbackPort()
	sealed, err := s.seal(f)
	if err != nil {
		return nil, err
	}
	return &identityv1.BeginProviderSignInResponse{Location: s.provider.authorize(at, f), Flow: sealed, ExpireTime: f.GetExpireTime()}, nil
}

// FinishProviderSignIn takes the provider's answer. Wrong ones count against the address that they come from.
func (s *Service) FinishProviderSignIn(ctx context.Context, r *identityv1.FinishProviderSignInRequest) (*identityv1.FinishProviderSignInResponse, error) {
	done, err := s.finish(ctx, r)
	if err == nil {
		return done, nil
	}
	if f, unread := s.open(r.GetFlow()); unread == nil { // whoever is refused is told so where they began
		return nil, fault.From(err).With("to", f.GetTo())
	}
	return nil, err
}

func (s *Service) finish(ctx context.Context, r *identityv1.FinishProviderSignInRequest) (*identityv1.FinishProviderSignInResponse, error) {
	if err := s.configured(); err != nil {
		return nil, err
	}
	address := proof.Address(who.FromContext(ctx).Address)
	if err := s.deps.Attempts.Check("", address, false, s.deps.Now()); err != nil {
		return nil, err
	}
	arrival, to, err := s.identify(ctx, r)
	if fault.Is(err, fault.Unauthenticated) {
		s.deps.Attempts.Fail("", address, false, s.deps.Now())
	}
	if err != nil {
		return nil, err
	}
	in, err := s.deps.People.Arrive(ctx, arrival)
	if err != nil {
		return nil, err
	}
	if !in.GetCodeRequired() {
		return &identityv1.FinishProviderSignInResponse{SignIn: in, To: to}, nil
	}
	f := s.flow(to)
	f.Arrival = arrival
	sealed, err := s.seal(f)
	return &identityv1.FinishProviderSignInResponse{Flow: sealed, ExpireTime: f.GetExpireTime(), To: to}, err
}

// identify answers who the provider says it is, and where they wanted to go.
func (s *Service) identify(ctx context.Context, r *identityv1.FinishProviderSignInRequest) (*identityv1.ProviderArrival, string, error) {
	f, err := s.open(r.GetFlow())
	if err != nil || f.GetState() == "" || !same(f.GetState(), r.GetState()) || r.GetIssuer() != "" && r.GetIssuer() != s.config.Issuer {
		return nil, "", lostFlow().Because(err)
	}
	if !s.finished.take(f.GetId(), f.GetExpireTime().AsTime(), s.deps.Now()) {
		return nil, "", lostFlow()
	}
	if r.GetError() != "" {
		return nil, "", s.denied(ctx, r.GetError())
	}
	at, err := s.provider.metadata(ctx)
	if err != nil {
		return nil, "", s.down(ctx, err)
	}
	claims, err := s.provider.exchange(ctx, at, r.GetCode(), f)
	var wrong *wrongAnswer
	if errors.As(err, &wrong) {
		s.deps.Log.WarnContext(ctx, "the OpenID provider's answer was refused", "error", err)
		return nil, "", fault.New(fault.Unauthenticated, "The provider's answer could not be verified. Begin again; the log here says what is wrong with it").
			With("rule", "providerAnswer").Because(err)
	}
	if err != nil {
		return nil, "", s.down(ctx, err)
	}
	a := s.arrival(claims)
	a.Time = timestamppb.New(s.deps.Now())
	return a, f.GetTo(), nil
}

// denied is what the provider says instead of a code.
func (s *Service) denied(ctx context.Context, reason string) error {
	switch reason {
	case "temporarily_unavailable", "server_error":
		return s.down(ctx, fmt.Errorf("it answered %q", reason))
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		return fault.New(fault.PermissionDenied, "The provider did not let you in. Try again, or sign in with your password").With("rule", "providerDenied")
	}
	s.deps.Log.WarnContext(ctx, "the OpenID provider refuses this installation", "error", reason)
	return fault.New(fault.PermissionDenied, "The provider refuses this installation. Its configuration has to be looked at").With("rule", "providerRefuses")
}

// down tells a person that the provider can't be reached, and the log why.
func (s *Service) down(ctx context.Context, err error) error {
	s.deps.Log.WarnContext(ctx, "the OpenID provider can't be used", "issuer", s.config.Issuer, "error", err)
	e := fault.New(fault.Unavailable, "%s can't be reached now. Try again in a moment, or sign in with your password", s.config.Name).With("rule", "provider").Because(err)
	e.RetryAfter = time.Second
	return e
}

// CompleteProviderSignIn takes the code that follows.
func (s *Service) CompleteProviderSignIn(ctx context.Context, r *identityv1.CompleteProviderSignInRequest) (*identityv1.SignIn, error) {
	if err := s.configured(); err != nil {
		return nil, err
	}
	f, err := s.open(r.GetFlow())
	if err != nil || f.GetArrival() == nil {
		return nil, lostFlow().Because(err)
	}
	return s.deps.People.Confirm(ctx, f.GetArrival(), r.GetCode())
}

// LeaveProvider answers where one signs out of the provider too.
func (s *Service) LeaveProvider(ctx context.Context, _ *identityv1.LeaveProviderRequest) (*identityv1.LeaveProviderResponse, error) {
	if err := s.configured(); err != nil {
		return nil, err
	}
	at, err := s.provider.metadata(ctx)
	if err != nil {
		return nil, s.down(ctx, err)
	}
	return &identityv1.LeaveProviderResponse{Location: s.provider.leave(at)}, nil
}

// EndProviderSignIns ends what a logout token names: one session where it names one, else all of the person's.
func (s *Service) EndProviderSignIns(ctx context.Context, r *identityv1.EndProviderSignInsRequest) (*emptypb.Empty, error) {
	if err := s.configured(); err != nil {
		return nil, err
	}
	at, err := s.provider.metadata(ctx)
	if err != nil {
		return nil, s.down(ctx, err)
	}
	token, err := s.provider.logout(ctx, at, r.GetLogoutToken())
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "This logout token is not valid: %v", err).With("rule", "logoutToken")
	}
	word := who.ProviderSession(s.config.Issuer, token.SessionID)
	if word == "" {
		word = who.ProviderSubject(s.config.Issuer, token.Subject)
	}
	if err := s.deps.People.Depart(ctx, token.TokenID, word); err != nil {
		return nil, err
	}
	s.deps.Log.InfoContext(ctx, "the OpenID provider has ended sign-ins", "subject", token.Subject, "session", token.SessionID != "")
	return &emptypb.Empty{}, nil
}

// finished are the flows that were brought back, until they expire: each works once.
type finished struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

// take reports whether a flow comes for the first time.
func (f *finished) take(id string, until, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for old, end := range f.ids {
		if end.Before(now) {
			delete(f.ids, old)
		}
	}
	if _, again := f.ids[id]; again {
		return false
	}
	if f.ids == nil {
		f.ids = map[string]time.Time{}
	}
	f.ids[id] = until
	return true
}
