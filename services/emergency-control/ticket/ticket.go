// Package ticket looks up governance codes in a ticket system. It never stands in the way of closing: where the system
// gives no answer within its time, that is said, and whoever asks decides what it means.
package ticket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"google.golang.org/grpc"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// errMissing says that the system knows no such ticket.
var errMissing = errors.New("there is no such ticket")

// system is one kind of ticket system.
type system interface {
	// request asks for a code; errMissing where no ticket can have it.
	request(ctx context.Context, code string) (*http.Request, error)
	// read answers the title that an answer tells; errMissing where it says that there is no such ticket; any other error where it
	// says neither.
	read(status int, header http.Header, body []byte, code string) (title string, err error)
}

// Desk asks the ticket system. It is for any number of goroutines.
type Desk struct {
	emergencyv1.UnimplementedTicketsServer
	config Config
	system system
	client *http.Client
	log    *slog.Logger
}

// New answers a desk; one without a system, if none is configured.
func New(c Config, log *slog.Logger) (*Desk, error) {
	d := &Desk{config: c, log: log}
	if c.System == "" {
		return d, nil
	}
	systems := map[string]func(Config) system{kindHTTP: newGeneric, kindServiceNow: newServiceNow, kindJira: newJira}
	make, known := systems[c.System]
	if !known {
		return nil, fmt.Errorf("ticket-system: %q is none of http, servicenow and jira", c.System)
	}
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	d.client, err = c.client()
	d.config, d.system = c, make(c)
	return d, err
}

// Register offers the desk's RPC.
func (d *Desk) Register(r grpc.ServiceRegistrar) { emergencyv1.RegisterTicketsServer(r, d) }

// Configured reports whether there is a ticket system.
func (d *Desk) Configured() bool { return d.system != nil }

// CheckTicket says what a governance code stands for, whether the policy asks for that or not.
func (d *Desk) CheckTicket(ctx context.Context, r *emergencyv1.CheckTicketRequest) (*emergencyv1.TicketCheck, error) {
	return d.Look(ctx, r.GetCode()), nil
}

// Look asks the system for a code, for as long as is configured at most. It always answers; nil for an empty code.
func (d *Desk) Look(ctx context.Context, code string) *emergencyv1.TicketCheck {
	code = strings.TrimSpace(code)
	if code == "" {
		return nil
	}
	check := &emergencyv1.TicketCheck{Code: code}
	if d.system == nil {
		check.State, check.Why = emergencyv1.TicketCheck_NOT_CHECKED, "no ticket system is configured"
		return check
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	title, err := d.ask(ctx, code)
	switch {
	case errors.Is(err, errMissing):
		check.State = emergencyv1.TicketCheck_MISSING
	case err != nil:
		d.log.WarnContext(ctx, "the ticket system gives no answer", "system", d.config.System, "error", err)
		check.State, check.Why = emergencyv1.TicketCheck_NOT_CHECKED, d.why(err)
	default:
		check.State, check.Title = emergencyv1.TicketCheck_FOUND, plain(title)
	}
	return check
}

// why says to people why there is no answer: nothing that the system, or the network, has said goes on record.
func (d *Desk) why(err error) string {
	var said *answer
	switch {
	case errors.As(err, &said):
		return said.text
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the ticket system gave no answer within %s", d.config.Timeout)
	case errors.Is(err, errElsewhere):
		return "the ticket system sends elsewhere, which is not followed"
	}
	return "the ticket system can't be reached"
}

// answer is what the system has answered that is neither a ticket nor that there is none.
type answer struct{ text string }

func (a *answer) Error() string { return a.text }

func said(format string, args ...any) error { return &answer{fmt.Sprintf(format, args...)} }

// mostTitle is how much of a title is kept.
const mostTitle = 200

// plain is a title as it can be shown anywhere: somebody else has written it.
func plain(title string) string {
	words := strings.Join(strings.FieldsFunc(title, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), " ")
	if runes := []rune(words); len(runes) > mostTitle {
		return string(runes[:mostTitle-1]) + "…"
	}
	return words
}

// unanswered is what a status says that is neither.
func unanswered(status int) error {
	reason := map[int]string{
		http.StatusUnauthorized: "it does not take our credential", http.StatusForbidden: "our credential may not read there",
		http.StatusTooManyRequests: "it is asked too often", http.StatusNotFound: "nothing is at its address",
	}[status]
	return said("the ticket system answered %d: %s", status, cmp.Or(reason, "it says nothing of the ticket"))
}
