package postgres

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"portcullis.dev/pkg/fault"
)

// maxStartup is how long a first message may be: as long as PostgreSQL itself takes.
const maxStartup = 10000

// What stands where a first message has its protocol's version.
const (
	asksForTLS = 80877103
	asksForGSS = 80877104
	cancels    = 80877102
)

// startup is a first message: it asks for encryption, cancels, or says who it is.
type startup struct {
	asks    uint32 // asksForTLS or asksForGSS
	cancels *key
	user    string
	// database is empty for the usual one: that of the role's name.
	database string
	// settings are the session's, as psql sets application_name.
	settings map[string]string
	// newer is set by a client that speaks a later version than 3.0; unknown are the extensions that it asks for.
	newer   bool
	unknown []string
}

// readStartup reads a first message and not a byte more: TLS may follow.
func readStartup(r io.Reader) (startup, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return startup{}, fmt.Errorf("reading a first message: %w", err)
	}
	size, code := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	if size < 8 || size > maxStartup {
		return startup{}, fmt.Errorf("a first message of %d bytes is none of PostgreSQL's", size)
	}
	body := make([]byte, size-4)
	copy(body, head[4:])
	if _, err := io.ReadFull(r, body[4:]); err != nil {
		return startup{}, fmt.Errorf("reading a first message: %w", err)
	}
	switch code {
	case asksForTLS, asksForGSS:
		return startup{asks: code}, nil
	case cancels:
		if len(body) != 12 { // this door gives out no longer keys
			return startup{}, fmt.Errorf("a cancel request of %d bytes is none of ours", size)
		}
		return startup{cancels: &key{pid: binary.BigEndian.Uint32(body[4:]), secret: binary.BigEndian.Uint32(body[8:])}}, nil
	}
	return parseStartup(code, body)
}

func parseStartup(version uint32, body []byte) (startup, error) {
	if version>>16 != 3 {
		return startup{}, fault.New(fault.InvalidArgument, "Only version 3 of PostgreSQL's protocol is spoken here, not %d.%d", version>>16, version&0xffff)
	}
	// A client of a later 3.x is answered as the servers of 3.0 do, whatever its minor version.
	binary.BigEndian.PutUint32(body, pgproto3.ProtocolVersion30)
	message := new(pgproto3.StartupMessage)
	if err := message.Decode(body); err != nil {
		return startup{}, fmt.Errorf("reading a startup message: %w", err)
	}
	s := startup{settings: message.Parameters, newer: version&0xffff > 0, user: message.Parameters["user"], database: message.Parameters["database"]}
	if s.database == s.user { // what libpq says if nobody says anything
		s.database = ""
	}
	if s.settings["replication"] != "" {
		return startup{}, fault.New(fault.InvalidArgument, "Replication is not carried through the bastion")
	}
	for name := range s.settings {
		if strings.HasPrefix(name, "_pq_.") {
			s.unknown = append(s.unknown, name)
			delete(s.settings, name)
		}
	}
	slices.Sort(s.unknown)
	for _, ours := range []string{"user", "database", "replication"} {
		delete(s.settings, ours)
	}
	return s, nil
}

// greet answers what is asked about encryption, once each, and returns the connection to go on with and the
// message that says what for.
func (c Config) greet(conn net.Conn) (net.Conn, startup, error) {
	secure := false
	for asked := []uint32{}; ; {
		first, err := readStartup(conn)
		if err != nil {
			return conn, first, err
		}
		switch {
		case slices.Contains(asked, first.asks):
			return conn, first, fmt.Errorf("%d was asked twice", first.asks)
		case first.asks == asksForTLS && !secure && c.TLS != nil:
			over, err := secured(conn, c.TLS)
			if err != nil {
				return conn, first, err
			}
			conn, secure = over, true
		case first.asks != 0:
			if _, err := conn.Write([]byte("N")); err != nil {
				return conn, first, err
			}
		// Clients cancel in plain, even what runs over TLS: the key that they show is good for nothing else.
		case first.cancels == nil && !secure && !c.Plain:
			return conn, first, fault.New(fault.Unauthenticated, "This bastion takes PostgreSQL over TLS alone: set sslmode=require, or better verify-full")
		default:
			return conn, first, nil
		}
		asked = append(asked, first.asks)
	}
}

func secured(conn net.Conn, c *tls.Config) (net.Conn, error) {
	if _, err := conn.Write([]byte("S")); err != nil {
		return nil, err
	}
	over := tls.Server(conn, c)
	if err := over.Handshake(); err != nil {
		return nil, fmt.Errorf("agreeing on TLS: %w", err)
	}
	return over, nil
}

// negotiated says what of a client's wishes is not known here; nothing to a client without such.
func (s startup) negotiated() []byte {
	if !s.newer && len(s.unknown) == 0 {
		return nil
	}
	return encoded(&pgproto3.NegotiateProtocolVersion{UnrecognizedOptions: s.unknown})
}
