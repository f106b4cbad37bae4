package control

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/ticket"
)

// ticketSystem is one on loopback that knows INC1, and may stop answering.
func (p *platform) ticketSystem() (asked *atomic.Int64, down *atomic.Bool) {
	asked, down = new(atomic.Int64), new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case down.Load():
			<-r.Context().Done()
		case r.URL.Path == "/INC1":
			_, _ = w.Write([]byte(`{"title":"Ransomware"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	p.t.Cleanup(server.Close)
	p.tickets = must(ticket.New(ticket.Config{System: "http", URL: server.URL + "/{code}", Title: "/title", Timeout: 200 * time.Millisecond}, slog.New(slog.DiscardHandler)))
	return asked, down
}

func (p *platform) checking(on emergencyv1.Policy_TicketChecking) *emergencyv1.UpdatePolicyRequest {
	return &emergencyv1.UpdatePolicyRequest{Policy: &emergencyv1.Policy{TicketCheck: on, Grant: new(p.grant("admin"))}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"ticket_check"}}}
}

func TestATicketThatDoesNotExistIsRefusedAndOneThatDoesIsNamedOnRecord(t *testing.T) {
	p := newPlatform(t)
	asked, _ := p.ticketSystem()
	s := p.replica()
	r := p.freeze()
	r.GovernanceCode = "NONE"
	must(s.ApplyFreeze(p.as("admin"), r))
	if asked.Load() != 0 {
		t.Fatal("the policy does not ask for it, and the ticket system was asked")
	}
	must(s.UpdatePolicy(p.as("admin"), p.checking(emergencyv1.Policy_ON)))
	r = p.freeze()
	r.GovernanceCode = "NONE"
	_, err := s.ApplyFreeze(p.as("admin"), r)
	if refused(t, err, fault.GovernanceCodeRefused); !strings.Contains(err.Error(), `"NONE"`) || !strings.Contains(err.Error(), "leave the code out") || strings.Contains(err.Error(), "ticketCheck") {
		t.Fatal(err)
	}
	r.GovernanceCode = "INC1" // the grant is not spent
	f := must(s.ApplyFreeze(p.as("admin"), r))
	if c := f.GetTicketCheck(); c.GetState() != emergencyv1.TicketCheck_FOUND || c.GetTitle() != "Ransomware" {
		t.Fatalf("on record %v", c)
	}
	before := asked.Load()
	must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	if asked.Load() != before {
		t.Fatal("an empty code was looked up")
	}
	c := p.cancel(f.GetId())
	c.GovernanceCode = "NONE"
	_, err = s.CancelFreeze(p.as("admin"), c)
	if refused(t, err, fault.GovernanceCodeRefused); !strings.Contains(err.Error(), "ticketCheck off") {
		t.Fatal(err)
	}
	if got := must(s.CancelFreeze(p.as("admin"), p.cancel(f.GetId()))); got.GetCancelTicketCheck().GetTitle() != "Ransomware" {
		t.Fatalf("cancelled %v", got)
	}
}

func TestATicketSystemThatIsDownStopsWhatOpensAndNothingThatCloses(t *testing.T) {
	p := newPlatform(t)
	_, down := p.ticketSystem()
	s := p.replica()
	must(s.UpdatePolicy(p.as("admin"), p.checking(emergencyv1.Policy_ON)))
	down.Store(true)
	r := p.freeze()
	r.GovernanceCode = "INC1"
	began := time.Now()
	f := must(s.ApplyFreeze(p.as("admin"), r))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing took %s", took)
	}
	if c := f.GetTicketCheck(); c.GetState() != emergencyv1.TicketCheck_NOT_CHECKED || !strings.Contains(c.GetWhy(), "no answer within") {
		t.Fatalf("on record %v", c)
	}
	entries := p.entries()
	if c := entries[len(entries)-1].GetTicketCheck(); c.GetState() != emergencyv1.TicketCheck_NOT_CHECKED || c.GetCode() != "INC1" {
		t.Fatalf("on record %v", c)
	}
	grant := p.cancel(f.GetId())
	_, err := s.CancelFreeze(p.as("admin"), grant)
	if refused(t, err, fault.GovernanceCodeRefused); !strings.Contains(err.Error(), "could not be looked up") {
		t.Fatal(err)
	}
	_, err = s.RecordAct(p.as("admin"), &emergencyv1.RecordActRequest{Kind: "access-group.unblock", Target: "payments", GovernanceCode: "INC1", Grant: p.grant("admin")})
	refused(t, err, fault.GovernanceCodeRefused)
	down.Store(false)
	must(s.CancelFreeze(p.as("admin"), grant)) // the same grant: nothing was spent
}

func TestTicketsCanNotBeCheckedWithoutATicketSystem(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	_, err := s.UpdatePolicy(p.as("admin"), p.checking(emergencyv1.Policy_ON))
	refused(t, err, fault.InvalidArgument)
	if got := must(s.GetPolicy(p.as("admin"), nil)).GetTicketCheck(); got != emergencyv1.Policy_OFF {
		t.Fatal(got)
	}
}
