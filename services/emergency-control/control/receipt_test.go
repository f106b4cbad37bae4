package control

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
	"portcullis.dev/services/emergency-control/receipt"
)

// host is a session host as a service hears of it.
type host struct {
	s    *Service
	id   string
	mute bool // a broker speaks for it
}

// says is a beat: the revision that it holds, what it has open, and what it says of one emergency.
func (h host) says(revision string, all uint32, id string, open, ended uint32) {
	b := &emergencyv1.Beat{Enforcer: h.id, Service: receipt.Connector, BootId: "b", Revision: revision, OpenSessions: &all, Unreachable: h.mute}
	if id != "" {
		b.Cuts = []*emergencyv1.CutProgress{{Emergency: id, Open: open, Ended: ended}}
	}
	h.s.receipts.Take(b)
}

func (p *platform) lockdownNow(s *Service, id string) *emergencyv1.Emergency {
	p.t.Helper()
	return must(s.GetLockdown(p.t.Context(), &emergencyv1.GetEmergencyRequest{Id: id}))
}

// progressOf fails unless an emergency says this of its sessions.
func progressOf(t *testing.T, e *emergencyv1.Emergency, open, ended, unreachable uint32) {
	t.Helper()
	if e.Open == nil || e.Ended == nil || e.Unreachable == nil || e.GetOpen() != open || e.GetEnded() != ended || e.GetUnreachable() != unreachable {
		t.Fatalf("want %d open, %d ended, %d unreachable of %v", open, ended, unreachable, e)
	}
}

func noProgress(t *testing.T, e *emergencyv1.Emergency) {
	t.Helper()
	if e.Open != nil || e.Ended != nil || e.Unreachable != nil || e.LastEndedMs != nil {
		t.Fatalf("nothing is known of its sessions, and it says %v", e)
	}
}

func TestALockdownSaysHowFarItIsInItsConnectorsOwnWords(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1, c2 := host{s: s, id: "c1"}, host{s: s, id: "c2", mute: true}
	c1.says("", 3, "", 0, 0)
	c2.says("", 2, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	if progressOf(t, l, 3, 0, 2); l.GetStatus() != emergencyv1.Emergency_ONGOING || l.LastEndedMs != nil {
		t.Fatalf("just applied: %v", l)
	}
	p.clock.advance(2 * time.Second)
	c1.says(l.GetRevision(), 0, l.GetId(), 0, 3)
	c2.says("", 2, l.GetId(), 2, 0)
	got := p.lockdownNow(s, l.GetId())
	if progressOf(t, got, 0, 3, 2); got.GetStatus() != emergencyv1.Emergency_ONGOING {
		t.Fatalf("its status is its window's, and it is %v", got.GetStatus())
	}
	if ms := got.GetLastEndedMs(); ms < 2000 || ms > 10_000 {
		t.Fatalf("the last of them ended after %d ms, of some 2000", ms)
	}
	host{s: s, id: "c2"}.says(l.GetRevision(), 0, l.GetId(), 0, 2)
	listed := must(s.ListLockdowns(t.Context(), &emergencyv1.ListEmergenciesRequest{Filter: "status=ONGOING"})).GetLockdowns()
	progressOf(t, listed[0], 0, 5, 0)
}

func TestAScheduledLockdownSaysNothingBeforeItsStartAndCountsFromThere(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1 := host{s: s, id: "c1"}
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	noProgress(t, l)
	c1.says(l.GetRevision(), 4, l.GetId(), 0, 0)
	noProgress(t, p.lockdownNow(s, l.GetId()))
	p.clock.advance(time.Hour) // the timer, an hour of real time away, does not see it
	progressOf(t, p.lockdownNow(s, l.GetId()), 0, 0, 4)
	p.clock.advance(2 * time.Second)
	c1.says(l.GetRevision(), 1, l.GetId(), 1, 3)
	got := p.lockdownNow(s, l.GetId())
	if progressOf(t, got, 1, 3, 0); got.GetStatus() != emergencyv1.Emergency_ONGOING {
		t.Fatalf("it is %v", got)
	}
	if ms := got.GetLastEndedMs(); ms < 1000 || ms > 10_000 {
		t.Fatalf("the last of them ended %d ms after the start, of some 2000", ms)
	}
}

func TestWhatAConnectorSaidBeforeTheStartIsNotThatNothingIsOpen(t *testing.T) {
	c := &clock{}
	r := receipt.New(c.now)
	s := &Service{receipts: r}
	l := &emergencyv1.Emergency{Id: "L-0002", Kind: emergencyv1.Emergency_LOCKDOWN, CutoffRevision: "7-2", Revision: "7-2",
		StartTime: timestamppb.New(c.now().Add(time.Second)), EndTime: timestamppb.New(c.now().Add(time.Hour))}
	r.Durable(l)
	host{s: s, id: "c1"}.says("7-2", 4, "L-0002", 0, 0)
	host{s: s, id: "c2", mute: true}.says("7-2", 2, "", 0, 0)
	c.advance(1500 * time.Millisecond)
	far := func() *emergencyv1.Emergency { r.Progress(l, c.now()); return l }
	progressOf(t, far(), 4, 0, 2)
	l.Started, l.Revision = true, "7-3"
	r.Durable(l)
	host{s: s, id: "c1"}.says("7-2", 4, "L-0002", 0, 0) // its clock is behind, and it has not heard of the start
	progressOf(t, far(), 4, 0, 2)
	host{s: s, id: "c1"}.says("7-3", 1, "L-0002", 0, 4) // one has come back
	host{s: s, id: "c2", mute: true}.says("7-2", 2, "L-0002", 0, 0)
	progressOf(t, far(), 0, 4, 0) // the broker has looked at what it had: none of it is meant
}

func TestALockdownCancelledBeforeItsStartHasNoProgressAndOneCancelledAfterKeepsIt(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1 := host{s: s, id: "c1"}
	before := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Minute, time.Hour)))
	c1.says(before.GetRevision(), 2, before.GetId(), 0, 0)
	noProgress(t, must(s.CancelLockdown(p.as("admin"), p.cancel(before.GetId()))))
	p.clock.advance(2 * time.Minute)
	if got := p.lockdownNow(s, before.GetId()); got.GetStatus() != emergencyv1.Emergency_CANCELLED {
		t.Fatalf("it is %v", got)
	} else {
		noProgress(t, got)
	}
	after := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	c1.says(after.GetRevision(), 1, after.GetId(), 1, 1)
	took := p.lockdownNow(s, after.GetId()).GetLastEndedMs()
	cancelled := must(s.CancelLockdown(p.as("admin"), p.cancel(after.GetId())))
	if progressOf(t, cancelled, 1, 1, 0); cancelled.GetStatus() != emergencyv1.Emergency_CANCELLED || cancelled.GetLastEndedMs() != took {
		t.Fatalf("what was cut stays cut, after %d ms, and it is %v", took, cancelled)
	}
	c1.says(cancelled.GetRevision(), 0, after.GetId(), 0, 2)
	progressOf(t, p.lockdownNow(s, after.GetId()), 0, 2, 0)
}

