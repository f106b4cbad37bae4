package proof

import (
	"maps"
	"sync"
	"time"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// Every attempt costs a hash, so that this many don't come together while they count.
const maxAttempts = 200_000

// Attempts counts wrong passwords, in memory: a soft layer, in each replica its own. Who comes from an
// address where that user has signed in before has an allowance apart, which no stranger can use up.
type Attempts struct {
	mu   sync.Mutex
	rows map[attempt]*identityv1.Allowance
}

// attempt is whose allowance it is: a user's from one known address, a user's from all the others, or an
// address's, which is all that counts where nobody has said who they are.
type attempt struct{ user, address string }

// NewAttempts answers an empty count.
func NewAttempts() *Attempts { return &Attempts{rows: map[attempt]*identityv1.Allowance{}} }

func keys(user, address string, known bool) []attempt {
	if known {
		return []attempt{{user, address}}
	}
	if user == "" {
		return []attempt{{address: address}}
	}
	return []attempt{{user: user}, {address: address}}
}

// Check refuses while it is locked.
func (a *Attempts) Check(user, address string, known bool, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range keys(user, address, known) {
		if err := Locked(a.rows[k], now); err != nil {
			return err
		}
	}
	return nil
}

// Fail counts a wrong password.
func (a *Attempts) Fail(user, address string, known bool, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	for _, k := range keys(user, address, known) {
		row := a.rows[k]
		if row == nil {
			row = &identityv1.Allowance{}
			a.rows[k] = row
		}
		if k.user == "" {
			fail(row, addressTries, now)
		} else {
			Fail(row, now)
		}
	}
}

// Clear forgets, after a right one, what that user has used up there. The address's own failures stay.
func (a *Attempts) Clear(user, address string, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.rows, keys(user, address, known)[0])
}

// sweep makes room: first what no longer matters, then whatever comes first.
func (a *Attempts) sweep(now time.Time) {
	if len(a.rows) < maxAttempts {
		return
	}
	maps.DeleteFunc(a.rows, func(_ attempt, r *identityv1.Allowance) bool {
		return now.Sub(r.GetLastTime().AsTime()) > longest
	})
	for k := range a.rows {
		if len(a.rows) < maxAttempts {
			return
		}
		delete(a.rows, k)
	}
}
