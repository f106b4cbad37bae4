// Package pace holds clients to so many calls a second, each by itself, in bounded memory.
package pace

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// sweepEvery is how often a full keeper looks for clients that have been quiet, which costs as much as there are.
const sweepEvery = time.Second

// Pace is how often one client may ask.
type Pace struct {
	PerSecond rate.Limit
	// Burst is how many may come at once, after a while without any.
	Burst int
}

// Keeper counts what each client has asked for. What it forgets, when there are too many, starts with a whole burst again:
// it is the quiet ones first, who have it anyway.
type Keeper[K comparable] struct {
	most  int
	mu    sync.Mutex
	rows  map[K]*rate.Limiter
	swept time.Time
}

// NewKeeper answers one that remembers so many clients at most.
func NewKeeper[K comparable](most int) *Keeper[K] {
	return &Keeper[K]{most: most, rows: map[K]*rate.Limiter{}}
}

// Take counts one call. It answers 0 if the client may make it, and otherwise when to try again; that call then counts for
// nothing.
func (k *Keeper[K]) Take(client K, p Pace, now time.Time) (wait time.Duration) {
	r := k.row(client, p, now).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (k *Keeper[K]) row(client K, p Pace, now time.Time) *rate.Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	row := k.rows[client]
	if row == nil {
		k.makeRoom(now)
		row = rate.NewLimiter(p.PerSecond, p.Burst)
		k.rows[client] = row
	}
	return row
}

func (k *Keeper[K]) makeRoom(now time.Time) {
	if len(k.rows) < k.most {
		return
	}
	if now.Sub(k.swept) >= sweepEvery {
		k.swept = now
		for client, row := range k.rows {
			if row.TokensAt(now) >= float64(row.Burst()) {
				delete(k.rows, client)
			}
		}
	}
	for client := range k.rows { // any
		if len(k.rows) < k.most {
			return
		}
		delete(k.rows, client)
	}
}

// Network is a client's address as limits count it: an IPv6 one stands for its /64, which one client may have whole. What
// is no address stands for itself.
func Network(address string) string {
	at, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if at = at.Unmap().WithZone(""); at.Is4() {
		return at.String()
	}
	network, err := at.Prefix(64)
	if err != nil {
		return address
	}
	return network.String()
}