func TestAFreezeHasProgressOnlyIfItEndsLiveSessions(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1 := host{s: s, id: "c1"}
	noProgress(t, must(s.ApplyFreeze(p.as("admin"), p.freeze())))
	r := p.freeze()
	r.EndLiveSessions = true
	f := must(s.ApplyFreeze(p.as("admin"), r))
	c1.says(f.GetRevision(), 5, f.GetId(), 1, 2)
	got := must(s.GetFreeze(t.Context(), &emergencyv1.GetEmergencyRequest{Id: f.GetId()}))
	if progressOf(t, got, 1, 2, 0); got.GetStatus() != emergencyv1.Emergency_ONGOING || got.LastEndedMs == nil {
		t.Fatalf("it is %v", got)
	}
}

func TestAControlThatCameLaterClaimsOnlyWhatItHasHeard(t *testing.T) {
	p := newPlatform(t)
	l := must(p.replica().ApplyLockdown(p.as("admin"), p.lockdown(time.Minute, time.Hour)))
	between := p.replica() // it listens from the start on, though it did not see it scheduled
	p.clock.advance(62 * time.Second)
	host{s: between, id: "c1"}.says(l.GetRevision(), 0, l.GetId(), 0, 3)
	got := p.lockdownNow(between, l.GetId())
	if progressOf(t, got, 0, 3, 0); got.GetLastEndedMs() < 1000 || got.GetLastEndedMs() > 10_000 {
		t.Fatalf("they ended some 2000 ms after the start, and it is %v", got)
	}
	p.clock.advance(time.Minute)
	after := p.replica()
	if e := p.lockdownNow(after, l.GetId()); e.Ended != nil { // the one before has told what it had measured
		progressOf(t, e, 0, 3, 0)
	}
	host{s: after, id: "c1"}.says(l.GetRevision(), 0, l.GetId(), 0, 3)
	cancelled := must(after.CancelLockdown(p.as("admin"), p.cancel(l.GetId())))
	if progressOf(t, cancelled, 0, 3, 0); cancelled.LastEndedMs != nil && cancelled.GetLastEndedMs() != got.GetLastEndedMs() {
		t.Fatalf("when they ended it has not heard, and it says %d ms", cancelled.GetLastEndedMs())
	}
	for _, receipt := range must(after.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: l.GetId()})).GetReceipts() {
		if receipt.HeldMs != nil {
			t.Fatalf("since when it is held it has not heard, and it says %v", receipt)
		}
	}
}

