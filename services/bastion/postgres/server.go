package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	dialWithin = 15 * time.Second
	// maxAtLogin bounds what a server may say at once before the relay begins.
	maxAtLogin = 1 << 20
)

// watchful has the server itself notice, in the middle of a statement, that nobody is there any more: the
// bastion's machine, for instance. Servers before PostgreSQL 14 don't know how; it is a second string.
const watchful = "set client_connection_check_interval = '1s'; set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3"

// since tells a backend from a later one with the same number: when it began, in microseconds.
const since = "(extract(epoch from backend_start) * 1000000)::pg_catalog.int8"

const whoIsThis = "select " + since + " from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()"

// backend is the server's side of a session.
type backend struct {
	conn   net.Conn // over TLS
	raw    net.Conn
	record record
	params map[string]string
	tx     byte
}

// dial signs in at the server, which has to show a certificate of the device's authorities for its host name.
func (d *Door) dial(ctx context.Context, name string, first startup) (*backend, *gatev1.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	device, credential, err := d.deps.Resolve(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if credential.GetPassword() == "" {
		return nil, nil, fault.New(fault.PermissionDenied, "The credential of %s is a key, and PostgreSQL takes a password. Ask an administrator to set one", name)
	}
	database := first.database
	if database == "" {
		database = credential.GetUsername()
	}
	b := &backend{record: record{Device: name, Host: device.GetHost(), Port: device.GetPort(), ServerCA: device.GetServerCa(), Database: database}}
	conn, err := b.record.connect(ctx, credential, first.settings, func(raw net.Conn) { b.raw = raw })
	if err != nil {
		return nil, nil, turnedDown(name, err)
	}
	if err := b.takeOver(ctx, conn); err != nil {
		_ = conn.Close(ctx) // the error says more
		return nil, nil, fault.New(fault.Unavailable, "%s does not answer as PostgreSQL does. Ask an administrator", name).Because(err)
	}
	return b, device, nil
}

// turnedDown says what the server said, for it may be about the database that was asked for.
func turnedDown(device string, err error) error {
	said := new(pgconn.PgError)
	switch {
	case errors.As(err, &said) && strings.HasPrefix(said.Code, "28"): // who signs in is nobody's business
		return fault.New(fault.Unavailable, "%s does not let the bastion in. Ask an administrator to check its credential", device).Because(err)
	case errors.As(err, &said):
		return fault.New(fault.Unavailable, "%s: %s", device, said.Message).Because(err)
	case certificate(err):
		return fault.New(fault.PermissionDenied, "%s shows a certificate that its authorities did not sign for its host name. Somebody may be in between: ask an administrator", device).Because(err)
	}
	return fault.New(fault.Unavailable, "%s does not answer, or without TLS. Ask whoever runs it", device).Because(err)
}

func certificate(err error) bool {
	wrong := new(tls.CertificateVerificationError)
	return errors.As(err, &wrong)
}

// takeOver learns how to find the backend again, and takes the connection out of the library's hands.
func (b *backend) takeOver(ctx context.Context, c *pgconn.PgConn) error {
	_, _ = c.Exec(ctx, watchful).ReadAll()
	if rows, err := c.Exec(ctx, whoIsThis).ReadAll(); err == nil && len(rows) == 1 && len(rows[0].Rows) == 1 {
		b.record.Since, _ = strconv.ParseInt(string(rows[0].Rows[0][0]), 10, 64)
	}
	if err := c.SyncConn(ctx); err != nil {
		return err
	}
	taken, err := c.Hijack()
	if err != nil {
		return err
	}
	b.conn, b.params, b.tx = taken.Conn, taken.ParameterStatuses, taken.TxStatus
	b.record.PID, b.record.Secret, b.record.Address = taken.PID, taken.SecretKey, b.raw.RemoteAddr().String()
	return nil
}

func (b *backend) close() { _ = b.raw.Close() }

// tls is how a server is known: by the device's authorities, or those that the system knows.
func (r record) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.Host}
	if r.ServerCA == "" {
		return c, nil
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM([]byte(r.ServerCA)) {
		return nil, fmt.Errorf("reading the authorities of %s: there is no certificate", r.Device)
	}
	return c, nil
}

// connect signs in. All that the library would take from its surroundings is said here.
func (r record) connect(ctx context.Context, credential *gatev1.Credential, settings map[string]string, dialled func(net.Conn)) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig("host=127.0.0.1 port=1 user=u password=p dbname=d sslmode=disable sslcertmode=disable sslnegotiation=postgres " +
		"target_session_attrs=any min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth='' connect_timeout=0")
	if err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	if config.TLSConfig, err = r.tls(); err != nil {
		return nil, err
	}
	config.Host, config.Port, config.Fallbacks = r.Host, uint16(r.Port), nil // #nosec G115 -- checked when the device was made
	config.User, config.Password, config.Database = credential.GetUsername(), credential.GetPassword(), r.Database
	config.RuntimeParams, config.MaxProtocolMessageBodyLen, config.ConnectTimeout = settings, maxAtLogin, 0
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.Address != "" { // that very one
			address = r.Address
		}
		raw, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil && dialled != nil {
			dialled(raw)
		}
		return raw, err
	}
	return pgconn.ConnectConfig(ctx, config)
}

// cancel asks the server to cancel what the backend does, which takes no signing in.
func (r record) cancel(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return fmt.Errorf("dialling to cancel: %w", err)
	}
	defer func() { _ = raw.Close() }()
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return err
	}
	config, err := r.tls()
	if err != nil {
		return err
	}
	if _, err := raw.Write([]byte{0, 0, 0, 8, asksForTLS >> 24, asksForTLS >> 16 & 0xff, asksForTLS >> 8 & 0xff, asksForTLS & 0xff}); err != nil {
		return fmt.Errorf("asking for TLS to cancel: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(raw, answer[:]); err != nil || answer[0] != 'S' {
		return errors.Join(errors.New("the server speaks no TLS to cancel over"), err)
	}
	server := tls.Client(raw, config)
	if _, err := server.Write(r.cancelRequest()); err != nil {
		return fmt.Errorf("writing a cancel request: %w", err)
	}
	drain(server) // it closes when it has done so
	return nil
}
