package ticket

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// The kinds of ticket systems.
const (
	kindHTTP       = "http"
	kindServiceNow = "servicenow"
	kindJira       = "jira"
)

// The ways to prove who asks.
const (
	bearer = "bearer"
	basic  = "basic"
)

// longest is the most that an emergency waits for a ticket system.
const longest = 2 * time.Second

// Config says which ticket system there is. Its zero value is none.
type Config struct {
	System     string        `koanf:"ticket-system" help:"what governance codes are looked up in: http, servicenow or jira; empty for none. The policy's ticketCheck switches it on"`
	URL        string        `koanf:"ticket-url" help:"where that is, https://…; for http the address of one ticket, with {code} for its id"`
	Credential string        `koanf:"ticket-credential" help:"what proves who asks there: a token, or user:password"`
	Auth       string        `koanf:"ticket-auth" help:"how: bearer or basic; by itself bearer for http, basic for servicenow and jira"`
	Title      string        `koanf:"ticket-title" help:"http: where in the JSON answer the title is, as a JSON pointer such as /fields/title; empty for nowhere"`
	Table      string        `koanf:"ticket-table" help:"servicenow: the table of the tickets; task has incidents, changes and problems in it"`
	CA         string        `koanf:"ticket-ca" help:"a file of CA certificates for the ticket system, beside the system's"`
	Timeout    time.Duration `koanf:"ticket-timeout" help:"how long is waited for its answer, 2s at most"`
}

// Defaults is the configuration of a process that was told nothing.
func Defaults() Config { return Config{Table: "task", Timeout: longest} }

var tableName = regexp.MustCompile(`^[A-Za-z0-9_]{1,80}$`)

// check answers the configuration with what goes by itself filled in.
func (c Config) check() (Config, error) {
	if c.Timeout <= 0 || c.Timeout > longest {
		return c, fmt.Errorf("ticket-timeout: %s is not between 0 and %s: an emergency can't wait longer", c.Timeout, longest)
	}
	if c.Auth == "" {
		c.Auth = map[string]string{kindHTTP: bearer, kindServiceNow: basic, kindJira: basic}[c.System]
	}
	if c.Auth != bearer && c.Auth != basic {
		return c, fmt.Errorf("ticket-auth: %q is neither %s nor %s", c.Auth, bearer, basic)
	}
	if c.Auth == basic && c.Credential != "" && !strings.Contains(c.Credential, ":") {
		return c, errors.New("ticket-credential: for basic it is user:password")
	}
	if strings.ContainsFunc(c.Credential, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return c, errors.New("ticket-credential: it is one line of text")
	}
	if c.Title != "" && !strings.HasPrefix(c.Title, "/") {
		return c, fmt.Errorf("ticket-title: %q is no JSON pointer, which begins with a slash", c.Title)
	}
	if c.System == kindServiceNow && !tableName.MatchString(c.Table) {
		return c, fmt.Errorf("ticket-table: %q is not the name of a table", c.Table)
	}
	return c, c.checkURL()
}

func (c Config) checkURL() error {
	filled := strings.ReplaceAll(c.URL, placeholder, "x")
	u, err := url.Parse(filled)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("ticket-url: it is an address such as https://tickets.example.com")
	case u.User != nil:
		return errors.New("ticket-url: the password goes into ticket-credential-file, not into the address")
	case c.System == kindHTTP && filled == c.URL:
		return fmt.Errorf("ticket-url: say by %s where the id of the ticket goes", placeholder)
	case strings.Contains(schemeAndHost(c.URL), placeholder):
		return fmt.Errorf("ticket-url: %s can't be a part of the host", placeholder)
	case c.System != kindHTTP && (u.RawQuery != "" || u.Fragment != ""):
		return errors.New("ticket-url: it is the address of the installation alone, without a query")
	}
	return nil
}

func schemeAndHost(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return scheme + "://" + rest
}

// client follows a redirect only to where it comes from: the credential goes nowhere else, and an answer of somebody
// else is none.
func (c Config) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = 4, 4, 16
	if c.CA != "" {
		text, err := os.ReadFile(c.CA) // #nosec G304 -- the file that the configuration names
		if err != nil {
			return nil, fmt.Errorf("reading ticket-ca: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ticket-ca: %s has no certificate in it", c.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		first := via[0].URL
		if r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || len(via) > 3 {
			return errElsewhere
		}
		return nil
	}}, nil
}

var errElsewhere = errors.New("it sends elsewhere, which is not followed")
