package federation

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

const (
	flowLife = 10 * time.Minute
	sealedAs = "oidc-flow"
)

func (s *Service) flow(to string) *identityv1.ProviderFlow {
	return &identityv1.ProviderFlow{Id: rand.Text(), To: to, ExpireTime: timestamppb.New(s.deps.Now().Add(flowLife))}
}

func (s *Service) begin(to string) *identityv1.ProviderFlow {
	f := s.flow(to)
	f.State, f.Nonce, f.Verifier = rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	return f
}

// seal makes a flow something that its holder can neither read nor change.
func (s *Service) seal(f *identityv1.ProviderFlow) (string, error) {
	plain, err := proto.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("sealing a flow: %w", err)
	}
	sealed, err := s.deps.Box.Seal(plain, sealedAs)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// open reads a flow that has not expired.
func (s *Service) open(sealed string) (*identityv1.ProviderFlow, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("reading a flow: %w", err)
	}
	plain, err := s.deps.Box.Open(raw, sealedAs)
	if err != nil {
		return nil, fmt.Errorf("reading a flow: %w", err)
	}
	f := new(identityv1.ProviderFlow)
	if err := proto.Unmarshal(plain, f); err != nil {
		return nil, fmt.Errorf("reading a flow: %w", err)
	}
	if !s.deps.Now().Before(f.GetExpireTime().AsTime()) {
		return nil, errors.New("reading a flow: it has expired")
	}
	return f, nil
}

// lostFlow refuses what was not begun here, took too long, or comes again.
func lostFlow() *fault.Error {
	return fault.New(fault.Unauthenticated, "This sign-in was not begun in this browser, took too long, or was finished before. Begin again").With("rule", "providerFlow")
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// LocalPath answers a path of this very site, whatever was asked for: "/" where that is no such path.
func LocalPath(to string) string {
	at, err := url.Parse(to)
	plain := !strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f })
	if err != nil || !plain || at.IsAbs() || at.Host != "" || at.User != nil || at.Opaque != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		return "/"
	}
	return to
}
