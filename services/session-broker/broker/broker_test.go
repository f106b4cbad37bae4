package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/session-broker/registry"
)

func everyone() *emergencyv1.Selector { return &emergencyv1.Selector{All: true} }

func (r *replica) list(t testing.TB, filter string) []*sessionv1.Session {
	t.Helper()
	answer, err := r.ListSessions(t.Context(), &sessionv1.ListSessionsRequest{Filter: filter, PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetSessions()
}

func (g *ground) recorded(id string) *sessionv1.Session {
	stream, err := g.journal.Stream(g.t.Context(), "SESSION")
	if err != nil {
		g.t.Fatal(err)
	}
	e, err := stream.Last(g.t.Context(), subjectRecord+id)
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	r := new(sessionv1.SessionRecord)
	if err != nil || proto.Unmarshal(e.Data, r) != nil {
		g.t.Fatal(err)
	}
	return r.GetSession()
}

func TestATerminationEndsEverySessionOnEveryConnector(t *testing.T) {
	stores(t, func(t *testing.T, index both) {
		g := newGround(t, index)
		r := g.replica()
		one, two := g.site("host-1", r.addr), g.site("host-2", r.addr)
		all := []*live{one.open("alice", "db-1"), one.open("bob", "web-1"), two.open("alice", "db-1")}
		eventually(t, "the list has them", func() bool { return len(r.list(t, "")) == 3 })
		id := g.view.terminate(everyone())
		for _, l := range all {
			l.mustEnd(t, id)
		}
		eventually(t, "the receipts say so", func() bool {
			return g.pulses.cut("host-1", id).GetEnded() == 2 && g.pulses.cut("host-2", id).GetEnded() == 1 && g.pulses.cut("host-1", id).GetOpen() == 0
		})
		eventually(t, "the list is empty", func() bool { return len(r.list(t, "")) == 0 })
		eventually(t, "the ends are on record", func() bool {
			s := g.recorded(all[0].ID())
			return s.GetState() == sessionv1.Session_ENDED && s.GetEndCause() == id && s.GetUser() == "alice" && s.GetDevice() == "db-1"
		})
		fresh := one.open("alice", "db-1") // new ones may start at once
		g.view.change(func(b *emergency.Builder) { b.PutDevice("another", false) })
		one.mustLive(fresh)
	})
}

func TestASelectorOfGroupsMeansStampsAndMembersOfThatTime(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	stamped, joined, other := site.open("alice", "db-1"), site.open("bob", "web-1"), site.open("alice", "web-1")
	g.view.change(func(b *emergency.Builder) { // db-1 leaves, web-1 joins
		b.PutGroup("payments", nil, []string{"web-1"}, true)
	})
	g.view.terminate(&emergencyv1.Selector{AccessGroups: []string{"payments"}, Users: []string{"bob", "carol"}})
	joined.mustEnd(t, "T-")
	site.mustLive(stamped)
	site.mustLive(other)
	g.view.terminate(&emergencyv1.Selector{AccessGroups: []string{"payments"}, Devices: []string{"db-1"}})
	stamped.mustEnd(t, "T-")
	id := g.view.terminate(&emergencyv1.Selector{AccessGroups: []string{"later"}})
	site.mustLive(other)
	g.view.change(func(b *emergency.Builder) { b.PutGroup("later", nil, []string{"web-1"}, false) })
	site.mustLive(other) // it joined after the termination
	if got := g.pulses.cut("host-1", id); got.GetOpen() != 0 {
		t.Errorf("the receipts say %v", got)
	}
}

func TestAFreezeThatEndsLiveSessionsSparesAdministratorsAndOtherDevices(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	frozen, admin, free := site.open("alice", "db-1"), site.open("root", "db-1"), site.open("alice", "web-1")
	ends := true
	g.view.change(func(b *emergency.Builder) {
		e := window(emergencyv1.Emergency_FREEZE, b.Revision(), time.Now(), time.Hour)
		e.Started, e.EndLiveSessions = true, &ends
		b.PutEmergency(e)
	})
	frozen.mustEnd(t, "frozen")
	site.mustLive(admin)
	site.mustLive(free)
	g.view.change(func(b *emergency.Builder) { b.PutGroup("payments", nil, []string{"db-1", "web-1"}, true) })
	free.mustEnd(t, "frozen") // editing a group during the freeze changes what is blocked
	site.mustLive(admin)
}

func TestAFreezeThatEndsNoLiveSessionsEndsNone(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	s := site.open("alice", "db-1")
	g.view.change(func(b *emergency.Builder) {
		e := window(emergencyv1.Emergency_FREEZE, b.Revision(), time.Now(), time.Hour)
		e.Started = true
		b.PutEmergency(e)
	})
	site.mustLive(s)
}

func TestAScheduledLockdownEndsOnTimeWithBrokerAndControlGone(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	s := site.open("alice", "db-1")
	start := time.Now().Add(time.Second)
	g.view.lockdown(start)
	site.mustLive(s)
	r.kill()
	s.mustEnd(t, "until")
	if late := time.Since(start); late > 500*time.Millisecond {
		t.Errorf("it ended %v late", late)
	}
}

func TestALateConnectorEndsItsOwnAndNoneThatWasOpenedAfter(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	old := site.open("alice", "db-1")
	r.kill()
	id := g.view.terminate(everyone())
	fresh := site.open("bob", "web-1") // the gate knows of the termination, the connector doesn't
	g.replicaAt(r.addr)
	old.mustEnd(t, id)
	site.mustLive(fresh)
	eventually(t, "the new broker has it on record", func() bool { return g.recorded(old.ID()).GetEndCause() == id })
}

func TestASilentConnectorIsUnreachableAndNothingOnItIsCalledEnded(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	s := site.open("alice", "db-1")
	eventually(t, "the list has it", func() bool { return len(r.list(t, "")) == 1 })
	site.stop() // it is gone, and what became of its session nobody knows
	id := g.view.terminate(everyone())
	eventually(t, "the receipts say that it is unreachable", func() bool {
		beat := g.pulses.of("host-1")
		return beat.GetUnreachable() && beat.GetOpenSessions() == 1 && g.pulses.cut("host-1", id).GetOpen() == 1 && g.pulses.cut("host-1", id).GetEnded() == 0
	})
	if got := r.list(t, ""); len(got) != 1 || got[0].GetState() != sessionv1.Session_UNREACHABLE {
		t.Errorf("the list has %v", got)
	}
	connectors, err := r.ListConnectors(t.Context(), nil)
	if err != nil || connectors.GetConnectors()[0].GetState() != sessionv1.Connector_UNREACHABLE || connectors.GetConnectors()[0].GetOpenSessions() != 1 {
		t.Errorf("got %v, %v", connectors, err)
	}
	counted, err := r.CountSelected(t.Context(), &sessionv1.CountSelectedRequest{Selector: everyone()})
	if err != nil || !slices.Equal(counted.GetUnreachableConnectors(), []string{"host-1"}) {
		t.Errorf("counted %v, %v", counted, err)
	}
	again := g.site("host-1", r.addr) // its next process: what the one before had is lost with it
	eventually(t, "the session is on record as lost", func() bool { return g.recorded(s.ID()).GetEndCause() == causeLost })
	eventually(t, "the list has let go of it", func() bool { return again.Live() == 0 && len(r.list(t, "")) == 0 })
}

func TestAConnectorThatFellSilentBeforeALockdownsStartIsUnreachableWithAllThatItHad(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	site.open("alice", "db-1")
	l := g.view.lockdown(time.Now().Add(4 * time.Second))
	eventually(t, "the connector knows of the lockdown, and has nothing to say of it", func() bool {
		cut := g.pulses.cut("host-1", l.GetId())
		return site.Held() == g.view.State().Emergency.Revision() && cut != nil && cut.GetOpen()+cut.GetEnded() == 0
	})
	site.stop()
	eventually(t, "the receipts say that it is unreachable", func() bool { return g.pulses.of("host-1").GetUnreachable() })
	if early := g.pulses.cut("host-1", l.GetId()); early.GetOpen() != 0 && time.Now().Before(l.GetStartTime().AsTime()) {
		t.Errorf("before the start the receipts say %v", early)
	}
	eventually(t, "the receipts say, after the start, that its session may be open", func() bool {
		cut := g.pulses.cut("host-1", l.GetId())
		return cut.GetOpen() == 1 && cut.GetEnded() == 0
	})
}

func TestWhoIsDisabledOrRemovedLosesTheirSessions(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	user, device, stays := site.open("alice", "web-1"), site.open("bob", "db-1"), site.open("bob", "web-1")
	g.view.change(func(b *emergency.Builder) { b.PutUser("alice", false, true) })
	user.mustEnd(t, "Your user has been disabled")
	g.view.change(func(b *emergency.Builder) { b.PutDevice("db-1", true) })
	device.mustEnd(t, "db-1 has been disabled")
	site.mustLive(stays)
	late := site.open("alice", "web-1") // let in by a gate that lags
	late.mustEnd(t, "disabled")
	g.view.change(func(b *emergency.Builder) { b.DeleteUser("bob") })
	select {
	case got := <-stays.reasons:
		if !strings.Contains(got, "removed") {
			t.Errorf("it was told %q", got)
		}
	case <-time.After(doubt + 3*time.Second):
		t.Error("a deleted user's session goes on")
	}
}

func TestADeviceThatIsNotKnownHereYetIsWaitedFor(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	s := site.open("alice", "new-1") // the gate knows it, the broker not yet
	time.Sleep(time.Second)
	g.view.change(func(b *emergency.Builder) { b.PutDevice("new-1", false) })
	time.Sleep(doubt)
	site.mustLive(s)
}

func TestAnAdministratorEndsOneSessionAndHearsThatItEnded(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	one, other := site.open("alice", "db-1"), site.open("alice", "db-1")
	eventually(t, "the list has them", func() bool { return len(r.list(t, "user=alice AND device=db-1")) == 2 })
	ctx := who.NewContext(t.Context(), who.Caller{User: "root"})
	s, err := r.EndSession(ctx, &sessionv1.EndSessionRequest{Id: one.ID(), Justification: "asked for"})
	if err != nil || s.GetState() != sessionv1.Session_ENDED {
		t.Fatalf("got %v, %v", s, err)
	}
	one.mustEnd(t, "An administrator ended it")
	site.mustLive(other)
	eventually(t, "it is on record", func() bool { return g.recorded(one.ID()).GetEndCause() == causeEnded })
	if s, err := r.EndSession(ctx, &sessionv1.EndSessionRequest{Id: one.ID()}); err != nil || s.GetState() != sessionv1.Session_ENDED {
		t.Errorf("once more: %v, %v", s, err)
	}
	for _, id := range []string{"", "nobody", "a.b", "*", "a\nb"} {
		if _, err := r.EndSession(ctx, &sessionv1.EndSessionRequest{Id: id}); !fault.Is(err, fault.NotFound) {
			t.Errorf("ending %q: %v", id, err)
		}
	}
}

func TestAnOrderReachesTheReplicaThatHasTheConnector(t *testing.T) {
	index := registry.NewRedis(startRedis(t))
	g := newGround(t, index)
	here, there := g.replica(), g.replica()
	site := g.site("host-1", there.addr)
	s := site.open("alice", "db-1")
	eventually(t, "the other replica lists it", func() bool { return len(here.list(t, "")) == 1 })
	got, err := here.EndSession(t.Context(), &sessionv1.EndSessionRequest{Id: s.ID()})
	if err != nil || got.GetState() != sessionv1.Session_ENDED {
		t.Errorf("got %v, %v", got, err)
	}
	s.mustEnd(t, "An administrator ended it")
}

func TestAWipedIndexFillsAgainAndReadsUnknownUntilThen(t *testing.T) {
	client := startRedis(t)
	index := registry.NewRedis(client)
	g := newGround(t, index)
	here, there := g.replica(), g.replica()
	site := g.site("host-1", there.addr)
	for range 300 {
		site.open("alice", "db-1")
	}
	eventually(t, "the other replica counts them", func() bool {
		counted, err := here.CountSelected(t.Context(), &sessionv1.CountSelectedRequest{Selector: everyone()})
		return err == nil && counted.GetSessions() == 300 && len(counted.GetUnreachableConnectors()) == 0
	})
	eventually(t, "and hears that it has them", func() bool {
		connectors, err := here.ListConnectors(t.Context(), nil)
		return err == nil && connectors.GetConnectors()[0].GetOpenSessions() == 300
	})
	must(t, client.FlushAll(t.Context()).Err())
	counted, err := here.CountSelected(t.Context(), &sessionv1.CountSelectedRequest{Selector: everyone()})
	if err != nil || counted.GetSessions() < 300 && !slices.Equal(counted.GetUnreachableConnectors(), []string{"host-1"}) {
		t.Errorf("just wiped: %v, %v", counted, err)
	}
	eventually(t, "the list is full again", func() bool { return len(here.list(t, "")) == 300 })
	wiped := time.Now()
	must(t, client.FlushAll(t.Context()).Err()) // once more, long before everything is vouched for anew
	eventually(t, "the list is full once more", func() bool { return len(here.list(t, "")) == 300 })
	if took := time.Since(wiped); took > 5*look {
		t.Errorf("it took %v", took)
	}
}

func TestAMissingIndexHoldsUpNoEnding(t *testing.T) {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: t.TempDir() + "/nobody", MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	g := newGround(t, registry.NewRedis(client))
	r := g.replica()
	site := g.site("host-1", r.addr)
	s := site.open("alice", "db-1")
	begun := time.Now()
	id := g.view.terminate(everyone())
	s.mustEnd(t, id)
	eventually(t, "the receipts say so", func() bool { return g.pulses.cut("host-1", id).GetEnded() == 1 })
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := r.ListSessions(t.Context(), &sessionv1.ListSessionsRequest{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a list without an index: %v", err)
	}
}

// broken is a journal that takes nothing.
type broken struct{ Records }

func (broken) AppendBatch(context.Context, []journal.Message) (uint64, error) {
	return 0, journal.ErrFull
}

func TestAFullRecordHoldsUpNoEnding(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	r.kill()
	b, err := New(Config{Instance: "full"}, Deps{View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index,
		Records: func(ctx context.Context) (Records, error) {
			s, err := g.journal.Stream(ctx, "SESSION")
			return broken{s}, err
		}})
	must(t, err)
	full := g.serve(b, "127.0.0.1:0")
	site := g.site("host-1", full.addr)
	for range 3 {
		s := site.open("alice", "db-1")
		id := g.view.terminate(everyone())
		s.mustEnd(t, id)
		eventually(t, "the receipts say so", func() bool { return g.pulses.cut("host-1", id).GetEnded() == 1 })
	}
}

func TestAFilterNamesFieldsAndNothingElse(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	site.open("alice", "db-1")
	site.open("bob", "web-1")
	eventually(t, "the list has them", func() bool { return len(r.list(t, "")) == 2 })
	for filter, want := range map[string]int{"user=alice": 1, "device=web-1 AND user=bob": 1, "user=alice AND device=web-1": 0,
		"connector=host-1": 2, "connector=host-2": 0, "protocol=SSH": 2} {
		if got := r.list(t, filter); len(got) != want {
			t.Errorf("%s: %d sessions, want %d", filter, len(got), want)
		}
	}
	for _, filter := range []string{"user", "user=", "colour=red", "user=a AND user=b", "AND", "user=alice OR user=bob AND"} {
		if _, err := r.ListSessions(t.Context(), &sessionv1.ListSessionsRequest{Filter: filter}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q was taken: %v", filter, err)
		}
	}
	if _, err := r.ListSessions(t.Context(), &sessionv1.ListSessionsRequest{PageToken: "%%%"}); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a page token of somebody else: %v", err)
	}
	if _, err := r.CountSelected(t.Context(), &sessionv1.CountSelectedRequest{Selector: &emergencyv1.Selector{}}); !fault.Is(err, fault.SelectorEmpty) {
		t.Errorf("an empty selector: %v", err)
	}
}

func TestAListComesInPagesThatMissNothing(t *testing.T) {
	stores(t, func(t *testing.T, index both) {
		g := newGround(t, index)
		r := g.replica()
		site := g.site("host-1", r.addr)
		for range 25 {
			site.open("alice", "db-1")
		}
		eventually(t, "the list has them", func() bool { return len(r.list(t, "")) == 25 })
		seen, token := map[string]bool{}, ""
		for pages := 1; ; pages++ {
			answer, err := r.ListSessions(t.Context(), &sessionv1.ListSessionsRequest{PageSize: 10, PageToken: token, Filter: "user=alice"})
			must(t, err)
			for _, s := range answer.GetSessions() {
				seen[s.GetId()] = true
			}
			if token = answer.GetNextPageToken(); token == "" {
				if pages != 3 {
					t.Errorf("it came in %d pages", pages)
				}
				break
			}
		}
		if len(seen) != 25 {
			t.Errorf("the pages had %d sessions", len(seen))
		}
	})
}

func TestAnotherProcessOfTheSameConnectorTakesOver(t *testing.T) {
	for name, others := range map[string]int64{"of a few": 0, "of very many": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			takeOver(t, others)
		})
	}
}

