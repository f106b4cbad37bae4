package rpc

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// The metadata that our services send each other. The gateway takes it away from what comes from outside.
const (
	// Authorization is the credential of whoever asks: "Bearer …".
	Authorization = "authorization"
	// Address is the client's address, as the gateway or the bastion saw it.
	Address = "portcullis-address"
	// RequestID names a request in every log that it passes.
	RequestID = telemetry.RequestKey
)

// call is one request or stream, from its arrival on.
type call struct {
	method *method
	peer   string
	id     string
	caller who.Caller
	start  time.Time
}

// RequestID names the request that the call belongs to.
func (c *call) RequestID() string { return c.id }

// admit lets a call in, or says why not. The context that it answers carries the caller.
func (s *Server) admit(ctx context.Context, c *call) (context.Context, error) {
	c.peer = peerOf(ctx)
	if c.id = first(ctx, RequestID); !telemetry.Plain(c.id) {
		c.id = strconv.FormatUint(rand.Uint64(), 36) // #nosec G404 -- to be told apart, not to be guarded
	}
	var err error
	c.caller, err = s.decide(c.method.row, c.peer, bearer(ctx))
	if carries := slices.Contains(c.method.row.Carry, c.peer) || c.peer == Bastion; carries {
		if at, err := netip.ParseAddr(first(ctx, Address)); err == nil {
			c.caller.Address = at.String()
		}
	}
	if tooOften := s.pacer.take(c, err); tooOften != nil {
		return nil, tooOften
	}
	if err != nil {
		return nil, err
	}
	return who.NewContext(telemetry.WithRequest(ctx, c), c.caller), nil
}

// decide answers who asks, if they may now.
func (s *Server) decide(row Row, peer, bearer string) (who.Caller, error) {
	state, now := s.config.View.State(), s.config.Now()
	if state == nil {
		return who.Caller{}, fault.New(fault.Unavailable, "This part is still starting. Try again in a moment")
	}
	if slices.Contains(row.Own, peer) {
		return who.Caller{Service: peer}, nil
	}
	if !slices.Contains(row.Carry, peer) {
		return who.Caller{}, fault.New(fault.PermissionDenied, "The service %q may not call this", peer)
	}
	caller, err := s.verify(state, row, bearer, now)
	if err != nil && row.anyone() {
		return who.Caller{}, nil
	}
	if err != nil || row.anyone() {
		return caller, err
	}
	if err := permit(state, row, caller); err != nil {
		return caller, err
	}
	if err := s.fresh(state, row, caller); err != nil {
		return caller, err
	}
	if s.config.Practise != nil && !row.Open {
		s.config.Practise(state.Emergency, emergency.Request{User: caller.User, Token: caller.Token, Owner: caller.Owner, Channel: caller.Channel}, now)
	}
	return caller, nil
}

// fresh refuses, while it can't be told what is on, everyone but enforcers, and administrators on their way to change that. It is
// asked when something begins: what goes on is not ended by it.
func (s *Server) fresh(state *watch.State, row Row, c who.Caller) error {
	if s.config.Stale == nil || c.Channel == emergency.Enforcer || row.Open || row.Old == OldAnyone || !s.config.Stale() {
		return nil
	}
	if row.Old == OldAdministrators && c.Channel == emergency.Interactive && state.Emergency.Administrator(c.User) {
		return nil
	}
	return Stale(s.config.Texts)
}

// Stale is the refusal of a strict door that can't tell whether it knows all that is on.
func Stale(t emergency.Texts) *fault.Error {
	e := fault.New(fault.Stale, "%s", t.Refusal(emergency.Verdict{Reason: emergency.Stale}, ""))
	e.RetryAfter = time.Second
	return e
}

// verify reads the credential, and says whether a lockdown or a lock has ended it or is in its way.
func (s *Server) verify(state *watch.State, row Row, bearer string, now time.Time) (who.Caller, error) {
	if bearer == "" {
		return who.Caller{}, fault.New(fault.Unauthenticated, "This takes a credential. Sign in first, or send a token")
	}
	caller, err := state.Who.Verify(bearer, now)
	if err != nil {
		return who.Caller{}, err
	}
	if err := s.shut(state, row, caller, now); err != nil {
		return who.Caller{}, err
	}
	return caller, nil
}

// shut refuses whom a lockdown or a lock that is on refuses, and whom one has signed out.
func (s *Server) shut(state *watch.State, row Row, c who.Caller, now time.Time) error {
	if c.Channel == emergency.Enforcer {
		return nil
	}
	verdict := emergency.Decide(state.Emergency, emergency.Request{User: c.User, Token: c.Token, Owner: c.Owner, Channel: c.Channel}, now)
	if !row.Open {
		if err := Shut(s.config.Texts, verdict, now); err != nil {
			return err
		}
	}
	if c.Token != "" {
		if cut, revoked := state.Emergency.TokenRevoked(c.Token, c.Admission, now); revoked {
			return fault.New(fault.Unauthenticated, "The lockdown %s has shut this token. Ask an administrator to re-arm it", cut.Emergency)
		}
		return nil
	}
	if cut, over := state.Emergency.SignedOut(c.User, c.SignIn, c.Admission, now); over {
		return fault.New(fault.Unauthenticated, "%s", cut.SignedOut())
	}
	return nil
}

// Shut is the refusal of a lockdown or a lock that is on, nil for any other verdict. Its details name it.
func Shut(t emergency.Texts, v emergency.Verdict, now time.Time) error {
	if v.Reason != emergency.LockedDown && v.Reason != emergency.Locked {
		return nil
	}
	return fault.Refused(t, v, "", now)
}

// permit asks whether the caller is, or holds, one of what the row needs.
func permit(state *watch.State, row Row, c who.Caller) error {
	for _, need := range row.Need {
		switch {
		case c.Channel == emergency.Enforcer:
			if need == Enforcers {
				return nil
			}
		case need == SignedIn || state.Who.Holds(c, need):
			return nil
		}
	}
	if c.Channel == emergency.Enforcer {
		return fault.New(fault.PermissionDenied, "An enforcer's token opens the doors' own calls only. Use another token")
	}
	if slices.Equal(row.Need, []string{Enforcers}) {
		return fault.New(fault.PermissionDenied, "This takes an enforcer's token. Ask an administrator for one")
	}
	return fault.New(fault.PermissionDenied, "This takes the permission %s. Ask an administrator for a role with it",
		strings.Join(row.Need, " or ")).With("permission", row.Need[0])
}

func bearer(ctx context.Context) string {
	in, _ := metadata.FromIncomingContext(ctx)
	return BearerOf(in)
}

// BearerOf is the credential of a call by its metadata; empty if there is not exactly one: what stands in front may have
// looked at the other.
func BearerOf(m metadata.MD) string {
	values := m.Get(Authorization)
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func first(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}
