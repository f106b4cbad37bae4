package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// refreshBelow is how much of a sign-in token's 15 minutes may be left before it is renewed.
const refreshBelow = 10 * time.Minute

// Store keeps sign-ins on disk, one for each server, for this user of the machine alone.
type Store struct{ Path string }

// SignIn is what the store keeps.
type SignIn struct {
	User       string    `json:"user"`
	Token      string    `json:"token"`
	ExpireTime time.Time `json:"expireTime"`
}

// Get answers the sign-in at a server; false if there is none.
func (s *Store) Get(address string) (SignIn, bool, error) {
	all, err := s.read()
	in, ok := all[address]
	return in, ok, err
}

// Put keeps the sign-in at a server in place of the one before.
func (s *Store) Put(address string, in SignIn) error {
	all, err := s.read()
	if err != nil {
		return err
	}
	all[address] = in
	return s.write(all)
}

// Delete forgets the sign-in at a server.
func (s *Store) Delete(address string) error {
	all, err := s.read()
	if err != nil {
		return err
	}
	delete(all, address)
	return s.write(all)
}

func (s *Store) read() (map[string]SignIn, error) {
	all := map[string]SignIn{}
	text, err := os.ReadFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stored sign-ins: %w", err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("reading the stored sign-ins: %s is damaged, delete it and sign in again: %w", s.Path, err)
	}
	return all, nil
}

// write replaces the file whole, so that a command that runs beside this one never reads half of it.
func (s *Store) write(all map[string]SignIn) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the sign-ins: %w", err)
	}
	folder := filepath.Dir(s.Path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("storing the sign-in: %w", err)
	}
	file, err := os.CreateTemp(folder, ".sign-ins-*") // 0600
	if err != nil {
		return fmt.Errorf("storing the sign-in: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), s.Path)
	}
	if err != nil {
		return fmt.Errorf("storing the sign-in: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// SignIn signs in and stores it.
func (c *Client) SignIn(ctx context.Context, request *identityv1.CreateSignInRequest) (*identityv1.SignIn, error) {
	in := new(identityv1.SignIn)
	if err := c.arrive(ctx, "", request, in); err != nil {
		return nil, err
	}
	return in, c.keep(in)
}

// BeginProviderSignIn answers where a browser has to go, which then comes back to this port of the loopback.
func (c *Client) BeginProviderSignIn(ctx context.Context, port uint32) (*identityv1.BeginProviderSignInResponse, error) {
	begun := new(identityv1.BeginProviderSignInResponse)
	return begun, c.arrive(ctx, "/provider:begin", &identityv1.BeginProviderSignInRequest{LoopbackPort: port}, begun)
}

// FinishProviderSignIn stores the sign-in; without one, a code must follow.
func (c *Client) FinishProviderSignIn(ctx context.Context, request *identityv1.FinishProviderSignInRequest) (*identityv1.FinishProviderSignInResponse, error) {
	done := new(identityv1.FinishProviderSignInResponse)
	if err := c.arrive(ctx, "/provider:finish", request, done); err != nil || done.GetSignIn() == nil {
		return done, err
	}
	return done, c.keep(done.GetSignIn())
}

// CompleteProviderSignIn sends that code, and stores the sign-in.
func (c *Client) CompleteProviderSignIn(ctx context.Context, request *identityv1.CompleteProviderSignInRequest) (*identityv1.SignIn, error) {
	in := new(identityv1.SignIn)
	if err := c.arrive(ctx, "/provider:complete", request, in); err != nil {
		return nil, err
	}
	return in, c.keep(in)
}

func (c *Client) arrive(ctx context.Context, path string, request, answer proto.Message) error {
	return c.Do(ctx, Request{Method: http.MethodPost, Path: "/v1/sign-ins" + path, Body: request, Out: answer, Anonymous: true})
}

func (c *Client) keep(in *identityv1.SignIn) error {
	if c.store == nil {
		return errors.New("storing the sign-in: this user has no folder for configuration; set HOME or XDG_CONFIG_HOME")
	}
	return c.store.Put(c.Address(), SignIn{User: in.GetUser().GetName(), Token: in.GetToken(), ExpireTime: in.GetExpireTime().AsTime()})
}

// SignOut ends the sign-in and forgets it, whatever the server says.
func (c *Client) SignOut(ctx context.Context) error {
	_, stored, err := c.stored()
	if err != nil || !stored {
		return err
	}
	err = c.Do(ctx, Request{Method: http.MethodDelete, Path: "/v1/sign-ins/current"})
	return errors.Join(err, c.store.Delete(c.Address()))
}

// User is who is signed in here; empty if nobody is, or a program's token is used.
func (c *Client) User() string {
	in, _, _ := c.stored()
	return in.User
}

// HasCredential says that there is something to send along, good or not.
func (c *Client) HasCredential() bool {
	_, stored, err := c.stored()
	return c.token != "" || stored || err != nil
}

// Credential is what the commands send along, renewed when it is about to end, for another program to send. A program's token
// has no end.
func (c *Client) Credential(ctx context.Context) (SignIn, error) {
	if c.token != "" {
		return SignIn{Token: c.token}, nil
	}
	if _, err := c.credential(ctx, Request{}); err != nil {
		return SignIn{}, err
	}
	in, ok, err := c.stored()
	if err != nil {
		return SignIn{}, err
	}
	if !ok {
		return SignIn{}, &Refusal{Code: "UNAUTHENTICATED", Reason: fault.Unauthenticated, Message: "Nobody is signed in at " + c.Address()}
	}
	if !c.Now().Before(in.ExpireTime) {
		return SignIn{}, &Refusal{Code: "UNAUTHENTICATED", Reason: fault.Unauthenticated, Message: "Your sign-in at " + c.Address() + " is over"}
	}
	return in, nil
}

func (c *Client) stored() (SignIn, bool, error) {
	if c.token != "" || c.store == nil {
		return SignIn{}, false, nil
	}
	return c.store.Get(c.Address())
}

// credential answers what to send along, renewed when it is about to end.
func (c *Client) credential(ctx context.Context, r Request) (string, error) {
	if r.Anonymous || c.token != "" {
		return c.tokenFor(r), nil
	}
	in, ok, err := c.stored()
	if err != nil || !ok {
		return "", err
	}
	left := in.ExpireTime.Sub(c.Now())
	if left <= 0 || left > refreshBelow {
		return in.Token, nil // an ended one is for the server to refuse: its clock counts
	}
	return c.refresh(ctx, in), nil
}

func (c *Client) tokenFor(r Request) string {
	if r.Anonymous {
		return ""
	}
	return c.token
}

// refresh answers a new token, or the old one, which works for some minutes yet.
func (c *Client) refresh(ctx context.Context, in SignIn) string {
	fresh := new(identityv1.SignIn)
	err := c.exchange(ctx, Request{Method: http.MethodPost, Path: "/v1/sign-ins/current:refresh", Out: fresh}, []byte("{}"), in.Token)
	if err != nil || fresh.GetToken() == "" {
		return in.Token
	}
	fresh.User = &identityv1.User{Name: in.User}
	if c.keep(fresh) != nil {
		return in.Token
	}
	return fresh.GetToken()
}
