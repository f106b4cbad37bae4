// Package journal keeps the facts: append under compare-and-set, replay, watch.
// It is the only package that says JetStream, and it knows bytes, no records.
//
// # What it promises
//
// An append that returned nil is on disk, on a majority of the disks if there
// are several, and no later write can take it away. An append that returned
// ErrUnknown may be there or not: read before answering. Every other error of
// an append means that nothing was stored. A watch delivers every entry once,
// in the order of the stream, for as long as its context lasts, whatever
// happens to the broker; when the journal no longer holds what was delivered,
// it says so (ErrDiverged) and never goes on from there.
//
// # What it asks of the server
//
// JetStream syncs every two minutes unless told otherwise, and acknowledges
// long before. Neither the stream, nor the account, nor the handshake tells a
// client which it is: only the monitoring of the system account does (JSZ and
// VARZ, as config.sync_always). A credential of the system account would be
// far too much to give to every service, so the system account lends the one
// question to ours, and the answer of every server that holds a copy of the
// stream is awaited before the stream opens. In the configuration of a server:
//
//	jetstream { store_dir: /data, sync_interval: always }
//	accounts {
//	  SYS { exports = [
//	    { service: "$SYS.REQ.SERVER.PING.JSZ",     response_type: stream, accounts: [PORTCULLIS] }
//	    { service: "$SYS.REQ.SERVER.PING.HEALTHZ", response_type: stream, accounts: [PORTCULLIS] } ] }
//	  PORTCULLIS { jetstream: enabled, imports = [
//	    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" },     to: "journal.servers" }
//	    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.HEALTHZ" }, to: "journal.health" } ] }
//	}
//	system_account: SYS
//
// Package local does the same for the server inside the process. Where a
// server cannot be made to answer, Config.AssumeSynced is the operator's word
// that it syncs, and the log says at every start that nobody checked.
//
// Not checked again while running: a server that comes back with another
// sync_interval is seen at the next start of a service.
package journal

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/telemetry"
)

const (
	reconnectWait   = 50 * time.Millisecond // the default of 2 s is how long a door would be blind
	reconnectJitter = 20 * time.Millisecond
	pingInterval    = time.Second // twice unanswered: the connection is given up
	pingsOut        = 2
	dialTimeout     = 2 * time.Second

	ackTimeout  = 5 * time.Second // of an append whose caller set no deadline
	readTimeout = 2 * time.Second // of one question to the server
)

// Config says which journal, and as whom.
type Config struct {
	URL       string                     // nats://host:4222, several by commas
	InProcess nats.InProcessConnProvider // instead of URL
	User      string                     // also names the inbox that Grants allows
	Password  string                     // empty: User is known by its certificate
	TLS       *tls.Config
	Name      string // of this process, for the server's own monitoring
	Log       *slog.Logger
	Trace     *telemetry.Tracer // of appends; nil makes none

	// AssumeSynced waives the check that the server syncs before it
	// acknowledges. It is the operator's word in the place of the server's.
	AssumeSynced bool
}

// Journal is one connection, shared by all streams. It reconnects for ever.
type Journal struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	link    *link
	log     *slog.Logger
	user    string
	assumed bool
	trace   *telemetry.Tracer
}

// Connect returns a journal whether or not the server is there yet: whoever
// restarts while it is away must come up and enforce what it last knew. What
// needs the server waits for it or says ErrUnavailable. An error is a mistake
// in the configuration, as a password that the server does not take; ctx bounds
// the first attempt.
func Connect(ctx context.Context, c Config) (*Journal, error) {
	if (c.URL == "") == (c.InProcess == nil) {
		return nil, errors.New("connecting to the journal: give either a URL or an in-process server")
	}
	j := &Journal{link: newLink(), log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), user: c.User, assumed: c.AssumeSynced, trace: c.Trace}
	options := append(c.options(ctx), j.callbacks()...)
	conn, err := nats.Connect(c.URL, options...)
	if err != nil && !errors.Is(err, nats.ErrAuthorization) {
		conn, err = nats.Connect(c.URL, append(options, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the journal: %w", err)
	}
	if conn.IsConnected() {
		j.link.set(true)
	}
	if j.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(readTimeout)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to the journal: %w", err)
	}
	j.conn = conn
	return j, nil
}

func (c Config) options(ctx context.Context) []nats.Option {
	timeout := dialTimeout
	if until, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(until)), time.Millisecond)
	}
	o := []nats.Option{
		nats.Name(c.Name), nats.Timeout(timeout),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsOut),
		// No buffer: what is published while disconnected fails at once instead
		// of being sent some time later, when nobody waits for it any more.
		nats.ReconnectBufSize(-1),
		nats.CustomInboxPrefix(inbox(c.User)),
	}
	if c.InProcess != nil {
		o = append(o, nats.InProcessServer(c.InProcess))
	}
	if c.Password != "" {
		o = append(o, nats.UserInfo(c.User, c.Password))
	}
	if c.TLS != nil {
		o = append(o, nats.Secure(c.TLS))
	}
	return o
}

// inbox is where the replies to a user arrive. Each has its own, so that no
// service hears the answers that another one reads its secrets from.
func inbox(user string) string {
	if user == "" {
		return nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	}
	return nats.InboxPrefix + user
}

func (j *Journal) callbacks() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(*nats.Conn) { j.link.set(true) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			j.link.set(true)
			j.log.Info("journal reconnected", "server", c.ConnectedServerName())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if j.link.set(false); err != nil {
				j.log.Warn("journal lost", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			j.log.Error("journal connection", "error", err)
		}),
	}
}

// Connected says whether there is a connection now. A frozen server counts as
// connected until two pings went unanswered; a watch notices sooner.
func (j *Journal) Connected() bool { return j.conn.IsConnected() }

// Close ends the connection for good. Watches end with their own contexts.
func (j *Journal) Close() {
	j.conn.Close()
	j.link.set(false)
}