// takeOver has a connector come back elsewhere, and fall silent there, where brokers speak for so many others.
func takeOver(t *testing.T, others int64) {
	g := newGround(t, registry.NewMemory())
	one, two := g.replica(), g.replica()
	one.crowd.Add(others)
	two.crowd.Add(others)
	site := g.site("host-1", one.addr)
	site.open("alice", "db-1")
	eventually(t, "it is told of", func() bool { return g.pulses.of("host-1").GetOpenSessions() == 1 })
	before := g.pulses.of("host-1").GetGeneration()
	site.stop()
	again := g.site("host-1", two.addr)
	again.open("bob", "web-1")
	eventually(t, "the first replica has let go", func() bool {
		beat := g.pulses.of("host-1")
		return beat.GetGeneration() > before && !beat.GetUnreachable() && !one.host("host-1").attachedHere()
	})
	time.Sleep(silence + time.Second)
	if beat := g.pulses.of("host-1"); beat.GetUnreachable() || beat.GetOpenSessions() != 1 {
		t.Errorf("the receipts say %v", beat)
	}
	again.stop()
	eventually(t, "it is unreachable, and its session not ended", func() bool {
		beat := g.pulses.of("host-1")
		return beat.GetUnreachable() && beat.GetOpenSessions() == 1
	})
	g.pulses.mu.Lock()
	defer g.pulses.mu.Unlock()
	if (g.pulses.folded > 0) != (others > 0) {
		t.Errorf("%d came together with others", g.pulses.folded)
	}
}

