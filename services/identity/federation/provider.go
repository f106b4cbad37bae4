package federation

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

const (
	skew        = 30 * time.Second // between the provider's clock and ours
	logoutLife  = 2 * time.Minute  // how old a logout token may be
	within      = 10 * time.Second // an answer of the provider
	rediscover  = time.Minute
	retryAfter  = time.Second      // a discovery that failed
	keysAtLeast = 10 * time.Second // between two looks at the keys, whatever strangers send
	maxAnswer   = 1 << 20
)

// provider is the OpenID provider, as far as it is known by now.
type provider struct {
	config Config
	now    func() time.Time
	client *http.Client

	mu     sync.Mutex
	known  *known
	failed error     // the last discovery
	asked  time.Time // when that was
}

// known is what discovery has found. It never changes.
type known struct {
	at       *oidc.Provider
	verifier *oidc.IDTokenVerifier
	more     struct {
		EndSession string   `json:"end_session_endpoint"`
		Scopes     []string `json:"scopes_supported"`
		TokenAuth  []string `json:"token_endpoint_auth_methods_supported"`
		JWKS       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
}

// wrongAnswer is an answer of the provider that is not to be trusted.
type wrongAnswer struct{ error }

func wrong(format string, args ...any) error { return &wrongAnswer{fmt.Errorf(format, args...)} }

func newProvider(c Config, now func() time.Time) (*provider, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CA != "" {
		pool, err := authorities(c.CA)
		if err != nil {
			return nil, fmt.Errorf("oidc-ca: %w", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &provider{config: c, now: now, client: &http.Client{
		Timeout: within, Transport: &bounded{next: transport, now: now, keys: map[string]kept{}},
		// A redirect could carry the client's secret elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file) // #nosec G304 -- the file that the configuration names
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it", file)
	}
	return pool, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reach is metadata of a provider that answers: nobody is sent to one that is down.
func (p *provider) reach(ctx context.Context) (*known, error) {
	k, err := p.metadata(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return k, cmp.Or(err, p.failed)
}

// metadata answers what the provider says of itself. It is asked when it is needed, again after a minute, and
// after a failure at most once a second; what was known stays in use while it can't be reached.
func (p *provider) metadata(ctx context.Context) (*known, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := p.now().Sub(p.asked)
	if p.known != nil && (age < rediscover || p.failed != nil && age < retryAfter) {
		return p.known, nil
	}
	if p.failed != nil && age < retryAfter {
		return nil, p.failed
	}
	found, err := p.discover(context.WithoutCancel(ctx)) // others wait for it
	p.asked, p.failed = p.now(), err
	if err == nil {
		p.known = found
	}
	if p.known == nil {
		return nil, err
	}
	return p.known, nil
}

func (p *provider) discover(ctx context.Context) (*known, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	at, err := oidc.NewProvider(ctx, p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("asking the provider about itself: %w", err)
	}
	k := &known{at: at}
	if err := at.Claims(&k.more); err != nil {
		return nil, fmt.Errorf("reading what the provider says of itself: %w", err)
	}
	for _, address := range []string{at.Endpoint().AuthURL, at.Endpoint().TokenURL, k.more.JWKS} {
		if err := p.trusts(address); err != nil {
			return nil, err
		}
	}
	if old := p.known; old != nil && old.more.JWKS == k.more.JWKS && slices.Equal(old.more.Algorithms, k.more.Algorithms) {
		k.verifier = old.verifier // and the keys that it has
		return k, nil
	}
	p.client.Transport.(*bounded).remember(k.more.JWKS)
	k.verifier = at.VerifierContext(ctx, &oidc.Config{ClientID: p.config.ClientID, SkipExpiryCheck: true}) // with our skew: see fresh
	return k, nil
}

// trusts refuses an address without TLS, unless the issuer's own is one of this machine.
func (p *provider) trusts(address string) error {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && !(at.Scheme == "http" && loopback(at.Hostname()) && strings.HasPrefix(p.config.Issuer, "http:")) {
		return fmt.Errorf("the provider says that it is at %q, which is not https", address)
	}
	return nil
}

func (p *provider) oauth(k *known, f *identityv1.ProviderFlow) *oauth2.Config {
	endpoint := k.at.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(k.more.TokenAuth) > 0 && !slices.Contains(k.more.TokenAuth, "client_secret_basic") || p.config.ClientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	scopes := []string{oidc.ScopeOpenID}
	for _, scope := range p.config.Scopes {
		if scope != oidc.ScopeOpenID && (len(k.more.Scopes) == 0 || slices.Contains(k.more.Scopes, scope)) {
			scopes = append(scopes, scope)
		}
	}
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, Endpoint: endpoint, Scopes: scopes, RedirectURL: p.returns(f),
	}
}

// returns is where the provider sends the browser back to.
func (p *provider) returns(f *identityv1.ProviderFlow) string {
	if port := f.GetLoopbackPort(); port != 0 {
		return fmt.Sprintf("http://127.0.0.1:%d/finish", port)
	}
	return p.config.PublicURL + "/oidc/finish"
}

// authorize is where the browser goes.
func (p *provider) authorize(k *known, f *identityv1.ProviderFlow) string {
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.GetNonce()), oauth2.S256ChallengeOption(f.GetVerifier())}
	if len(p.config.MFAACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(p.config.MFAACR, " ")))
	}
	return p.oauth(k, f).AuthCodeURL(f.GetState(), options...)
}

// exchange turns the code into verified claims.
func (p *provider) exchange(ctx context.Context, k *known, code string, f *identityv1.ProviderFlow) (claims, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.oauth(k, f).Exchange(ctx, code, oauth2.VerifierOption(f.GetVerifier()))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError {
		return nil, wrong("exchanging the code: the provider answered %d %s", refused.Response.StatusCode, refused.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("exchanging the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := k.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, wrong("verifying the ID token: %w", err)
	}
	c := claims{}
	if err := id.Claims(&c); err != nil {
		return nil, wrong("reading the ID token: %w", err)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, wrong("verifying the ID token: %w", err)
		}
	}
	return c, p.meant(id, c, f)
}

// meant refuses an ID token that is for another sign-in, another client or another time.
func (p *provider) meant(id *oidc.IDToken, c claims, f *identityv1.ProviderFlow) error {
	now := p.now()
	before, _ := c["nbf"].(float64)
	switch by := c.text("azp"); {
	case !same(id.Nonce, f.GetNonce()):
		return wrong("verifying the ID token: its nonce is another sign-in's")
	case len(id.Audience) > 1 && by != p.config.ClientID, by != "" && by != p.config.ClientID:
		return wrong("verifying the ID token: it was made for %q", by)
	case id.Subject == "":
		return wrong("verifying the ID token: it names nobody")
	case !now.Before(id.Expiry.Add(skew)):
		return wrong("verifying the ID token: it expired at %s", id.Expiry.UTC().Format(time.RFC3339))
	case id.IssuedAt.IsZero() || id.IssuedAt.After(now.Add(skew)) || time.Unix(int64(before), 0).After(now.Add(skew)):
		return wrong("verifying the ID token: it is of %s, which is yet to come. Are the clocks right?", id.IssuedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// logout verifies a logout token.
func (p *provider) logout(ctx context.Context, k *known, raw string) (*oidc.LogoutToken, error) {
	token, err := k.verifier.VerifyLogout(oidc.ClientContext(ctx, p.client), raw)
	if err != nil {
		return nil, err
	}
	now := p.now()
	switch {
	case len(token.TokenID) > 256 || len(token.Subject) > 1024 || len(token.SessionID) > 1024:
		return nil, errors.New("its claims are too long")
	case token.IssuedAt.IsZero() || token.IssuedAt.After(now.Add(skew)) || now.Sub(token.IssuedAt) > logoutLife+skew:
		return nil, fmt.Errorf("its iat is not within %s of now", logoutLife)
	case !now.Before(token.Expiry.Add(skew)):
		return nil, errors.New("it has expired")
	}
	return token, nil
}

// leave is where one signs out of the provider too; empty if it offers nothing of the kind.
func (p *provider) leave(k *known) string {
	at, err := url.Parse(k.more.EndSession)
	if err != nil || k.more.EndSession == "" || p.trusts(k.more.EndSession) != nil {
		return ""
	}
	q := at.Query()
	q.Set("client_id", p.config.ClientID)
	q.Set("post_logout_redirect_uri", p.config.PublicURL+"/sign-in")
	at.RawQuery = q.Encode()
	return at.String()
}

// bounded reads answers of a bounded size, and asks for keys no more often than it must: every token that
// can't be verified makes the library look for new ones.
type bounded struct {
	next http.RoundTripper
	now  func() time.Time
	mu   sync.Mutex
	jwks string
	keys map[string]kept
}

// kept is an answer with keys.
type kept struct {
	at     time.Time
	body   []byte
	header http.Header
}

func (b *bounded) remember(jwks string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jwks = jwks
}

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	isKeys, last := r.Method == http.MethodGet && r.URL.String() == b.jwks, b.keys[r.URL.String()]
	b.mu.Unlock()
	if isKeys && last.body != nil && b.now().Sub(last.at) < keysAtLeast {
		return &http.Response{
			StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: last.header.Clone(),
			Body: io.NopCloser(bytes.NewReader(last.body)), Request: r,
		}, nil
	}
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading the provider's answer: %w", err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if isKeys && answer.StatusCode == http.StatusOK {
		b.mu.Lock()
		b.keys = map[string]kept{r.URL.String(): {b.now(), body, answer.Header.Clone()}}
		b.mu.Unlock()
	}
	return answer, nil
}
