package people

import (
	"slices"
	"sync"
	"time"

	"portcullis.dev/services/internal/who"
)

// Present is who has signed in at this replica and could still be there: whose token has not expired. It
// is for a preview's eyes; nothing is decided by it.
type Present struct {
	mu      sync.Mutex
	signIns map[string]who.SignIn
	full    int // how many make it worth looking for those that are over
}

// Note takes a sign-in whose token was made or renewed.
func (p *Present) Note(in who.SignIn, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.signIns == nil {
		p.signIns = map[string]who.SignIn{}
	}
	if len(p.signIns) >= p.full {
		p.tidy(now)
		p.full = 2*len(p.signIns) + 1024
	}
	p.signIns[in.ID] = in
}

func (p *Present) tidy(now time.Time) {
	for id, in := range p.signIns {
		if !now.Before(in.Expires) {
			delete(p.signIns, id)
		}
	}
}

// Leave forgets a sign-in that is over.
func (p *Present) Leave(signIn string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.signIns, signIn)
}

// Users answers who is there, sorted, once for each sign-in. Those that over says are over are left out.
func (p *Present) Users(now time.Time, over func(who.SignIn) bool) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidy(now)
	var users []string
	for _, in := range p.signIns {
		if !over(in) {
			users = append(users, in.User)
		}
	}
	slices.Sort(users)
	return users
}
