package gate

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/access-gate/driver"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
)

// Settings are the gate's own configuration.
type Settings struct {
	// SPOE is where HAProxy asks; empty is nowhere.
	SPOE string `koanf:"spoe" help:"where HAProxy's filter spoe may ask, host:port; empty for nowhere"`
	// The certificate is for HAProxy on another machine.
	Cert string `koanf:"spoe-tls-cert" help:"the file of the certificate that HAProxy is shown; without it only a loopback address will do"`
	Key  string `koanf:"spoe-tls-key" help:"the file of that certificate's key"`
	// Driver is about a cluster that is kept as the emergencies are.
	Driver driver.Settings `koanf:",squash,flatten"`
}

// Entry is the gate as a process knows it.
func Entry() run.Entry {
	return run.Entry{Name: "access-gate", Start: Start, Config: Settings{Driver: driver.Defaults()}, Vital: true, Directory: true}
}

// Config is what the gate must be told.
type Config struct {
	// Sealer seals device credentials for the bastion.
	Sealer seal.Sealer
	Texts  emergency.Texts
	// HAProxy opens the port where HAProxy asks; nil is none.
	HAProxy func() (net.Listener, error)
}

// Deps is what the gate works with.
type Deps struct {
	Journal  *journal.Journal
	Watch    *watch.Watcher
	Acts     emergencyv1.ActsClient
	Users    identityv1.DoorsClient
	Bastions sessionv1.BastionsClient
	// Enforce tells what this gate holds, until the context ends.
	Enforce func(ctx context.Context) error
	// Drive keeps other products as the emergencies are, until the context ends. Optional.
	Drive func(ctx context.Context) error
	// Instance tells this gate from the others.
	Instance string
	// Attempts is told who was refused, and run. Optional.
	Attempts *attempt.Recorder
	Now      func() time.Time
	Log      *slog.Logger
}

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	var settings Settings
	if err := h.Decode(&settings); err != nil {
		return nil, fmt.Errorf("reading the gate's configuration: %w", err)
	}
	cluster, err := driver.New(settings.Driver, driver.Deps{
		View: h.Watch, Texts: h.Texts, Instance: h.Instance, Boot: h.Boot, Beat: h.Journal.Beat, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	haproxy, err := settings.listener(h.Listen)
	if err != nil {
		return nil, err
	}
	sealer, err := h.Keys.Sealer()
	if err != nil {
		return nil, fmt.Errorf("reading the key that seals credentials: %w", err)
	}
	control, err := h.Dial("emergency-control")
	if err != nil {
		return nil, err
	}
	identity, err := h.Dial("identity")
	if err != nil {
		return nil, err
	}
	bastion, err := h.Dial("bastion")
	if err != nil {
		return nil, err
	}
	attempts, err := attempt.New(attempt.Deps{Journal: h.Journal, Metrics: h.Metrics, Instance: h.Instance, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	return New(Config{Sealer: sealer, Texts: h.Texts, HAProxy: haproxy}, Deps{
		Journal: h.Journal, Watch: h.Watch, Instance: h.Instance, Now: h.Now, Log: h.Log, Attempts: attempts, Drive: cluster.Run,
		Enforce: func(ctx context.Context) error { return h.Enforce(ctx, nil) },
		Acts:    emergencyv1.NewActsClient(control), Users: identityv1.NewDoorsClient(identity), Bastions: sessionv1.NewBastionsClient(bastion),
	}), nil
}

// listener answers what opens HAProxy's port, nil for none. HAProxy's token goes over a network under TLS only.
func (s Settings) listener(listen func(network, address string) (net.Listener, error)) (func() (net.Listener, error), error) {
	if s.SPOE == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(s.SPOE)
	if err != nil {
		return nil, fmt.Errorf("spoe: %q must be host:port: %w", s.SPOE, err)
	}
	if (s.Cert == "") != (s.Key == "") {
		return nil, fmt.Errorf("spoe-tls-cert and spoe-tls-key go together: set both, or none")
	}
	at := net.ParseIP(host)
	if s.Cert == "" && host != "localhost" && (at == nil || !at.IsLoopback()) {
		return nil, fmt.Errorf("spoe: HAProxy sends its token to %s, which takes TLS: set spoe-tls-cert and spoe-tls-key, or a loopback address", s.SPOE)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(s.Cert, s.Key) // anew each time, for HAProxy connects seldom and certificates change
		return &c, err
	}}
	return func() (net.Listener, error) {
		l, err := listen("tcp", s.SPOE)
		if err != nil {
			return nil, fmt.Errorf("listening for HAProxy on %s: %w", s.SPOE, err)
		}
		if s.Cert != "" {
			l = tls.NewListener(l, config)
		}
		return l, nil
	}, nil
}
