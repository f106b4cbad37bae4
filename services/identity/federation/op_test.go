package federation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

const (
	client = "portcullis"
	secret = "client secret"
	public = "https://portcullis.example.com"
	// program is where one waits for its browser.
	program = "http://127.0.0.1:41007/finish"
)

type object = map[string]any

// op is an OpenID provider: oidctest's keys, with a token endpoint that checks what it is sent.
type op struct {
	*httptest.Server
	mu       sync.Mutex
	key      *ecdsa.PrivateKey
	kid      string
	oidctest *oidctest.Server
	codes    map[string]issued
	down     bool
	asked    map[string]int // by path
	more     object         // of discovery
}

// issued is what stands behind a code.
type issued struct {
	challenge string
	redirect  string
	token     string
}

func newOP(t *testing.T) *op {
	t.Helper()
	o := &op{codes: map[string]issued{}, asked: map[string]int{}, oidctest: &oidctest.Server{Algorithms: []string{oidc.ES256}}}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	o.oidctest.SetIssuer(o.URL)
	o.rotate(t, "first")
	return o
}

// rotate replaces the key, and publishes it.
func (o *op) rotate(t *testing.T, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.key, o.kid = key, kid
	o.oidctest.PublicKeys = []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: kid, Algorithm: oidc.ES256}}
}

func (o *op) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[r.URL.Path]++
	switch {
	case o.down:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/token":
		o.token(w, r)
	case r.URL.Path == "/.well-known/openid-configuration" && o.more != nil:
		seen := httptest.NewRecorder()
		o.oidctest.ServeHTTP(seen, r)
		all := object{}
		_ = json.Unmarshal(seen.Body.Bytes(), &all)
		maps.Copy(all, o.more)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all)
	default:
		o.oidctest.ServeHTTP(w, r)
	}
}

// token trades a code in, once, for whoever has the verifier and the secret.
func (o *op) token(w http.ResponseWriter, r *http.Request) {
	id, password, _ := r.BasicAuth()
	code := r.PostFormValue("code")
	behind, known := o.codes[code]
	delete(o.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	right := id == client && password == url.QueryEscape(secret) && r.PostFormValue("redirect_uri") == behind.redirect
	w.Header().Set("Content-Type", "application/json")
	if !known || !right || base64.RawURLEncoding.EncodeToString(sum[:]) != behind.challenge {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	_ = json.NewEncoder(w).Encode(object{"access_token": "access", "token_type": "Bearer", "id_token": behind.token})
}

// sign makes a token of the claims, with the key that is published.
func (o *op) sign(claims object) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return oidctest.SignIDToken(o.key, o.kid, oidc.ES256, string(text))
}

// letIn answers the code for an authorization request; change turns the usual claims into others.
func (o *op) letIn(t *testing.T, location string, change func(object)) (code, state string) {
	t.Helper()
	at, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" || !slices.Contains([]string{public + "/oidc/finish", program}, q.Get("redirect_uri")) || q.Get("client_id") != client {
		t.Fatalf("asked with %v", q)
	}
	claims := o.claims(q.Get("nonce"))
	if change != nil {
		change(claims)
	}
	token, given := claims["token"].(string) // instead of a signed one
	if !given {
		token = o.sign(claims)
	}
	code = rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes[code] = issued{challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), token: token}
	return code, q.Get("state")
}

func (o *op) claims(nonce string) object {
	now := time.Now()
	return object{
		"iss": o.URL, "aud": client, "sub": "s-1", "nonce": nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "preferred_username": "ana",
		"name": "Ana", "email": "ana@example.com", "email_verified": true, "groups": []string{"staff", "ops"}, "sid": "session-1",
	}
}

func (o *op) setDown(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *op) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

func background() context.Context { return context.Background() }
