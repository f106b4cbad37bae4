package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/internal/watch"
)

const (
	usual = 4 << 20  // bytes of a message
	large = 32 << 20 // of one that carries a directory
)

// View is what a server decides on: a *watch.Watcher.
type View interface {
	State() *watch.State
	Subscribe() (changed <-chan struct{}, stop func())
}

// Config is what a server needs.
type Config struct {
	// Service is whose rows of the table it serves.
	Service string
	View    View
	Texts   emergency.Texts
	// Credentials say which service is on the other end: Pipes.Credentials or TLS.Server.
	Credentials credentials.TransportCredentials
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

// Server serves one service's methods to those whom the table lets in.
type Server struct {
	config Config
}

// NewServer answers a server that Serve starts.
func NewServer(c Config) (*Server, error) { return &Server{config: c}, nil }

// RegisterService adds a generated service; see Serve for methods without a row.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {}

// Serve answers calls until the context ends. It refuses to start with a method that has no row.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return fmt.Errorf("serving %s: not there yet", s.config.Service)
}
