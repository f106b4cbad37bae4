package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/portcullis/cli/api"
	"portcullis.dev/services/portcullis/cli/screen"
)

const codeTries = 3

// Act is what takes a reason and a fresh code from the actor's MFA app.
type Act struct {
	// Purpose is what the grant is for.
	Purpose       string
	Justification string
	Ticket        string
	// RequestID is made once and kept, however often the act has to be sent.
	RequestID string

	app  *App
	code string
	// program prints a fresh code each time that it is run.
	program string
}

// ActFlags adds the flags of an act of the emergency panel.
func (a *App) ActFlags(command *cobra.Command, purpose string) *Act {
	x := a.CodeFlags(command, purpose)
	command.Flags().StringVar(&x.Ticket, "ticket", "", "id of the change or incident ticket")
	return x
}

// CodeFlags adds the flags of an act that takes a code in some cases only.
func (a *App) CodeFlags(command *cobra.Command, purpose string) *Act {
	x := &Act{Purpose: purpose, RequestID: RequestID(), app: a, program: os.Getenv(CodeVariable)}
	command.Flags().StringVarP(&x.Justification, "justification", "j", "", "why; it goes on the record")
	command.Flags().StringVar(&x.code, "code", "", "fresh code from your MFA app; or "+CodeVariable+" is a command that prints one")
	command.Flags().StringVar(&x.RequestID, "request-id", x.RequestID, "UUID; the same one twice is one effect")
	command.Flags().Lookup("request-id").DefValue = ""
	return x
}

// HasCode says that nobody has to be asked for the code.
func (x *Act) HasCode() bool { return x.code != "" || x.program != "" }

// AskWhy asks for the reason and, where the policy wants one, the ticket.
func (x *Act) AskWhy(ctx context.Context) error {
	if err := x.missing(); err != nil {
		return err
	}
	if !x.app.client.HasCredential() {
		return &api.Refusal{Code: "UNAUTHENTICATED", Reason: fault.Unauthenticated, Message: "Nobody is signed in at " + x.app.client.Address()}
	}
	if x.Justification == "" {
		why, err := x.app.Term.Ask("Justification")
		if err != nil {
			return err
		}
		x.Justification = why
	}
	if x.Ticket != "" && !x.app.ForPeople() {
		return nil
	}
	policy := x.policy(ctx)
	if x.Ticket == "" && policy.GetGovernanceCode() > emergencyv1.Policy_OPTIONAL {
		if err := x.askTicket(); err != nil {
			return err
		}
	}
	x.showTicket(ctx, policy)
	return nil
}

// showTicket says what the ticket is called before anything is done. It stands in nobody's way either.
func (x *Act) showTicket(ctx context.Context, policy *emergencyv1.Policy) {
	if x.Ticket == "" || policy.GetTicketCheck() != emergencyv1.Policy_ON || !x.app.ForPeople() {
		return
	}
	check := new(emergencyv1.TicketCheck)
	err := x.app.client.Do(ctx, api.Request{Method: http.MethodPost, Path: "/v1/tickets:check", Body: &emergencyv1.CheckTicketRequest{Code: x.Ticket}, Out: check})
	if err == nil && check.GetState() == emergencyv1.TicketCheck_FOUND && check.GetTitle() != "" {
		x.app.Term.Note("Ticket %s: %s", screen.Clean(x.Ticket), screen.Clean(check.GetTitle()))
	}
}

// missing names every flag that a script forgot, at once.
func (x *Act) missing() error {
	var flags []string
	if x.Justification == "" {
		flags = append(flags, "--justification")
	}
	if !x.HasCode() {
		flags = append(flags, "--code")
	}
	if len(flags) == 0 || x.app.Term.Asking {
		return nil
	}
	return Usagef("%s missing, and there is no terminal to ask on", strings.Join(flags, " and "))
}

