package run

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // images have no zones

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
	"google.golang.org/grpc"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/telemetry"
)

const bootstrapAgain = 200 * time.Millisecond

const defaultNATS = "nats://127.0.0.1:4222"

// Main runs one service in a process of its own, and ends the process when it is over.
func Main(e Entry) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := alone(ctx, e, os.Args[1:], os.Environ())
	if errors.Is(err, pflag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", e.Name, err)
		os.Exit(1)
	}
}

func alone(ctx context.Context, e Entry, args, environ []string) error {
	all := defaults(apart{Listen: "127.0.0.1:7443", Health: "127.0.0.1:7480", NATS: defaultNATS}, []Entry{e})
	set := pflag.NewFlagSet(e.Name, pflag.ContinueOnError)
	flags(set, all)
	if err := set.Parse(args); err != nil {
		return err
	}
	s, err := load(set, environ, all)
	if err != nil {
		return err
	}
	g, own, err := network(ctx, s, e, environ)
	if err != nil {
		return err
	}
	defer g.export.Close()
	defer roomy()()
	parts, ctx := errgroup.WithContext(ctx)
	if own.Health != "" {
		parts.Go(func() error { return g.health.serve(ctx, own.Health, g.registry) })
	}
	if own.Holds != "" {
		parts.Go(func() error { return g.doorstep.serve(ctx, own.Holds) })
	}
	parts.Go(func() error { return g.life(ctx, e) })
	return parts.Wait()
}

// network is the ground of a process with one service.
func network(ctx context.Context, s *Settings, e Entry, environ []string) (*ground, apart, error) {
	own := apart{}
	if err := s.Decode(&own); err != nil {
		return nil, own, err
	}
	log, err := newLog(os.Stderr, s.process)
	if err != nil {
		return nil, own, err
	}
	certificate, err := rpc.OpenTLS(rpc.TLSConfig{Cert: own.TLSCert, Key: own.TLSKey, CA: own.TLSCA})
	if err != nil {
		return nil, own, fmt.Errorf("services know each other by their certificates (tls-cert, tls-key, tls-ca): %w", err)
	}
	export, err := telemetry.Open(ctx, environ, log)
	if err != nil {
		return nil, own, err
	}
	return &ground{
		settings: s, log: log, export: export, registry: newRegistry(), health: newHealth([]string{e.Name}, nil), keys: seal.Open(own.Keys),
		credentials: certificate.Server(), instance: own.instance,
		journal: func(ctx context.Context, service string) (*journal.Journal, error) {
			c := own.natsConfig(service, certificate)
			c.Log, c.Trace = log, export.Of(service, own.instance(service))
			return journal.Connect(ctx, c)
		},
		dial: func(from, to string) (*grpc.ClientConn, error) {
			return certificate.Dial(to, own.peer(to), export.Of(from, own.instance(from)).DialOptions()...)
		},
		replicas: func(ctx context.Context, service string) []string { return resolved(ctx, own.peer(service)) },
		dialAt: func(service, address string) (*grpc.ClientConn, error) {
			return certificate.Dial(service, "passthrough:///"+address, export.Of(e.Name, own.instance(e.Name)).DialOptions()...)
		},
		holds: func(string) string { return own.Holds }, memory: own.memory, doorstep: newDoorstep(),
		listen: func(string) (net.Listener, error) { return net.Listen("tcp", own.Listen) },
	}, own, nil
}

func (a apart) natsConfig(user string, certificate *rpc.TLS) journal.Config {
	c := journal.Config{URL: a.NATS, User: cmp.Or(a.NATSUser, user), Password: a.NATSPassword, Name: a.instance(user), AssumeSynced: a.NATSSynced}
	if a.NATSTLS {
		c.TLS = certificate.Config(hosts(a.NATS)...)
	}
	return c
}

// memory is in the folder of holds. What only this service has proves that it is its own: its password, or its key.
func (a apart) memory(service string) (file string, key []byte, err error) {
	if a.Holds == "" {
		return "", nil, nil
	}
	secret := []byte(a.NATSPassword)
	if len(secret) == 0 {
		if secret, err = os.ReadFile(a.TLSKey); err != nil {
			return "", nil, fmt.Errorf("reading the key of this service: %w", err)
		}
	}
	key, err = hkdf.Key(sha256.New, secret, nil, "portcullis memory "+service, sha256.Size)
	return filepath.Join(a.Holds, "known-"+service), key, err
}

// hosts are those of addresses by commas, nats://host:port.
func hosts(addresses string) []string {
	var all []string
	for address := range strings.SplitSeq(addresses, ",") {
		if u, err := url.Parse(strings.TrimSpace(address)); err == nil {
			all = append(all, u.Hostname())
		}
	}
	return all
}

// peer is where a service is: as told, or by its name.
func (a apart) peer(service string) string {
	if address := a.Peers[service]; address != "" {
		return address
	}
	return "dns:///" + service + ":7443"
}

// instance is this replica's name.
func (a apart) instance(service string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "1"
	}
	if a.Instance == "" && strings.HasPrefix(host, service) {
		return host // a pod's name says it all
	}
	return cmp.Or(a.Instance, service+"-"+strings.ReplaceAll(host, ".", "-"))
}

// Bootstrap makes the streams on NATS servers, each entry on so many of them, with the one credential that
// may: what the all-in-one does by itself. The environment says where, as it does to a service.
func Bootstrap(ctx context.Context, environ []string, replicas int) error {
	connect, err := natsFrom(environ)
	if err != nil {
		return err
	}
	for { // servers that have just started don't know each other yet
		err := create(ctx, connect, replicas)
		if err == nil || errors.Is(err, journal.ErrUnsafe) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(bootstrapAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// natsFrom connects to NATS servers as the environment says, as it does to a service.
func natsFrom(environ []string) (func(ctx context.Context, user string) (*journal.Journal, error), error) {
	s, err := load(nil, environ, defaults(apart{NATS: defaultNATS}, nil))
	if err != nil {
		return nil, err
	}
	own := apart{}
	if err := s.Decode(&own); err != nil {
		return nil, err
	}
	var certificate *rpc.TLS
	if own.NATSTLS {
		if certificate, err = rpc.OpenTLS(rpc.TLSConfig{Cert: own.TLSCert, Key: own.TLSKey, CA: own.TLSCA}); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, user string) (*journal.Journal, error) {
		return journal.Connect(ctx, own.natsConfig(user, certificate))
	}, nil
}

// newLog writes for people on a terminal, for machines elsewhere.
func newLog(to *os.File, p process) (*slog.Logger, error) {
	format := p.LogFormat
	if format == "" && term.IsTerminal(int(to.Fd())) {
		format = "text"
	}
	return logTo(to, format, p.LogLevel)
}

func logTo(to io.Writer, format, level string) (*slog.Logger, error) {
	var o slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("reading the configuration: log-level: %w", err)
	}
	o.Level = l
	switch format {
	case "text":
		return slog.New(telemetry.Log(slog.NewTextHandler(to, &o))), nil
	case "", "json":
		return slog.New(telemetry.Log(slog.NewJSONHandler(to, &o))), nil
	}
	return nil, fmt.Errorf("reading the configuration: log-format: %q is neither text nor json", format)
}
