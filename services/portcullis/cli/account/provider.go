package account

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/app"
)

// providerLife is how long a browser may take; the server's own flow lives as long.
const providerLife = 10 * time.Minute

// enterByProvider signs in by way of a browser on this very machine, which the provider sends back to a port of the
// loopback (RFC 8252). What was begun is held here: a code that somebody else catches there is of no use to them.
func (c account) enterByProvider(ctx context.Context, port uint16, code string) (*identityv1.SignIn, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("waiting for the browser: %w. Name another port with --port", err)
	}
	defer listener.Close()
	begun, err := c.Client().BeginProviderSignIn(ctx, uint32(listener.Addr().(*net.TCPAddr).Port))
	if err != nil {
		return nil, err
	}
	c.Term.Note("Open this in a browser on this machine, and sign in there (Ctrl-C gives up):\n\n  %s\n", begun.GetLocation())
	at, err := url.Parse(begun.GetLocation())
	if err != nil {
		return nil, fmt.Errorf("reading where to sign in: %w", err)
	}
	answer, err := await(ctx, listener, at.Query().Get("state"))
	if err != nil {
		return nil, err
	}
	answer.Flow = begun.GetFlow()
	done, err := c.Client().FinishProviderSignIn(ctx, answer)
	if err != nil || done.GetSignIn() != nil {
		return done.GetSignIn(), err
	}
	complete := func(code string) (*identityv1.SignIn, error) {
		return c.Client().CompleteProviderSignIn(ctx, &identityv1.CompleteProviderSignInRequest{Flow: done.GetFlow(), Code: code})
	}
	if code != "" {
		return complete(code)
	}
	return c.askCode(complete)
}

// await takes the first answer to what was begun that a browser brings, and tells its reader where to go on.
func await(ctx context.Context, listener net.Listener, state string) (*identityv1.FinishProviderSignInRequest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, providerLife, app.Usagef("nobody came back from the provider within %s; begin again", providerLife))
	defer cancel()
	brought := make(chan *identityv1.FinishProviderSignInRequest, 1)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /finish", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if q.Get("state") != state { // any page can send a browser here
			http.Error(w, "This is not the sign-in that was begun in the terminal.", http.StatusBadRequest)
			return
		}
		select {
		case brought <- &identityv1.FinishProviderSignInRequest{Code: q.Get("code"), State: q.Get("state"), Error: q.Get("error"), Issuer: q.Get("iss")}:
			fmt.Fprintln(w, "Go on in the terminal. You can close this page.\n\nContinue no terminal. Esta página pode ser fechada.")
		default: // a page that is loaded again brings nothing new
		}
	})
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()
	select {
	case answer := <-brought:
		return answer, server.Shutdown(ctx) // once the browser has its page
	case err := <-served:
		return nil, fmt.Errorf("waiting for the browser: %w", err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
