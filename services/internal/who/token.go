package who

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	issuer        = "portcullis"
	signInFor     = "portcullis-sign-in"
	grantFor      = "portcullis-grant"
	tokenPrefix   = "pct_"
	claimRevision = "rev"
	claimPending  = "cut"
	claimSignIn   = "sid"
	claimPurpose  = "pur"
	claimIssued   = "at" // iat has whole seconds only
	claimBy       = "by"
	claimSession  = "pse"
	claimSubject  = "psu"
)

// How people come in.
const (
	ByPassword = "password"
	ByProvider = "oidc"
)

// Entry is how a person came in. What the provider ends is ended for what has the same session or subject.
type Entry struct {
	// By is ByPassword or ByProvider.
	By string
	// Session and Subject are what ProviderSession and ProviderSubject answer; empty without a provider.
	Session, Subject string
}

// ProviderSession names a session at an OpenID provider in a word that tells nothing about it.
func ProviderSession(issuer, session string) string { return providerWord("session", issuer, session) }

// ProviderSubject does so for a person.
func ProviderSubject(issuer, subject string) string { return providerWord("subject", issuer, subject) }

func providerWord(kind, issuer, name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + issuer + "\x00" + name))
	return "oidc-" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// SignIn is what a sign-in token says.
type SignIn struct {
	ID, User  string
	Admission emergency.Admission
	Issued    time.Time
	Expires   time.Time
	Entry     Entry
}

// Grant is what the proof of a fresh MFA check says.
type Grant struct {
	ID, User, SignIn string
	// Purpose binds it to one kind of act; empty means any.
	Purpose string
	Issued  time.Time
	Expires time.Time
}

// Signer signs sign-in tokens and grants. Identity alone has one.
type Signer struct {
	KeyID string
	Key   ed25519.PrivateKey
}

// SignIn answers the token of a sign-in.
func (s Signer) SignIn(in SignIn) (string, error) {
	b := jwt.NewBuilder().Issuer(issuer).Audience([]string{signInFor}).Subject(in.User).JwtID(in.ID).
		Expiration(in.Expires).Claim(claimRevision, in.Admission.Revision.String())
	if in.Entry.By == ByProvider {
		b = b.Claim(claimBy, ByProvider).Claim(claimSession, in.Entry.Session).Claim(claimSubject, in.Entry.Subject)
	}
	if !in.Admission.PendingCut.IsZero() {
		b = b.Claim(claimPending, in.Admission.PendingCut.UTC().Format(time.RFC3339Nano))
	}
	return s.sign(b, in.Issued)
}

// Grant answers the signed form of a grant.
func (s Signer) Grant(g Grant) (string, error) {
	return s.sign(jwt.NewBuilder().Issuer(issuer).Audience([]string{grantFor}).Subject(g.User).JwtID(g.ID).
		Expiration(g.Expires).Claim(claimSignIn, g.SignIn).Claim(claimPurpose, g.Purpose), g.Issued)
}

func (s Signer) sign(b *jwt.Builder, issued time.Time) (string, error) {
	token, err := b.IssuedAt(issued).Claim(claimIssued, issued.UTC().Format(time.RFC3339Nano)).Build()
	if err != nil {
		return "", fmt.Errorf("building a token: %w", err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.KeyIDKey, s.KeyID); err != nil {
		return "", fmt.Errorf("naming the key of a token: %w", err)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.EdDSA(), s.Key, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return string(signed), nil
}

// claims is what a signed token says, once its signature has been verified.
type claims struct {
	audience        []string
	id, user        string
	signIn, purpose string
	issued, expires time.Time
	admission       emergency.Admission
	entry           Entry
}

// verified remembers what has been verified with one set of keys, for a signature costs more than all
// else that a request is asked. What changes (expiry, revocation, roles) is never remembered.
type verified struct {
	mu     sync.RWMutex
	claims map[string]*claims
}

const maxVerified = 10_000

func (v *View) parse(signed, audience string) (*claims, error) {
	v.verified.mu.RLock()
	c := v.verified.claims[signed]
	v.verified.mu.RUnlock()
	if c == nil {
		var err error
		if c, err = read(signed, v.keys); err != nil {
			return nil, err
		}
		v.verified.keep(signed, c)
	}
	if !slices.Contains(c.audience, audience) {
		return nil, errors.New("verifying a token: it was made for something else")
	}
	return c, nil
}

func (v *verified) keep(signed string, c *claims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.claims) >= maxVerified {
		clear(v.claims)
	}
	v.claims[signed] = c
}

func read(signed string, keys jwk.Set) (*claims, error) {
	t, err := jwt.Parse([]byte(signed), jwt.WithKeySet(keys), jwt.WithValidate(false))
	if err != nil {
		return nil, fmt.Errorf("verifying a token: %w", err)
	}
	if by, _ := t.Issuer(); by != issuer {
		return nil, fmt.Errorf("verifying a token: it was made by %q", by)
	}
	c := &claims{signIn: text(t, claimSignIn), purpose: text(t, claimPurpose), admission: admission(text(t, claimRevision), text(t, claimPending))}
	if c.issued, err = time.Parse(time.RFC3339Nano, text(t, claimIssued)); err != nil {
		return nil, fmt.Errorf("reading when a token was made: %w", err)
	}
	c.entry = Entry{By: cmp.Or(text(t, claimBy), ByPassword), Session: text(t, claimSession), Subject: text(t, claimSubject)}
	c.audience, _ = t.Audience()
	c.id, _ = t.JwtID()
	c.user, _ = t.Subject()
	c.expires, _ = t.Expiration()
	return c, nil
}

func text(t jwt.Token, claim string) string {
	var s string
	if t.Get(claim, &s) != nil {
		return ""
	}
	return s
}

func keySet(keys map[string]ed25519.PublicKey) (jwk.Set, error) {
	set := jwk.NewSet()
	for id, public := range keys {
		key, err := jwk.Import(public)
		if err != nil {
			return nil, fmt.Errorf("reading key %s: %w", id, err)
		}
		for name, value := range map[string]any{jwk.KeyIDKey: id, jwk.AlgorithmKey: jwa.EdDSA()} {
			if err := key.Set(name, value); err != nil {
				return nil, fmt.Errorf("naming key %s: %w", id, err)
			}
		}
		if err := set.AddKey(key); err != nil {
			return nil, fmt.Errorf("keeping key %s: %w", id, err)
		}
	}
	return set, nil
}

// NewToken makes the credential of a program: its id, the whole token to show once, and the hash to keep.
// The secret has more than 128 random bits, so that the hash may be known to all.
func NewToken() (id, token string, hash []byte) {
	id = strings.ToLower(rand.Text()[:12])
	token = tokenPrefix + id + "_" + rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(token))
	return id, token, sum[:]
}

func tokenID(bearer string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(bearer, tokenPrefix)
	if !ok {
		return "", false
	}
	id, _, ok = strings.Cut(rest, "_")
	return id, ok
}

func hashes(bearer string, hash []byte) bool {
	sum := sha256.Sum256([]byte(bearer))
	return subtle.ConstantTimeCompare(sum[:], hash) == 1
}

func admission(revision, pending string) emergency.Admission {
	p := &emergencyv1.Admission{Revision: revision}
	if at, err := time.Parse(time.RFC3339Nano, pending); err == nil {
		p.PendingCut = timestamppb.New(at)
	}
	return emergency.AdmissionOf(p)
}
