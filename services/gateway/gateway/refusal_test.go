package gateway

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

func reasons() []string {
	return []string{
		fault.Unauthenticated, fault.PermissionDenied, fault.NotFound, fault.AlreadyExists, fault.InvalidArgument,
		fault.MFANotEnrolled, fault.MFATooNew, fault.CodeInvalid, fault.CodeUsed, fault.LockedOut, fault.RateLimited, fault.GrantRequired,
		fault.GrantInvalid, fault.GrantExpired, fault.GrantUsed, fault.SelectorEmpty, fault.JustificationRequired,
		fault.GovernanceCodeRequired, fault.GovernanceCodeRefused, fault.DurationOutOfRange, fault.StartInPast,
		fault.NotCancellable, fault.PreviewDrifted, fault.LastAdministrator, fault.RequestIDReused, fault.Stale,
		fault.JournalUnavailable, fault.Aborted, fault.Unavailable, fault.Internal, fault.ResourceExhausted,
		fault.Unimplemented, fault.DefaultAccountRequired, fault.ContactWithoutEmail, fault.ContactWithoutMobile, fault.NotResendable, fault.NotSuspendable, fault.Frozen, fault.Locked, fault.Lockdown,
	}
}

func TestEveryReasonHasItsStatusAndItsShape(t *testing.T) {
	p := open(t)
	var text strings.Builder
	for _, reason := range reasons() {
		e := fault.New(reason, "A sentence that says what to do <next>")
		switch reason {
		case fault.MFATooNew:
			_ = e.With("usableTime", "2022-08-09T13:00:00Z")
		case fault.LockedOut, fault.RateLimited, fault.CodeUsed:
			_ = e.Until("retryTime", noon.Add(90*time.Second+time.Millisecond), noon)
		case fault.Lockdown:
			_ = e.Until("until", time.Date(2022, 8, 9, 22, 54, 0, 0, time.UTC), noon)
		}
		p.setRefuse(e)
		a := p.call(t, "GET", "/v1/devices/db-1", "", "X-Request-Id", "incident-7")
		fmt.Fprintf(&text, "%s: %d", reason, a.status)
		for _, name := range []string{"Content-Type", "Retry-After", "Www-Authenticate"} {
			if value := a.header.Get(name); value != "" {
				fmt.Fprintf(&text, ", %s: %s", name, value)
			}
		}
		fmt.Fprintf(&text, "\n%s\n\n", a.body)
	}
	golden(t, "testdata/refusals.golden", text.String())
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestALockdownHasExactlyItsBodyInTheProductsNameAndZone(t *testing.T) {
	zone := time.FixedZone("BRT", -3*3600)
	p := open(t, func(_ *Config, d *Deps) { d.Texts = emergency.Texts{Product: "Acme <PAM>", Zone: zone} })
	p.lockDown(time.Date(2022, 8, 10, 1, 53, 59, 1, time.UTC))
	a := p.call(t, "GET", "/v1/devices/db-1", "")
	const m = `Acme \u003cPAM\u003e is under Lockdown until 09/08/2022 22:54:00`
	want := `{"response":{"status":503,"mensagem":"` + m + `","erro":true,"cod_erro":100,"message":"` + m + `","error":true,"error_code":100}}`
	if a.status != http.StatusServiceUnavailable || a.body != want {
		t.Errorf("got %d %s, want %s", a.status, a.body, want)
	}
	if got := a.header.Get("Retry-After"); got != "50040" {
		t.Errorf("Retry-After is %s", got)
	}
	if !json.Valid([]byte(a.body)) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", a.header)
	}
}

func TestRetryAfterRoundsUpToWholeSeconds(t *testing.T) {
	r := refusals{now: func() time.Time { return noon }}
	for delay, want := range map[time.Duration]int{
		time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90, 90*time.Second + 1: 91,
	} {
		e := fault.New(fault.LockedOut, "Wait").Until("retryTime", noon.Add(delay), noon)
		if delay < time.Millisecond {
			want = 1
		}
		if got := r.read(e).retryAfter; got != want {
			t.Errorf("%v: got %d, want %d", delay, got, want)
		}
		e = fault.New(fault.Lockdown, "Shut").With("until", noon.Add(delay).Format(time.RFC3339Nano))
		if got := r.read(e).retryAfter; got != want {
			t.Errorf("lockdown %v: got %d, want %d", delay, got, want)
		}
	}
	if got := r.read(fault.New(fault.NotFound, "No")).retryAfter; got != 0 {
		t.Errorf("a refusal that time doesn't heal says %d", got)
	}
}

// A lockdown's details that can't be read must not become a lockdown until the year 1.
func TestALockdownWithoutItsEndIsAnOrdinary503(t *testing.T) {
	r := refusals{now: func() time.Time { return noon }}
	for _, e := range []*fault.Error{fault.New(fault.Lockdown, "Shut"), fault.New(fault.Lockdown, "Shut").With("until", "later")} {
		got := r.read(e)
		if got.status != 503 || !strings.Contains(string(got.body), `"reason":"LOCKDOWN"`) {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

func TestWhatNoServiceOfOursHasWordedStaysInside(t *testing.T) {
	p := open(t)
	const secret = "dial tcp 10.0.0.7:5432: password=hunter2"
	foreign, err := status.New(codes.Unavailable, secret).WithDetails(&errdetails.ErrorInfo{Reason: secret, Domain: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	all := []error{foreign.Err()}
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		all = append(all, status.Error(c, secret))
	}
	for _, err := range all {
		p.setRefuse(err)
		a := p.call(t, "GET", "/v1/devices/db-1", "")
		var shape struct{ Code, Reason, Message string }
		if err := json.Unmarshal([]byte(a.body), &shape); err != nil || shape.Code == "" || shape.Reason == "" || shape.Message == "" {
			t.Errorf("%v: %s, %v", err, a.body, err)
		}
		if strings.Contains(a.body+fmt.Sprint(a.header), "hunter2") {
			t.Errorf("%v: shown as %s", err, a.body)
		}
	}
	if got := (refusals{now: time.Now}).read(errors.New(secret)); got.status != 500 || strings.Contains(string(got.body), "hunter2") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAServiceThatIsDownIsA503OfOurShape(t *testing.T) {
	p := open(t)
	p.stop()
	a := p.call(t, "GET", "/v1/devices/db-1", "")
	if a.status != 503 || !strings.Contains(a.body, `"reason":"UNAVAILABLE"`) || a.header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s %v", a.status, a.body, a.header)
	}
	if strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("an address inside is shown: %s", a.body)
	}
	if !strings.Contains(p.log.String(), "a call failed") {
		t.Error("not logged")
	}
}
