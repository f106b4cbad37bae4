package rpc_test

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"portcullis.dev/services/internal/rpc"
)

func TestAProbeWithoutACertificateLearnsWhatIsLiveAndWhatIsReady(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	server := &http.Server{Protocols: new(http.Protocols), Handler: rpc.Probe(func() error { return <-waits })}
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = server.Close(); <-served })
	client := grpc_health_v1.NewHealthClient(conn)
	for _, c := range []struct {
		service string
		ready   error
		want    grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		{"ready", errors.New("waiting for identity"), grpc_health_v1.HealthCheckResponse_NOT_SERVING},
		{"ready", nil, grpc_health_v1.HealthCheckResponse_SERVING},
		{"", nil, grpc_health_v1.HealthCheckResponse_SERVING},
		{"live", nil, grpc_health_v1.HealthCheckResponse_SERVING},
	} {
		if c.service != "live" { // which must not ask
			waits <- c.ready
		}
		answer, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: c.service})
		if err != nil || answer.GetStatus() != c.want {
			t.Errorf("%q: %v %v, not %v", c.service, answer, err, c.want)
		}
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "no-such"}); status.Code(err) != codes.NotFound {
		t.Errorf("what nobody knows is %v", err)
	}
}
