// Package registry is the index of live sessions: in memory for one process, in Redis for several replicas.
package registry

import (
	"context"
	"time"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// Kept is how long the session of a connector that can't be reached is remembered.
const Kept = 24 * time.Hour

// Store is the index of live sessions that the replicas of the broker share. It holds nothing that can't
// be built again from the connectors, decides nothing and ends nothing. An older attachment of a connector
// never overwrites what a newer one has put.
type Store interface {
	// Put keeps sessions of one connector, as they are now.
	Put(context.Context, Lease, []*sessionv1.Session) error
	// Renew moves their deadline, and answers the ids of those that are not there.
	Renew(context.Context, Lease, []string) (missing []string, err error)
	// Delete forgets sessions.
	Delete(context.Context, Lease, []string) error
}

// Index reads what a Store holds.
type Index interface {
	// Get answers one session by its id, of which there is one among all connectors.
	Get(ctx context.Context, id string) (Row, bool, error)
	// Range answers up to n sessions in the order of their keys, from after a key.
	Range(ctx context.Context, after string, n int) ([]Row, error)
	// Sweep forgets what was last renewed until before a moment, and answers how many that were.
	Sweep(ctx context.Context, before time.Time) (int, error)
}

// Lease is how long an attachment of a connector vouches for its sessions.
type Lease struct {
	Connector  string
	Generation uint64
	// Deadline is until when; afterwards they are still there, and nobody knows how they are.
	Deadline time.Time
}

// Row is one session in the index.
type Row struct {
	Session  *sessionv1.Session
	Deadline time.Time
}

// Key is the row's place in the order.
func (r Row) Key() string { return Key(r.Session.GetConnector(), r.Session.GetId()) }

// Key puts the sessions of one connector side by side. Neither part has a slash in it.
func Key(connector, id string) string { return connector + "/" + id }
