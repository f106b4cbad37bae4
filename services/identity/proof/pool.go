package proof

import (
	"context"
	"runtime"
	"time"

	"portcullis.dev/pkg/fault"
)

const maxWaiting = 64 // for a turn; more are told to come back

// Pool hashes passwords, so few at a time that no flood of sign-ins can exhaust the memory. Those who
// come from where they have signed in before have a turn of their own: strangers can't keep them waiting.
type Pool struct {
	strangers, known turns
	decoy            string
}

// turns lets a few work and some more wait.
type turns struct {
	work chan struct{}
	wait chan struct{}
}

func newTurns(n int) turns {
	return turns{work: make(chan struct{}, n), wait: make(chan struct{}, n+maxWaiting)}
}

// NewPool answers a pool for this machine.
func NewPool() *Pool {
	return &Pool{
		strangers: newTurns(max(1, runtime.GOMAXPROCS(0)-1)), known: newTurns(1),
		decoy: hash("nobody has this password"),
	}
}

// Verify reports whether the password is the one that was hashed. Without a hash it takes as long and
// answers no. Whether the attempt may still be made is asked when its turn has come: those before it may
// have used up what was left.
func (p *Pool) Verify(ctx context.Context, password, phc string, known bool, may func() error) (bool, error) {
	t := &p.strangers
	if known {
		t = &p.known
	}
	if err := t.take(ctx); err != nil {
		return false, err
	}
	defer t.give()
	if err := may(); err != nil {
		return false, err
	}
	if phc == "" {
		_, err := matches(password, p.decoy)
		return false, err
	}
	return matches(password, phc)
}

// Hash answers the hash of a new password.
func (p *Pool) Hash(ctx context.Context, password string) (string, error) {
	if err := p.known.take(ctx); err != nil {
		return "", err
	}
	defer p.known.give()
	return hash(password), nil
}

func (t *turns) take(ctx context.Context) error {
	select {
	case t.wait <- struct{}{}:
	default:
		busy := fault.New(fault.ResourceExhausted, "Too many are signing in at this moment. Try again in a few seconds")
		busy.RetryAfter = 2 * time.Second
		return busy
	}
	select {
	case t.work <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-t.wait
		return ctx.Err()
	}
}

func (t *turns) give() {
	<-t.work
	<-t.wait
}