func TestARestartSaysWhatWasMeasuredBeforeAndWhoIsMissing(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	gate, c1 := host{s: s, id: "g1"}, host{s: s, id: "c1"}
	gate.door("b", "")
	c1.says("", 3, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	gate.door("b", l.GetRevision())
	c1.says(l.GetRevision(), 0, l.GetId(), 0, 3)
	of := func(s *Service) map[string]*emergencyv1.Receipt {
		all := map[string]*emergencyv1.Receipt{}
		for _, r := range must(s.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: l.GetId()})).GetReceipts() {
			all[r.GetEnforcer()] = r
		}
		return all
	}
	before := of(s)
	later := p.replica()
	said := func() bool { // each looks for what the other has noticed
		gate.door("b", l.GetRevision())
		c1.says(l.GetRevision(), 0, l.GetId(), 0, 3)
		host{s: later, id: "g1"}.door("b", l.GetRevision())
		return of(later)["g1"].HeldMs != nil && len(later.roster.All(emergencyv1.Enforcer_JOINED)) == 2
	}
	for late := time.After(20 * time.Second); !said(); {
		select {
		case <-late:
			t.Fatalf("it never said what was measured: %v", of(later))
		case <-time.After(20 * time.Millisecond):
		}
	}
	if got := of(later)["g1"]; got.GetHeldMs() != before["g1"].GetHeldMs() || got.GetBeganAfter() {
		t.Errorf("it says %v of what was %v", got, before["g1"])
	}
	for range 2 { // it can't miss anybody before it has listened for so long
		p.clock.advance(receipt.Silence - time.Second)
		host{s: later, id: "g1"}.door("b", l.GetRevision())
	}
	if got := of(later)["c1"]; got.GetState() != emergencyv1.Receipt_UNREACHABLE || got.GetEndedSessions() != 3 {
		t.Errorf("whom it never heard it says nothing of: %v", got)
	}
	silent := later.receipts.Silent(p.clock.now())
	if len(silent) != 1 || silent[0].GetId() != "c1" || silent[0].GetPresence() != emergencyv1.Enforcer_MISSING {
		t.Errorf("silent are %v", silent)
	}
	progressOf(t, p.lockdownNow(later, l.GetId()), 0, 3, 0)
}

func TestARestartShowsAtOnceWhoseWordItHasStillToHear(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	later := p.replica() // it hears nobody, and learns from the roster alone
	for late := time.After(20 * time.Second); len(later.roster.All(emergencyv1.Enforcer_JOINED)) < 1; {
		host{s: s, id: "g1"}.door("b", l.GetRevision())
		select {
		case <-late:
			t.Fatal("who was there never came on the roster")
		case <-time.After(20 * time.Millisecond):
		}
	}
	check := func(when string, state emergencyv1.Receipt_State) {
		t.Helper()
		all := must(later.ListReceipts(t.Context(), &emergencyv1.ListReceiptsRequest{Id: l.GetId()})).GetReceipts()
		i := slices.IndexFunc(all, func(r *emergencyv1.Receipt) bool { return r.GetEnforcer() == "g1" })
		if i < 0 || all[i].GetState() != state || state == emergencyv1.Receipt_WAITING && (all[i].HeldMs != nil || all[i].GetRevision() != "") {
			t.Errorf("%s: %v", when, all)
		}
	}
	check("before anybody is heard", emergencyv1.Receipt_WAITING)
	for range 2 {
		if silent := later.receipts.Silent(p.clock.now()); len(silent) > 0 || len(later.missing()) > 0 {
			t.Errorf("before it has listened, silent are %v", silent)
		}
		check("before it has listened", emergencyv1.Receipt_WAITING)
		host{s: later, id: "g2"}.door("b", l.GetRevision())
		p.clock.advance(receipt.Silence - time.Second)
	}
	host{s: later, id: "g2"}.door("b", l.GetRevision())
	check("when it has listened", emergencyv1.Receipt_UNREACHABLE)
	host{s: later, id: "g1"}.door("b", l.GetRevision())
	check("when it is heard", emergencyv1.Receipt_CONFIRMED)
}

