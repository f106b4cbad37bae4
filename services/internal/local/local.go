// Package local is the NATS server inside this process: for the all-in-one and
// for tests, and for nobody else. A cluster is somebody else's to run.
//
// The store always syncs before it acknowledges, but for a restore, which
// promises nothing before its end: without it a power cut loses what was just
// promised (measured: all of it). The server lets its users ask how it stores
// and whether it still can: two questions of the system account are lent to
// them, and package journal refuses a server that does not answer.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"portcullis.dev/services/internal/journal"
)

const (
	readyIn     = 10 * time.Second // once the store is recovered
	healthEvery = time.Second
	illFor      = 3       // checks in a row
	againFor    = 3       // starts that made nothing well
	minRoom     = 4 << 20 // bytes
	maxPayload  = 1 << 20
	maxStore    = 1 << 50   // more than a disk has: a bound from what is free at the start refuses the streams of before
	maxMemory   = 256 << 20 // of memory streams; what is in them takes some KiB: a bound on mistakes
)

// Config says where the data lives and who may come in.
type Config struct {
	Dir    string // made when missing; one server at a time holds it
	Listen string // "" listens nowhere and serves this process only; else host:port
	Users  []User // none: whoever reaches the server may do everything
	// Restoring is for a folder that nobody relies on before its maker has
	// stopped the server and synced all files: entry by entry takes hours.
	Restoring bool
	Log       *slog.Logger
}

// User is one credential and the subjects that it may publish and subscribe
// to. An empty list allows nothing; ">" allows everything.
type User struct {
	Name, Password     string
	Publish, Subscribe []string
}

// Server is a running NATS server with JetStream.
type Server struct {
	config Config
	lock   *os.File

	mu   sync.Mutex
	nats *server.Server
}

// Start runs a server and returns when clients may connect. The caller ends it
// with Shutdown.
func Start(c Config) (*Server, error) {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	s, err := start(options, c.Log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded NATS server in %s: %w", c.Dir, err), lock.Close())
	}
	return &Server{config: c, nats: s, lock: lock}, nil
}

// accounts lends the users two questions of the system account, and no more of
// it. It is there before anyone can connect.
const accounts = `
accounts {
  SYS { exports = [
    { service: "$SYS.REQ.SERVER.PING.JSZ",     response_type: stream, accounts: [PORTCULLIS] }
    { service: "$SYS.REQ.SERVER.PING.HEALTHZ", response_type: stream, accounts: [PORTCULLIS] } ] }
  PORTCULLIS { jetstream: enabled, imports = [
    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" },     to: "` + journal.Servers + `" }
    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.HEALTHZ" }, to: "` + journal.Health + `" } ] }
}
system_account: SYS
`

func (c Config) options() (*server.Options, error) {
	o := &server.Options{}
	if err := o.ProcessConfigString(accounts); err != nil {
		return nil, fmt.Errorf("reading the accounts: %w", err)
	}
	o.ServerName, o.NoSigs, o.DisableJetStreamBanner = "embedded", true, true
	o.JetStream, o.StoreDir, o.SyncAlways = true, c.Dir, !c.Restoring
	o.JetStreamMaxMemory, o.JetStreamMaxStore = maxMemory, maxStore
	o.MaxPayload, o.DontListen = maxPayload, c.Listen == ""
	if c.Listen != "" {
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("reading the address to listen on: %w", err)
		}
		if o.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("reading the port to listen on: %w", err)
		}
		o.Host, o.Port = host, cmp.Or(o.Port, server.RANDOM_PORT)
	}
	return o, c.letIn(o)
}

// letIn adds the users; without any, whoever comes may do everything.
func (c Config) letIn(o *server.Options) error {
	account := o.Accounts[slices.IndexFunc(o.Accounts, func(a *server.Account) bool { return a.Name == "PORTCULLIS" })]
	if len(c.Users) == 0 {
		o.Users, o.NoAuthUser = []*server.User{{Username: "anyone", Account: account}}, "anyone"
	}
	for _, u := range c.Users {
		user, err := u.nats()
		if err != nil {
			return fmt.Errorf("adding the user %s: %w", u.Name, err)
		}
		user.Account = account
		o.Users = append(o.Users, user)
	}
	return nil
}

// nats keeps no password in clear; the lowest cost does, for they are random
// and never leave the process.
func (u User) nats() (*server.User, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(u.Password), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	return &server.User{Username: u.Name, Password: string(hash), Permissions: &server.Permissions{
		Publish: only(u.Publish), Subscribe: only(u.Subscribe),
	}}, nil
}

// only allows these subjects. To NATS an empty list of allowed means all.
func only(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}

func start(o *server.Options, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	logger := &logger{log: log}
	s.SetLogger(logger, false, false)
	s.Start()
	if err := logger.fatal(); err != nil {
		stop(s)
		return nil, err
	}
	if !s.ReadyForConnections(readyIn) {
		stop(s)
		return nil, errors.New("not ready in time")
	}
	return s, nil
}

// InProcess is how this process connects without a socket.
func (s *Server) InProcess() nats.InProcessConnProvider { return s }

// InProcessConn connects to the server that runs now.
func (s *Server) InProcessConn() (net.Conn, error) { return s.now().InProcessConn() }

// URL is where others connect; it leads nowhere when Listen was empty.
func (s *Server) URL() string { return s.now().ClientURL() }

func (s *Server) now() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nats
}

// Run blocks until ctx ends, and then returns nil, or until the store fails for good. After a write that failed (a
// full disk) a stream takes nothing more until the server is started anew, even when there is room again: Run does
// that, once there is. Until then the server serves what it has, and whoever asks it is told that it stores nothing.
// One bad answer alone may only be a busy machine's, and a start that failed the disk's, which may have filled up again.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	ill, again := 0, 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		health := s.now().Healthz(nil)
		if health.Error == "" {
			ill, again = 0, 0
			continue
		}
		if ill++; ill < illFor {
			continue
		}
		if !room(s.config.Dir) {
			again = 0
			if ill == illFor {
				s.config.Log.ErrorContext(ctx, "the disk of the journal is full: nothing new is taken until there is room", "folder", s.config.Dir, "error", health.Error)
			}
			continue
		}
		if again++; again > againFor {
			return fmt.Errorf("storing in the embedded NATS server: %s", health.Error)
		}
		s.config.Log.WarnContext(ctx, "the embedded NATS server stores nothing, and is started anew", "error", health.Error)
		if err := s.restart(); err != nil {
			s.config.Log.ErrorContext(ctx, "the embedded NATS server did not start; trying again", "error", err)
			continue
		}
		ill = 0
	}
}

// restart replaces the server by one on the same folder and port. Who was connected comes back.
func (s *Server) restart() error {
	options, err := s.config.options()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.nats.Addr().(*net.TCPAddr); ok {
		options.Port = at.Port
	}
	stop(s.nats)
	next, err := start(options, s.config.Log)
	if err != nil {
		return fmt.Errorf("starting the embedded NATS server in %s anew: %w", s.config.Dir, err)
	}
	s.nats = next
	return nil
}

// room reports whether the disk takes what a server needs to start and to go on for a while.
func room(dir string) bool {
	f, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return false
	}
	_, err = f.Write(make([]byte, minRoom))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())) == nil
}

// Shutdown stops the server and returns when its files are closed.
func (s *Server) Shutdown() {
	stop(s.now())
	_ = s.lock.Close() // nothing was written to it
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- the folder that the configuration names
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s, is another server running there? %w", dir, err), f.Close())
	}
	return f, nil
}
