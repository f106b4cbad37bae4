// Package postgres carries people's PostgreSQL sessions to servers. It signs in at the server with the
// device's credential, so that nobody else has it, relays whole messages, so that a person who is cut off
// can be told why, and then sees to it that the server's backend is really gone: what it needs for that is
// on disk before anything is relayed, and outlives this process.
package postgres

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// Protocol is what sessions here are registered as.
const Protocol = "POSTGRES"

// loginGrace is how long somebody has to prove who they are: psql asks its user before it connects.
const loginGrace = 30 * time.Second

// Config is what a door must be told.
type Config struct {
	// TLS is what it shows of itself.
	TLS *tls.Config
	// Plain takes people who ask for no TLS, too.
	Plain bool
	// Dir is the folder of the backends that are open.
	Dir string
}

// Deps is what a door works with.
type Deps struct {
	Connector *connector.Connector
	Identity  identityv1.DoorsClient
	// Login reads who and where to out of a user name.
	Login func(name string) (user, device string, err error)
	// Resolve answers a device and its credential. A refusal is an error whose text the person may read.
	Resolve func(ctx context.Context, device string) (*gatev1.Device, *gatev1.Credential, error)
	Log     *slog.Logger
}

// Door is where people come in.
type Door struct {
	config Config
	deps   Deps
	reaper *reaper

	mu   sync.Mutex
	keys map[key]*session
}

// New answers a door, through which nobody comes yet.
func New(c Config, d Deps) *Door {
	return &Door{config: c, deps: d, reaper: newReaper(c.Dir, d.Resolve, d.Log), keys: map[key]*session{}}
}

// Resume ends what another process has left open in this folder.
func (d *Door) Resume() { d.reaper.resume() }

// Close lets ends that are under way come to their end, for a moment. What is left then stays on disk, for Resume.
func (d *Door) Close() { d.reaper.close() }

// Serve serves a connection from its first byte to its last. It calls proven once it knows who it is; until
// then the connection counts among those of whom that is not known.
func (d *Door) Serve(ctx context.Context, raw net.Conn, proven func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := raw.SetDeadline(time.Now().Add(loginGrace)); err != nil {
		return
	}
	person, first, err := d.config.greet(raw)
	if err != nil {
		d.turnAway(ctx, raw, person, err)
		return
	}
	if first.cancels != nil {
		d.cancel(ctx, *first.cancels)
		return
	}
	who, err := d.prove(ctx, person, first)
	if err != nil {
		d.turnAway(ctx, raw, person, err)
		return
	}
	proven()
	s := d.session(raw, person, first, cancel)
	live, err := d.deps.Connector.Open(ctx, connector.Request{
		User: who.user, Device: who.device, Protocol: Protocol, Address: address(raw), End: s.end,
	})
	if err != nil {
		d.refuse(ctx, raw, person, err)
		return
	}
	defer live.Close()
	s.carry(ctx, who, live)
}

// Live is a session as its connector has it, or a part of it.
type Live interface {
	ID() string
	// Admit decides again, before the first byte.
	Admit(ctx context.Context) error
	EndNow(cause, reason string)
}

// turnAway hangs up on somebody who has not come as far as to ask for a session: with the reason, if there is
// one for them. Most others are port scans, health checks, and psql before it asks for the password.
func (d *Door) turnAway(ctx context.Context, raw, person net.Conn, err error) {
	if fault.Is(err, fault.Internal) {
		d.deps.Log.DebugContext(ctx, "somebody was not let in", "address", address(raw), "error", err)
		_ = raw.Close()
		return
	}
	d.refuse(ctx, raw, person, err)
}

// refuse says why not, and hangs up.
func (d *Door) refuse(ctx context.Context, raw, person net.Conn, err error) {
	refusal := fault.From(err)
	d.deps.Log.InfoContext(ctx, "a PostgreSQL session was refused", "address", address(raw), "reason", refusal.Reason, "error", err)
	_ = raw.SetDeadline(time.Now().Add(farewell))
	_, _ = person.Write(fatal(stateOf(refusal.Reason), refusal.Message))
	hangUp(raw, nil)
}

func address(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}
