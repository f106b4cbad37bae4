package broker

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

func TestAReplicaCountsWhatACutMeansOnAConnectorThatDiedWithAnother(t *testing.T) {
	t.Parallel()
	g := newGround(t, registry.NewMemory())
	one, two := g.replica(), g.replica()
	before := g.site("host-1", one.addr)
	before.open("alice", "db-1")
	before.stop()
	eventually(t, "both have looked for it", func() bool {
		h := two.host("host-1")
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.remembered && len(h.sessions) == 1
	})
	site := g.site("host-1", one.addr)
	site.open("alice", "db-1")
	site.open("bob", "web-1")
	eventually(t, "the other has heard of it, and the index has its sessions", func() bool {
		h := two.host("host-1")
		return h.reachable(time.Now()) && len(h.live()) == 0 && g.pulses.of("host-1").GetOpenSessions() == 2 && len(two.list(t, "")) == 2
	})
	one.kill()
	site.stop()
	id := g.view.terminate(&emergencyv1.Selector{Users: []string{"alice"}})
	eventually(t, "it counts what is selected, and nothing else", func() bool {
		beat := g.pulses.of("host-1")
		return beat.GetUnreachable() && beat.GetOpenSessions() == 2 && beat.GetGeneration() == 0 && g.pulses.cut("host-1", id).GetOpen() == 1
	})
	g.site("host-1", two.addr)
	eventually(t, "it is back", func() bool { return !g.pulses.of("host-1").GetUnreachable() })
	if got := g.pulses.of("host-1"); got.GetGeneration() == 0 {
		t.Errorf("who has it says so: %v", got)
	}
}

func TestSessionsThatTheIndexLacksCountAsSelected(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	h := newHost("host-1")
	h.beat = &sessionv1.Heartbeat{OpenSessions: 3}
	h.sessions["a"] = session("host-1", "a")
	id := g.view.terminate(&emergencyv1.Selector{Users: []string{"nobody"}})
	if got := r.estimate(h); len(got) != 1 || got[0].GetEmergency() != id || got[0].GetOpen() != 2 {
		t.Errorf("of three one is known, which is not selected, and it says %v", got)
	}
}

func TestAReplicaBelievesInTheNextLifeOfAConnectorThoughAClockWasAhead(t *testing.T) {
	t.Parallel()
	g := newGround(t, registry.NewMemory())
	two := g.replica()
	b, err := New(Config{Instance: "ahead", Now: func() time.Time { return time.Now().Add(time.Hour) }}, Deps{
		View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index, Records: two.deps.Records})
	must(t, err)
	ahead := g.serve(b, "127.0.0.1:0")
	site := g.site("host-1", ahead.addr)
	generation := func() uint64 {
		h := two.host("host-1")
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.elsewhere.GetGeneration()
	}
	eventually(t, "the other has heard of it", func() bool { return generation() > uint64(time.Now().UnixMilli()) })
	ahead.kill()
	site.stop()
	right := g.replica() // its clock was put right
	g.site("host-1", right.addr)
	eventually(t, "the other hears of its next life", func() bool {
		return 0 < generation() && generation() <= uint64(time.Now().UnixMilli()) && two.host("host-1").reachable(time.Now())
	})
}

func TestWhatAConnectorGoesByThatOnlyAnotherReplicaHasHadIsAsOldAsThatOnesLastWord(t *testing.T) {
	g, now := newGround(t, registry.NewMemory()), time.Now()
	b, err := New(Config{Instance: "other", Now: func() time.Time { return now }}, Deps{
		View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index, Tell: func(b *emergencyv1.Beat) { b.Age = durationpb.New(time.Second) },
		Records: func(ctx context.Context) (Records, error) { return g.journal.Stream(ctx, "SESSION") }})
	must(t, err)
	b.hearOf(&emergencyv1.Beat{Service: serviceHosts, Enforcer: "host-1", BootId: "b", Generation: 7, OpenSessions: new(uint32(1))})
	now = now.Add(5 * time.Second)
	h, beat := b.host("host-1"), &emergencyv1.Beat{}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.tellOf(h, beat); beat.GetAge().AsDuration() != 6*time.Second {
		t.Errorf("it is %v old", beat.GetAge().AsDuration())
	}
}
