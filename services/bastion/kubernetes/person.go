package kubernetes

import (
	"context"
	"sync"

	"google.golang.org/grpc/metadata"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/rpc"
)

// person answers whose sign-in it is. Whoever is not known hears of a lockdown first, which is no more than the posture tells
// everybody: it has signed them out, and signing in again would not help.
func (p *Proxy) person(bearer string) (string, error) {
	state, now := p.deps.State(), p.deps.Now()
	if state == nil {
		return "", fault.New(fault.Unavailable, "This part is still starting. Try again in a moment")
	}
	stranger := func(err error) error {
		if until := state.Emergency.LockdownUntil(now); !until.IsZero() {
			return fault.New(fault.Lockdown, "%s", p.config.Texts.Lockdown(until))
		}
		return err
	}
	if bearer == "" {
		return "", stranger(fault.New(fault.Unauthenticated, "This takes a sign-in: run `portcullis login`, and let kubectl fetch it with `portcullis kubernetes token`"))
	}
	caller, err := state.Who.Verify(bearer, now)
	if err != nil {
		return "", stranger(err)
	}
	if caller.User == "" {
		return "", fault.New(fault.PermissionDenied, "A program's token is in no access group, and leads to no device. Sign in as a person: portcullis login")
	}
	if cut, over := state.Emergency.SignedOut(caller.User, caller.SignIn, caller.Admission, now); over {
		return "", stranger(fault.New(fault.Unauthenticated, "%s", cut.SignedOut()))
	}
	return caller.User, nil
}

// check asks the gate. An answer lets the person in; a refusal is an error that they may read.
func (p *Proxy) check(ctx context.Context, q question) (*gatev1.CheckResponse, error) {
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, rpc.Address, q.address), dialWithin)
	defer cancel()
	verdict, err := p.deps.Gate.Check(ctx, &gatev1.CheckRequest{User: q.user, Device: q.device, Channel: gatev1.Channel_SESSION})
	if err != nil {
		return nil, err
	}
	if !verdict.GetAllowed() {
		return nil, fault.New(fault.PermissionDenied, "%s", verdict.GetMessage())
	}
	return verdict, nil
}

// maxOfOne is how much one person may have on at a time.
const maxOfOne = 256

// shares keep one person from taking everybody's room.
type shares struct {
	mu sync.Mutex
	on map[string]int
}

func newShares() *shares { return &shares{on: map[string]int{}} }

func (s *shares) enter(user string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on[user] >= maxOfOne {
		return nil, fault.New(fault.ResourceExhausted, "You have %d requests on at once already. Let some of them end", maxOfOne)
	}
	s.on[user]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.on[user]--; s.on[user] == 0 {
			delete(s.on, user)
		}
	}, nil
}
