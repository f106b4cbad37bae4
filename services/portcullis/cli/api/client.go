// Package api speaks Portcullis' REST to a server: who asks, what was answered, what was refused
// and whether it is known that nothing happened.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 30 * time.Second
	maxAnswer     = 64 << 20
	maxRefusal    = 1 << 20
)

// Config says which server, and who asks.
type Config struct {
	Address string
	// Token is a program's; without one the sign-in of the Store is used.
	Token string
	Store *Store
	Agent string
	Now   func() time.Time
}

// Client calls one server.
type Client struct {
	base  *url.URL
	token string
	store *Store
	agent string
	now   func() time.Time
	http  *http.Client
	skew  atomic.Int64 // nanoseconds that the server's clock is ahead
}

// New checks the address and calls nobody.
func New(c Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(c.Address, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("%q is not an address such as http://127.0.0.1:8080", c.Address)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: answerTimeout, ForceAttemptHTTP2: true,
	}
	// A redirect would carry the credential to somebody whom nobody has named.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, token: c.Token, store: c.Store, agent: c.Agent, now: c.Now,
		http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// Address is the server's, as it was given.
func (c *Client) Address() string { return c.base.String() }

// Now is the server's clock, as far as its last answer told.
func (c *Client) Now() time.Time { return c.now().Add(time.Duration(c.skew.Load())) }

// Request is one call.
type Request struct {
	Method, Path string
	Query        url.Values
	// Body is a proto message, Fields, or nil.
	Body any
	// Out takes the answer; nil drops it.
	Out proto.Message
	// Anonymous sends no credential.
	Anonymous bool
	// Once says that the body carries a request id: the same call twice is one effect.
	Once bool
}

// Fields is the body of a PATCH: only what it names changes.
type Fields map[string]any

// Do calls, and calls again while the connection is lost and calling again is safe.
func (c *Client) Do(ctx context.Context, r Request) error {
	body, err := encode(r.Body)
	if err != nil {
		return err
	}
	return c.persist(ctx, r, func() error { return c.once(ctx, r, body) })
}

func (c *Client) once(ctx context.Context, r Request, body []byte) error {
	bearer, err := c.credential(ctx, r)
	if err != nil {
		return err
	}
	return c.exchange(ctx, r, body, bearer)
}

func (c *Client) exchange(ctx context.Context, r Request, body []byte, bearer string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	answer, err := c.send(ctx, r, body, bearer)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return &Unreachable{Address: c.Address(), Sent: true, Cause: err}
	}
	if r.Out == nil {
		return nil
	}
	if err := Decode(text, r.Out); err != nil {
		return &Unreachable{Address: c.Address(), Sent: true, Cause: fmt.Errorf("what answers there is not Portcullis: %w", err)}
	}
	return nil
}

// send answers a response that is not a refusal.
func (c *Client) send(ctx context.Context, r Request, body []byte, bearer string) (*http.Response, error) {
	request, err := c.request(ctx, r, body, bearer)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, &Unreachable{Address: c.Address(), Sent: !atDial(err), Cause: plain(err)}
	}
	c.noteClock(answer)
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return nil, &Unreachable{Address: c.Address(), Sent: true, Cause: err}
	}
	return nil, c.refusal(answer, text)
}

func (c *Client) request(ctx context.Context, r Request, body []byte, bearer string) (*http.Request, error) {
	target := c.base.String() + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("preparing %s %s: %w", r.Method, r.Path, err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.agent)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return request, nil
}

// noteClock keeps how far the server's clock is off; the header has whole seconds only.
func (c *Client) noteClock(answer *http.Response) {
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := at.Sub(c.now())
	if skew.Abs() < 2*time.Second {
		skew = 0
	}
	c.skew.Store(int64(skew))
}

func encode(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case proto.Message:
		text, err := protojson.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		return text, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return text, nil
}

// Decode reads an answer. What a newer server adds is not an error.
func Decode(text []byte, into proto.Message) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
}
