// Package oidc runs the product beside a real OpenID provider, Dex, in this process: people sign in there,
// are signed out from there, and get in without it when it is down.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dexidp/dex/connector"
	"github.com/dexidp/dex/connector/mock"
	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	clientID     = "portcullis"
	clientSecret = "the secret of the client"
	kind         = "somebody" // of Dex's connector
)

// Dex is the provider. It lets in whoever Is says, without a form.
type Dex struct {
	Issuer  string
	address string
	store   storage.Storage
	server  *http.Server
	stop    context.CancelFunc

	mu sync.Mutex
	is connector.Identity
}

// NewDex keeps a place for the provider, which is not running yet. Its people come back to one of these.
func NewDex(redirects ...string) (*Dex, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Dex{address: free.Addr().String(), store: memory.New(slog.New(slog.DiscardHandler))}
	d.Issuer = "http://" + d.address + "/dex"
	ctx := context.Background()
	return d, errors.Join(free.Close(),
		d.store.CreateClient(ctx, storage.Client{ID: clientID, Secret: clientSecret, Name: "Portcullis", RedirectURIs: redirects}),
		d.store.CreateConnector(ctx, storage.Connector{ID: kind, Type: kind, Name: "Somebody", ResourceVersion: "1", Config: []byte("{}")}))
}

// Is says who signs in next.
func (d *Dex) Is(id, name string, groups ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is = connector.Identity{UserID: id, Username: name, PreferredUsername: name, Email: name + "@example.com", EmailVerified: true, Groups: groups}
}

// Open makes Dex's connector: it asks nothing.
func (d *Dex) Open(_ string, logger *slog.Logger) (connector.Connector, error) {
	return somebody{mock.Callback{Logger: logger}, d}, nil
}

// somebody is a connector whose identity changes.
type somebody struct {
	mock.Callback
	dex *Dex
}

// LoginURL comes back at once.
func (s somebody) LoginURL(scopes connector.Scopes, callback, state string) (string, error) {
	return s.Callback.LoginURL(scopes, callback, state)
}

// HandleCallback answers who it is now.
func (s somebody) HandleCallback(connector.Scopes, *http.Request) (connector.Identity, error) {
	s.dex.mu.Lock()
	defer s.dex.mu.Unlock()
	return s.dex.is, nil
}

// Start serves.
func (d *Dex) Start() error {
	server.ConnectorsConfig[kind] = func() server.ConnectorConfig { return d }
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	handler, err := server.NewServer(ctx, server.Config{
		Issuer: d.Issuer, Storage: d.store, SkipApprovalScreen: true, Logger: slog.New(slog.DiscardHandler), AllowedGrantTypes: []string{"authorization_code"},
	})
	if err != nil {
		return fmt.Errorf("making Dex: %w", err)
	}
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		return err
	}
	d.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = d.server.Serve(listener) }() // it ends when it is stopped
	return nil
}

// Stop is the provider being down.
func (d *Dex) Stop() {
	if d.server != nil {
		_ = d.server.Close()
		d.stop()
		d.server = nil
	}
}

// LogoutToken is signed with Dex's own key, which it publishes. Dex itself has no back-channel logout yet.
func (d *Dex) LogoutToken(subject, id string) (string, error) {
	keys, err := d.store.GetKeys()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: keys.SigningKey},
		(&jose.SignerOptions{}).WithType("logout+jwt").WithHeader("kid", keys.SigningKey.KeyID))
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": d.Issuer, "aud": clientID, "sub": subject, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": id,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