// policy is asked for first, since a code is spent by then otherwise. An answer that fails to come stands in nobody's way.
func (x *Act) policy(ctx context.Context) *emergencyv1.Policy {
	policy := new(emergencyv1.Policy)
	if x.app.client.Do(ctx, api.Request{Method: http.MethodGet, Path: "/v1/policy", Out: policy}) != nil {
		return nil
	}
	return policy
}

func (x *Act) askTicket() error {
	ticket, err := x.app.Term.Ask("Ticket")
	if errors.Is(err, screen.ErrNobody) {
		return Usagef("--ticket missing: the policy wants one, and there is no terminal to ask on")
	}
	x.Ticket = ticket
	return err
}

// Do makes the grant and does the act with it. A wrong code is asked for again while somebody is there.
func (x *Act) Do(ctx context.Context, act func(grant string) error) error {
	grant := ""
	err := x.DoWithCode(ctx, func(code string) (err error) {
		grant, err = x.grant(ctx, code)
		return err
	})
	if err != nil {
		return err
	}
	return act(grant)
}

// DoWithCode does the act with a code in place of a grant. A wrong one is asked for again while somebody is there.
func (x *Act) DoWithCode(ctx context.Context, act func(code string) error) error {
	asked := x.code == ""
	for try := 1; ; try++ {
		code, err := x.askCode(ctx)
		if err == nil {
			err = act(code)
		}
		if err == nil || !asked || try == codeTries || !WrongCode(err) {
			return err
		}
		x.app.SayWhy(err)
		x.code = ""
	}
}

// DoIfAsked does the act without a grant, unless a code was given; when the server then wants one,
// with it.
func (x *Act) DoIfAsked(ctx context.Context, act func(grant string) error) error {
	if x.code != "" {
		return x.Do(ctx, act)
	}
	err := act("")
	if !api.IsRefusal(err, fault.GrantRequired) || (!x.app.Term.Asking && x.program == "") {
		return err
	}
	return x.Do(ctx, act)
}

// DoIfOpening does the act without a grant, unless a code was given; where the server says that it opens what an emergency closes, with
// one, and with the reasons that lifting it would take.
func (x *Act) DoIfOpening(ctx context.Context, act func(grant string) error) error {
	if x.code != "" {
		return x.Do(ctx, act)
	}
	err := act("")
	opens := api.IsRefusal(err, fault.GrantRequired) || api.IsRefusal(err, fault.JustificationRequired) || api.IsRefusal(err, fault.GovernanceCodeRequired)
	if !opens || (!x.app.Term.Asking && x.program == "") {
		return err
	}
	if err := x.AskWhy(ctx); err != nil {
		return err
	}
	return x.Do(ctx, act)
}

// WrongCode says that another code may do.
func WrongCode(err error) bool {
	return api.IsRefusal(err, fault.CodeInvalid) || api.IsRefusal(err, fault.CodeUsed)
}

func (x *Act) grant(ctx context.Context, code string) (string, error) {
	answer := new(identityv1.CreateGrantResponse)
	err := x.app.client.Do(ctx, api.Request{Method: http.MethodPost, Path: "/v1/grants",
		Body: &identityv1.CreateGrantRequest{Code: code, Purpose: x.Purpose}, Out: answer})
	return answer.GetGrant(), err
}

func (x *Act) askCode(ctx context.Context) (string, error) {
	if x.code != "" {
		return strings.ReplaceAll(x.code, " ", ""), nil
	}
	if x.program != "" {
		return x.run(ctx)
	}
	code, err := x.app.Term.Ask("Code from your MFA app")
	if errors.Is(err, screen.ErrNobody) {
		return "", Usagef("--code missing, and there is no terminal to ask on")
	}
	x.code = strings.ReplaceAll(code, " ", "")
	return x.code, err
}

// run asks the program that the environment names, for instance a password manager's.
func (x *Act) run(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "sh", "-c", x.program) // #nosec G204 -- the program that the user names in their own environment
	command.Stderr = x.app.Term.Err
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w", CodeVariable, err)
	}
	return strings.TrimSpace(string(printed)), nil
}
