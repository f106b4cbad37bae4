package roster

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/who"
)

// site is a real journal, and the clock of those who run on it.
type site struct {
	t       *testing.T
	journal *journal.Journal
	stream  *journal.Stream
	mu      sync.Mutex
	ahead   time.Duration
}

func newSite(t *testing.T) *site {
	t.Helper()
	server, err := local.Start(local.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, journal: j}
	if s.stream, err = j.Stream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

// replica runs one until stop.
func (s *site) replica(change ...func(*Deps)) (r *Roster, stop func()) {
	s.t.Helper()
	d := Deps{Journal: s.journal, Kept: func(*emergencyv1.ReceiptsRecord) {}, Forgotten: func(string) {}, Act: func(context.Context, *emergencyv1.RecordActRequest) error { return nil }, Now: s.now, Log: slog.New(slog.DiscardHandler)}
	for _, do := range change {
		do(&d)
	}
	r = New(d)
	r.pace = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	s.await("the roster is read", follows(r))
	return r, stop
}

// follows reports whether it knows all that is on record.
func follows(r *Roster) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.fresh
	}
}

func (s *site) await(what string, holds func() bool) {
	s.t.Helper()
	for late := time.After(20 * time.Second); !holds(); {
		select {
		case <-late:
			s.t.Fatalf("never came: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// hear lets rosters hear gates and guards by name.
func hear(names []string, all ...*Roster) {
	for _, r := range all {
		for _, name := range names {
			service, id, _ := strings.Cut(name, "/")
			r.Hear(&emergencyv1.Beat{Service: service, Enforcer: id, Mode: emergencyv1.Enforcer_STRICT})
		}
	}
}

// pass has time pass, more or less, in which these are heard.
func (s *site) pass(d time.Duration, names []string, all ...*Roster) {
	for ; d > 0; d -= silence / 2 {
		s.advance(silence / 2)
		hear(names, all...)
	}
}

// is names those with a presence.
func is(r *Roster, p emergencyv1.Enforcer_Presence) string {
	var names []string
	for _, m := range r.All(p) {
		names = append(names, m.GetService()+"/"+m.GetId())
	}
	return strings.Join(names, " ")
}

// onRecord is what the stream says of one.
func (s *site) onRecord(r *Roster, key string, p emergencyv1.Enforcer_Presence) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.members[key] != nil && r.members[key].record.GetPresence() == p
	}
}

func TestARestartKnowsAtOnceWhoIsMissingAndWhoHasEndedInGoodOrder(t *testing.T) {
	s := newSite(t)
	r, stop := s.replica()
	hear([]string{"access-gate/g1", "access-gate/g2", "guard/orders@tok"}, r)
	s.await("they join", s.onRecord(r, "access-gate/g1", emergencyv1.Enforcer_JOINED))
	r.Leaves("access-gate/g2")
	s.await("one is drained", s.onRecord(r, "access-gate/g2", emergencyv1.Enforcer_DRAINED))
	s.pass(settled+time.Second, []string{"access-gate/g1"}, r)
	if got := is(r, emergencyv1.Enforcer_MISSING); got != "guard/orders@tok" {
		t.Fatalf("missing are %q", got)
	}
	s.await("that is on record", s.onRecord(r, "guard/orders@tok", emergencyv1.Enforcer_MISSING))
	stop()

	later, _ := s.replica()
	if diff := cmp.Diff([]string{"guard/orders@tok", "access-gate/g2", "access-gate/g1"},
		[]string{is(later, emergencyv1.Enforcer_MISSING), is(later, emergencyv1.Enforcer_DRAINED), is(later, emergencyv1.Enforcer_JOINED)}); diff != "" {
		t.Error(diff)
	}
	// Who was there and does not come back is missed as soon as it could have been heard.
	s.advance(settled)
	hear([]string{"access-gate/g3"}, later)
	if got := is(later, emergencyv1.Enforcer_MISSING); got != "guard/orders@tok" {
		t.Errorf("at the first word that it hears itself, missing are %q", got)
	}
	s.pass(silence+time.Second, []string{"access-gate/g3"}, later)
	if got := is(later, emergencyv1.Enforcer_MISSING); got != "access-gate/g1 guard/orders@tok" {
		t.Errorf("missing are %q", got)
	}
	hear([]string{"guard/orders@tok"}, later)
	s.await("it is back", s.onRecord(later, "guard/orders@tok", emergencyv1.Enforcer_JOINED))
}

func TestWhoeverHearsNobodySaysOfNobodyThatTheyAreMissing(t *testing.T) {
	s := newSite(t)
	r, _ := s.replica()
	hear([]string{"access-gate/g1"}, r)
	s.await("it joins", s.onRecord(r, "access-gate/g1", emergencyv1.Enforcer_JOINED))
	s.advance(time.Hour) // cut off from the journal's servers, for instance
	if got := is(r, emergencyv1.Enforcer_MISSING); got != "" {
		t.Errorf("missing are %q", got)
	}
	if due := r.due(); len(due) > 0 {
		t.Errorf("it would write %v", due)
	}
}

func TestAfterAnOutageOfItsOwnItMissesNobodyBeforeItHasListenedLongEnough(t *testing.T) {
	s := newSite(t)
	r, _ := s.replica()
	expected := []*emergencyv1.ExpectedEnforcers{{Service: "guard", NamePattern: "*", Minimum: 1}}
	everybody := []string{"access-gate/g1", "access-gate/g2"}
	s.pass(2*silence, everybody, r)
	s.await("they join", func() bool {
		return s.onRecord(r, everybody[0], emergencyv1.Enforcer_JOINED)() && s.onRecord(r, everybody[1], emergencyv1.Enforcer_JOINED)()
	})
	s.advance(time.Minute / 2)
	hear(everybody[1:], r)
	if got := is(r, emergencyv1.Enforcer_MISSING); got != "" || len(r.due()) > 0 || r.Lacking(expected) != nil {
		t.Errorf("one was heard, and the others had no time to be: missing are %q, it would write %v", got, r.due())
	}
	s.pass(silence+time.Second, everybody[1:], r)
	if got := is(r, emergencyv1.Enforcer_MISSING); got != everybody[0] || len(r.Lacking(expected)) != 1 {
		t.Errorf("missing are %q", got)
	}
}

func TestARowOfOneThatIsMissingForLongIsWrittenAgainOnceAMonth(t *testing.T) {
	s := newSite(t)
	r, _ := s.replica()
	hear([]string{"access-gate/g1", "access-gate/g2"}, r)
	s.await("they join", func() bool {
		return s.onRecord(r, "access-gate/g1", emergencyv1.Enforcer_JOINED)() && len(r.due()) == 0
	})
	s.pass(settled+2*silence, []string{"access-gate/g2"}, r)
	s.await("one is missed", s.onRecord(r, "access-gate/g1", emergencyv1.Enforcer_MISSING))
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members["access-gate/g1"]
	if _, due := m.due(m.written.Add(lasting+time.Hour), true); !due {
		t.Error("its row is never written again, and is dropped after a year")
	}
	m.record.SinceTime = timestamppb.New(m.written.Add(-2 * lasting))
	if _, due := m.due(m.written.Add(time.Hour), true); due {
		t.Error("its row is written again and again")
	}
}

func TestOneIsForgottenByAnAdministratorOnlyWhileItIsNotHeard(t *testing.T) {
	s := newSite(t)
	forgotten := make(chan string, 1)
	r, _ := s.replica()
	other, _ := s.replica(func(d *Deps) { d.Forgotten = func(key string) { forgotten <- key } })
	hear([]string{"access-gate/g1", "access-gate/g2"}, r, other)
	s.await("it joins", s.onRecord(r, "access-gate/g1", emergencyv1.Enforcer_JOINED))
	forget := func(service, id string) error {
		_, err := r.ForgetEnforcer(who.NewContext(t.Context(), who.Caller{User: "ana"}), &emergencyv1.ForgetEnforcerRequest{Service: service, Id: id, Grant: "a-grant"})
		return err
	}
	for name, c := range map[string]struct{ service, id, reason string }{
		"heard": {"access-gate", "g1", fault.InvalidArgument}, "unknown": {"access-gate", "g9", fault.NotFound}, "no name": {"access-gate", "*", fault.NotFound},
	} {
		if err := forget(c.service, c.id); !fault.Is(err, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.pass(2*silence, []string{"access-gate/g2"}, r, other)
	r.deps.Act = func(context.Context, *emergencyv1.RecordActRequest) error {
		return fault.New(fault.GrantRequired, "no code")
	}
	if err := forget("access-gate", "g1"); !fault.Is(err, fault.GrantRequired) || r.Forgets("access-gate/g1") {
		t.Errorf("without a grant: %v", err)
	}
	var noted *emergencyv1.RecordActRequest
	r.deps.Act = func(_ context.Context, a *emergencyv1.RecordActRequest) error { noted = a; return nil }
	if err := forget("access-gate", "g1"); err != nil {
		t.Fatal(err)
	}
	if noted.GetKind() != "enforcer.forget" || noted.GetTarget() != "access-gate/g1" || noted.GetGrant() != "a-grant" || noted.GetAt() == 0 {
		t.Errorf("on record is %v", noted)
	}
	if key := <-forgotten; key != "access-gate/g1" {
		t.Errorf("the other replica is told of %q", key)
	}
	if by := other.All(emergencyv1.Enforcer_FORGOTTEN); len(by) != 1 || by[0].GetForgottenBy() != "ana" {
		t.Errorf("forgotten are %v", by)
	}
	if got := is(other, emergencyv1.Enforcer_MISSING); got != "" || !other.Forgets("access-gate/g1") {
		t.Errorf("missing are %q", got)
	}
	if err := forget("access-gate", "g1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("twice: %v", err)
	}
	hear([]string{"access-gate/g1"}, other)
	s.await("whoever is heard again joins again", s.onRecord(other, "access-gate/g1", emergencyv1.Enforcer_JOINED))
}

func TestReplicasThatHearTheSameWriteItOnce(t *testing.T) {
	s := newSite(t)
	a, _ := s.replica()
	b, _ := s.replica()
	var names []string
	for i := range 600 {
		names = append(names, fmt.Sprintf("guard/g%03d@tok", i))
	}
	hear(names, a, b)
	all := func(r *Roster) bool {
		return len(r.All(emergencyv1.Enforcer_JOINED)) == len(names) && len(r.due()) == 0 && follows(r)()
	}
	s.await("all are on record", func() bool { hear(names, a, b); return all(a) && all(b) })
	last, err := s.stream.LastSequence(t.Context())
	if err != nil || last != uint64(len(names)) {
		t.Errorf("%d were written of %d, %v", last, len(names), err)
	}
	for range 20 { // a minute's worth of hearing them changes nothing
		s.advance(2 * time.Second)
		hear(names, a, b)
		if n := len(a.due()); n > 0 {
			t.Fatalf("%d rows would be written", n)
		}
	}
	s.advance(refresh)
	s.await("it follows the record", follows(a)) // a busy machine may keep it from that for a moment
	hear(names, a, b)
	if n := len(a.due()); n == 0 || n > refreshed {
		t.Errorf("%d rows are brought up to date at once", n)
	}
}

func TestAGroupThatTheyExpectIsMissedWhereItNeverCame(t *testing.T) {
	s := newSite(t)
	r, _ := s.replica()
	expected := []*emergencyv1.ExpectedEnforcers{
		{Service: "access-gate", NamePattern: "*", Minimum: 2}, {Service: "guard", NamePattern: "orders-*", Minimum: 3},
		{Service: "guard", NamePattern: "billing", Minimum: 1}, {Service: "connector", NamePattern: "edge-*", Minimum: 1},
	}
	names := []string{"access-gate/g1", "guard/orders-1@tok", "guard/orders-2@tok", "guard/billing@other", "connector/core-1"}
	hear(names, r)
	if got := r.Lacking(expected); got != nil {
		t.Errorf("before anybody had the time to be heard: %v", got)
	}
	s.pass(silence+time.Second, names[:4], r)
	said := func() (all []string) {
		for _, e := range r.Lacking(expected) {
			all = append(all, fmt.Sprintf("%s/%s %d %s", e.GetService(), e.GetId(), e.GetLacking(), e.GetPresence()))
		}
		return all
	}
	if diff := cmp.Diff([]string{"access-gate/* 1 MISSING", "guard/orders-* 1 MISSING", "connector/edge-* 1 MISSING"}, said()); diff != "" {
		t.Error(diff)
	}
	// Who was there is missed by its own name, and not once more as one of its group.
	s.pass(silence+time.Second, []string{"access-gate/g1", "access-gate/g2", "guard/orders-1@tok", "guard/orders-3@tok", "connector/edge-1"}, r)
	if diff := cmp.Diff([]string(nil), said()); diff != "" {
		t.Error(diff)
	}
	if got := is(r, emergencyv1.Enforcer_MISSING); got != "connector/core-1 guard/billing@other guard/orders-2@tok" {
		t.Errorf("missing are %q", got)
	}
	r.Leaves("access-gate/g2")
	if diff := cmp.Diff([]string{"access-gate/* 1 MISSING"}, said()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatNobodyCouldMeetIsNotExpected(t *testing.T) {
	for name, e := range map[string]*emergencyv1.ExpectedEnforcers{
		"service": {Service: "Gate/1", NamePattern: "*", Minimum: 1}, "pattern": {Service: "guard", NamePattern: "a*b", Minimum: 1},
		"none": {Service: "guard", NamePattern: "*"}, "empty": {Service: "guard", Minimum: 1}, "many": {Service: "guard", NamePattern: "*", Minimum: Most + 1},
		"twins": {Service: "access-gate", NamePattern: "g1", Minimum: 2},
	} {
		if err := Expectable([]*emergencyv1.ExpectedEnforcers{e}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Expectable([]*emergencyv1.ExpectedEnforcers{{Service: "guard", NamePattern: "orders@tok-7", Minimum: 1}}); err != nil {
		t.Error(err)
	}
}

func TestANameThatIsNoSubjectIsNotKnown(t *testing.T) {
	r := New(Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	for _, id := range []string{"", "a b", "a.*", ">", "a..b", "a\nb", strings.Repeat("x", 300)} {
		if r.Hear(&emergencyv1.Beat{Service: guards, Enforcer: id}) {
			t.Errorf("%q is known", id)
		}
	}
	if !r.Hear(&emergencyv1.Beat{Service: "access-gate", Enforcer: "gate-1.example.com"}) {
		t.Error("a host's name is not")
	}
}

func TestATokenThatMakesUpGuardsLeavesRoomForEverybodyElse(t *testing.T) {
	r := New(Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	for i := range MostGuards + 100 {
		if known := r.Hear(&emergencyv1.Beat{Service: guards, Enforcer: fmt.Sprintf("g%d@tok", i)}); known != (i < MostGuards) {
			t.Fatalf("the guard %d: known is %v", i, known)
		}
	}
	if !r.Hear(&emergencyv1.Beat{Service: "access-gate", Enforcer: "g1"}) {
		t.Error("there is no room for a gate")
	}
	if len(r.members) != MostGuards+1 {
		t.Errorf("%d are remembered", len(r.members))
	}
}
