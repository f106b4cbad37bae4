package rpc

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Probe answers grpc.health.v1 to whoever has no certificate of ours, as those who probe a container have
// none: "live" is that the process answers at all, "ready" (and "") that ready answers nil. It is for a
// server of HTTP/2 in the clear.
func Probe(ready func() error) http.Handler {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(4<<10), grpc.ConnectionTimeout(10*time.Second))
	grpc_health_v1.RegisterHealthServer(s, probe{ready: ready})
	return s
}

type probe struct {
	grpc_health_v1.UnimplementedHealthServer
	ready func() error
}

func (p probe) Check(_ context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	serving := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
	switch r.GetService() {
	case "live":
		return serving, nil
	case "", "ready":
		if p.ready() == nil {
			return serving, nil
		}
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return nil, status.Error(codes.NotFound, "ask for live or ready")
}