func TestATokenAttachesTheConnectorOfItsName(t *testing.T) {
	ctx := who.NewContext(t.Context(), who.Caller{Token: "abc", TokenName: "host-9"})
	if err := mayAttach(ctx, "host-9"); err != nil {
		t.Error(err)
	}
	if err := mayAttach(ctx, "bastion-1"); !fault.Is(err, fault.PermissionDenied) {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{"", "a/b", "a.b", "a b", strings.Repeat("x", 65)} {
		if err := mayAttach(t.Context(), id); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%q may attach: %v", id, err)
		}
	}
}

func TestOldCutsBehindANewerOneForEveryoneAreNotSent(t *testing.T) {
	v := newView()
	v.terminate(&emergencyv1.Selector{Users: []string{"alice"}})
	v.terminate(everyone())
	pending := v.lockdown(time.Now().Add(time.Hour))
	v.terminate(everyone())
	last := v.terminate(&emergencyv1.Selector{Users: []string{"bob"}})
	names := func() (all []string) {
		for _, c := range standingCuts(v.State().Emergency) {
			all = append(all, c.Emergency)
		}
		return all
	}
	if got := names(); len(got) != 3 || !slices.Contains(got, last) || !slices.Contains(got, pending.GetId()) {
		t.Errorf("sent are %v", got) // the window that is to come, the newest for everyone, and what came after
	}
	v.change(func(b *emergency.Builder) { // it starts, which is on record after the newer cut
		started := proto.CloneOf(pending)
		started.Started, started.StartTime, started.Revision = true, timestamppb.Now(), b.Revision().String()
		b.PutEmergency(started)
	})
	if got := names(); !slices.Contains(got, pending.GetId()) {
		t.Errorf("sent are %v, without the window that some were admitted knowing of", got)
	}
	v.terminate(everyone())
	if got := names(); len(got) != 1 {
		t.Errorf("sent are %v", got)
	}
}
