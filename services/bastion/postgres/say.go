package postgres

import (
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"portcullis.dev/pkg/fault"
)

// farewell is how long a peer has to take the reason why its session ends.
const farewell = 200 * time.Millisecond

// What PostgreSQL calls such an end (SQLSTATE).
const (
	adminShutdown    = "57P01"
	cannotConnectNow = "57P03"
	notAuthorized    = "28000"
	wrongPassword    = "28P01"
	notSupported     = "0A000"
)

// stateOf is the SQLSTATE of a refusal.
func stateOf(reason string) string {
	switch reason {
	case fault.Unauthenticated:
		return wrongPassword
	case fault.InvalidArgument:
		return notSupported
	case fault.Aborted:
		return adminShutdown
	case fault.PermissionDenied, fault.Locked, fault.LockedOut, fault.NotFound:
		return notAuthorized
	}
	return cannotConnectNow
}

// fatal is an error that ends a session, as a client reads it.
func fatal(state, message string) []byte {
	message = strings.ReplaceAll(message, "\x00", "") // which would end it
	return encoded(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: state, Message: message})
}

func encoded(messages ...pgproto3.BackendMessage) []byte {
	var all []byte
	for _, m := range messages {
		all, _ = m.Encode(all) // fails for what is longer than a message may be, and these are not
	}
	return all
}

// hangUp closes the connection so that what was written is read: the peer, which sees the end of it, closes
// too, and is not waited for any longer than it takes to say farewell. Whoever reads from it says when that
// has ended; nil if nobody does.
func hangUp(raw net.Conn, read <-chan struct{}) {
	late := time.AfterFunc(farewell, func() { _ = raw.Close() })
	defer late.Stop()
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		if read == nil {
			drain(raw)
		} else {
			select {
			case <-read:
			case <-time.After(farewell):
			}
		}
	}
	_ = raw.Close()
}

func drain(c net.Conn) {
	var waste [512]byte
	for {
		if _, err := c.Read(waste[:]); err != nil {
			return
		}
	}
}