func TestWhatEndedBeforeTheAcknowledgementIsCountedAtOnce(t *testing.T) {
	r := receipt.New(time.Now)
	e := &emergencyv1.Emergency{Id: "T-0002", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-2", CreateTime: timestamppb.Now()}
	host{s: &Service{receipts: r}, id: "c1"}.says("7-2", 0, "T-0002", 0, 3)
	r.Durable(e)
	if r.Progress(e, time.Now()); e.GetEnded() != 3 || e.LastEndedMs == nil || e.GetLastEndedMs() != 0 {
		t.Fatalf("3 have ended already, and it is %v", e)
	}
}

// door is a gate as control hears of it.
func (h host) door(boot, revision string) {
	h.s.receipts.Take(&emergencyv1.Beat{Enforcer: h.id, Service: "access-gate", BootId: boot, Revision: revision})
}

func TestTheTimeToEnforceIsOfThoseWhoWereThereWithoutTheEmergency(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := prometheus.NewRegistry()
	s.receipts.Measure = must(measure.New(r, s.receipts.Stale, s.receipts.Ages, s.missing))
	there, restarted, later := host{s: s, id: "g1"}, host{s: s, id: "g2"}, host{s: s, id: "g3"}
	there.door("b", "")
	restarted.door("b", "")
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	p.clock.advance(2 * time.Second)
	there.door("b", l.GetRevision())
	there.door("b", l.GetRevision())
	restarted.door("c", l.GetRevision())
	later.door("b", l.GetRevision())
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`_count{kind="access-gate"} 1`, `_bucket{kind="access-gate",le="1"} 0`, `_bucket{kind="access-gate",le="10"} 1`} {
		if !strings.Contains(answer.Body.String(), "portcullis_enforce_seconds"+want+"\n") {
			t.Errorf("the metrics lack %q:\n%s", want, answer.Body)
		}
	}
}

func TestWhoIsSilentOrBehindIsStaleAndWhoHasEndedIsNot(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	behind, silent, ended := host{s: s, id: "g1"}, host{s: s, id: "g2"}, host{s: s, id: "g3"}
	idle, busy := host{s: s, id: "c1"}, host{s: s, id: "c2"}
	for _, h := range []host{behind, silent, ended} {
		h.door("b", "")
	}
	idle.says("", 0, "", 0, 0)
	busy.says("", 2, "", 0, 0)
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	if all := s.receipts.Stale(); len(all) != 0 {
		t.Errorf("within three seconds: %v", all)
	}
	s.receipts.Leaves("access-gate/g3")
	p.clock.advance(receipt.Silence + time.Second)
	behind.door("b", "")
	got := s.receipts.Stale()
	slices.SortFunc(got, func(a, b measure.Stale) int { return strings.Compare(a.Kind+a.Why, b.Kind+b.Why) })
	want := []measure.Stale{{Kind: "access-gate", Why: measure.Behind}, {Kind: "access-gate", Why: measure.Silent}, {Kind: receipt.Connector, Why: measure.Silent}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p.clock.advance(time.Hour)
	if all := s.receipts.Stale(); len(all) != 0 {
		t.Errorf("after an hour: %v", all)
	}
}

func TestWhoCantTellWhetherItsViewIsFreshIsStaleAndShownSo(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.clock.stop()
	says := func(id string, mode emergencyv1.Enforcer_Mode, age, bound time.Duration) {
		b := &emergencyv1.Beat{Enforcer: id, Service: "access-gate", BootId: "b", Mode: mode}
		if bound > 0 {
			b.Bound = durationpb.New(bound)
		}
		if age >= 0 {
			b.Age = durationpb.New(age)
		}
		s.receipts.Take(b)
	}
	says("fresh", emergencyv1.Enforcer_STRICT, time.Second, 5*time.Second)
	says("of-an-earlier-version", emergencyv1.Enforcer_BEST_EFFORT, -1, 0)
	says("old", emergencyv1.Enforcer_BEST_EFFORT, 6*time.Second, 5*time.Second)
	says("without-any", emergencyv1.Enforcer_STRICT, -1, 5*time.Second)
	got := map[string]string{}
	for _, e := range must(s.ListEnforcers(p.as("admin"), &emergencyv1.ListEnforcersRequest{})).GetEnforcers() {
		got[e.GetId()] = fmt.Sprint(e.GetFresh(), e.GetMode(), e.GetAge().AsDuration(), e.GetBound().AsDuration())
	}
	want := map[string]string{
		"fresh": "true STRICT 1s 5s", "of-an-earlier-version": "true BEST_EFFORT 0s 0s", "old": "false BEST_EFFORT 6s 5s", "without-any": "false STRICT 0s 5s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]measure.Stale{{Kind: "access-gate", Why: measure.Old}, {Kind: "access-gate", Why: measure.Old}}, s.receipts.Stale()); diff != "" {
		t.Error(diff)
	}
	if all := s.receipts.Ages(); len(all) != 3 {
		t.Error(all)
	}
	p.clock.advance(2 * time.Second) // and nobody is heard any more
	for _, e := range must(s.ListEnforcers(p.as("admin"), &emergencyv1.ListEnforcersRequest{})).GetEnforcers() {
		if e.GetId() == "fresh" && e.GetAge().AsDuration() != 3*time.Second {
			t.Errorf("what nobody says gets no older: %v", e)
		}
	}
}
