package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
)

// key is what a client shows to cancel what its session does: ours, so that nobody ever has the server's.
type key struct{ pid, secret uint32 }

func (k key) bytes() []byte { return binary.BigEndian.AppendUint32(nil, k.secret) }

// lend gives a session a key that nobody can guess.
func (d *Door) lend(s *session) key {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		k := key{pid: binary.BigEndian.Uint32(random[:])&0x7fffffff | 1, secret: binary.BigEndian.Uint32(random[4:])}
		if _, taken := d.keys[k]; !taken {
			d.keys[k] = s
			return k
		}
	}
}

func (d *Door) takeBack(k key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, k)
}

// cancel passes a client's wish on, with the server's key. Whoever shows a wrong one learns nothing.
func (d *Door) cancel(ctx context.Context, k key) {
	d.mu.Lock()
	s := d.keys[k]
	d.mu.Unlock()
	if s == nil {
		return
	}
	if err := s.relay.server.record.cancel(ctx); err != nil {
		d.deps.Log.WarnContext(ctx, "a cancel request could not be passed on", "error", err)
	}
}
