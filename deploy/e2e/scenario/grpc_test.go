package scenario

import (
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"portcullis.dev/deploy/e2e/client"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// grpc is a connection to the public gRPC address.
func (w *world) grpc() *grpc.ClientConn {
	w.Helper()
	c, err := grpc.NewClient(w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// token makes the credential of a program.
func (w *world) token(p *client.Person, channel string) client.Client {
	w.Helper()
	a := w.must(p.Call(http.MethodPost, "/v1/tokens", object{
		"name": strings.ToLower(channel) + "-" + requestID()[:8], "channel": channel,
	}))
	if a.Text("token") == "" {
		w.Fatalf("a new token reads %s", a)
	}
	return client.Client{Base: w.HTTP, Token: a.Text("token")}
}

// tokenID is the id within pct_<id>_<secret>.
func tokenID(token string) string {
	parts := strings.Split(token, "_")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// again signs an administrator in anew, whose sign-in a lockdown has ended.
func (w *world) again(p *client.Person) *client.Person {
	w.Helper()
	w.must(p.SignIn())
	return p
}

// asked is a stream of checks that was open before.
type asked struct{ failed <-chan error }

// checkStream opens a stream of checks and waits for its first answer.
func (w *world) checkStream(token string) asked {
	w.Helper()
	s, err := gatev1.NewAccessClient(w.grpc()).CheckStream(bearer(token))
	if err != nil {
		w.Fatal(err)
	}
	if err := s.Send(&gatev1.CheckRequest{Channel: gatev1.Channel_API}); err != nil {
		w.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		w.Fatalf("the first answer of a stream of checks: %v", err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := s.Recv()
		failed <- err
	}()
	return asked{failed}
}

func (s asked) err(patience time.Duration) error {
	select {
	case err := <-s.failed:
		return err
	case <-time.After(patience):
		return nil
	}
}
