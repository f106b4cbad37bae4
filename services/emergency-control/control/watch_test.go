package control

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
)

type told = emergencyv1.WatchEmergencyResponse

// watching is a reader of a watch. It takes a message only when the test asks for one.
type watching struct {
	grpc.ServerStream
	t     testing.TB
	ctx   context.Context
	told  chan *told
	cut   context.CancelCauseFunc
	ended chan error
}

func (w *watching) Context() context.Context { return w.ctx }

func (w *watching) Send(m *told) error {
	select {
	case w.told <- proto.CloneOf(m):
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (p *platform) watch(s *Service, id string) *watching {
	ctx, cut := context.WithCancelCause(p.as("admin"))
	w := &watching{t: p.t, ctx: ctx, cut: cut, told: make(chan *told), ended: make(chan error, 1)}
	p.t.Cleanup(func() { cut(nil) })
	go func() { w.ended <- s.WatchEmergency(&emergencyv1.WatchEmergencyRequest{Id: id}, w) }()
	return w
}

func (w *watching) next() *told {
	w.t.Helper()
	select {
	case m := <-w.told:
		return m
	case err := <-w.ended:
		w.t.Fatalf("the watch has ended: %v", err)
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing was told")
	}
	return nil
}

// until reads on until a message is as wanted, and answers how many it took.
func (w *watching) until(what string, is func(*told) bool) (m *told, messages int) {
	w.t.Helper()
	for messages = 1; messages <= 50; messages++ {
		if m = w.next(); is(m) {
			return m, messages
		}
	}
	w.t.Fatalf("never told: %s; the last is %v", what, m)
	return nil, 0
}

func TestAWatchTellsAtOnceAndOfEachReceiptTheCancelAndTheEnd(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1 := host{s: s, id: "c1"}
	c1.says("", 3, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	w := p.watch(s, l.GetId())
	first := w.next()
	progressOf(t, first.GetEmergency(), 3, 0, 0)
	if first.GetReceipts()[0].GetState() != emergencyv1.Receipt_WAITING || first.GetTime() == nil {
		t.Fatalf("at once it tells %v", first)
	}
	open := uint32(1)
	beat := must(proto.Marshal(&emergencyv1.Beat{Enforcer: "c1", Service: receipt.Connector, BootId: "b", Revision: l.GetRevision(), OpenSessions: &open,
		Cuts: []*emergencyv1.CutProgress{{Emergency: l.GetId(), Open: 1, Ended: 2}}}))
	if err := p.journal.Beat("beat."+receipt.Connector+".c1", beat); err != nil {
		t.Fatal(err)
	}
	heard, _ := w.until("the receipt", func(m *told) bool { return m.GetReceipts()[0].GetState() == emergencyv1.Receipt_CONFIRMED })
	progressOf(t, heard.GetEmergency(), 1, 2, 0)
	c1.says(l.GetRevision(), 0, l.GetId(), 0, 3)
	w.until("the last session", func(m *told) bool { return m.GetEmergency().GetEnded() == 3 && m.GetEmergency().GetOpen() == 0 })
	cancelled := must(s.CancelLockdown(p.as("admin"), p.cancel(l.GetId())))
	w.until("the cancel", func(m *told) bool {
		return m.GetEmergency().GetStatus() == emergencyv1.Emergency_CANCELLED && m.GetEmergency().GetRevision() == cancelled.GetRevision()
	})
	over := errors.New("signed out")
	w.cut(over)
	if err := <-w.ended; !errors.Is(err, over) {
		t.Error(err)
	}
}

func TestAWatchTellsOfBothEdgesOfAWindow(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	w := p.watch(s, l.GetId())
	for _, want := range []emergencyv1.Emergency_Status{emergencyv1.Emergency_PENDING, emergencyv1.Emergency_ONGOING, emergencyv1.Emergency_ENDED} {
		w.until(want.String(), func(m *told) bool { return m.GetEmergency().GetStatus() == want })
		p.clock.advance(time.Hour)
	}
}

func TestAQuietWatchSaysTheSameAgainAndOfWhomNothingIsHeard(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	host{s: s, id: "c1"}.says("", 2, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	w := p.watch(s, l.GetId())
	spoke := p.clock.now()
	if first := w.next(); len(first.GetSilentEnforcers()) > 0 {
		t.Fatalf("it has just spoken, and it is told %v", first)
	}
	p.clock.advance(receipt.Silence + time.Second)
	quiet, _ := w.until("the silence", func(m *told) bool { return len(m.GetSilentEnforcers()) == 1 })
	progressOf(t, quiet.GetEmergency(), 0, 0, 2)
	// A broker that speaks for it does not make it heard.
	host{s: s, id: "c1", mute: true}.says("", 2, l.GetId(), 2, 0)
	again, _ := w.until("what the broker says", func(m *told) bool { return m.GetReceipts()[0].GetOpenSessions() == 2 })
	if at := again.GetSilentEnforcers()[0].GetLastSeenTime().AsTime(); at.After(spoke) {
		t.Fatalf("it was heard last before %v, and %v is told", spoke, at)
	}
	p.clock.advance(watchSilence)
	beat := w.next()
	if beat.Time = again.GetTime(); !proto.Equal(again, beat) {
		t.Fatalf("nothing has changed but %v\nis %v", again, beat)
	}
}

func TestASlowReaderIsToldTheLatestAndNotWhatWasBetween(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	c1 := host{s: s, id: "c1"}
	c1.says("", 500, "", 0, 0)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	w := p.watch(s, l.GetId())
	w.next()
	for ended := range uint32(500) {
		c1.says(l.GetRevision(), 500-ended-1, l.GetId(), 500-ended-1, ended+1)
	}
	if _, messages := w.until("the latest", func(m *told) bool { return m.GetEmergency().GetEnded() == 500 }); messages > 3 {
		t.Errorf("it took %d messages", messages)
	}
}

func TestAWatchOfNothingIsRefusedBeforeItsFirstMessage(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	for id, reason := range map[string]string{"L-0001": fault.NotFound, "F-999999": fault.NotFound, "nonsense": fault.InvalidArgument} {
		w := p.watch(s, id)
		select {
		case err := <-w.ended:
			refused(t, err, reason)
		case m := <-w.told:
			t.Errorf("%s: told %v", id, m)
		}
	}
}

func TestAWatchWaitsForWhatAnotherReplicaHasJustWritten(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	w := p.watch(s, "F-0002")
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	if got := w.next().GetEmergency().GetId(); got != f.GetId() || got != "F-0002" {
		t.Errorf("%s is told of, and %s was applied", got, f.GetId())
	}
}

// BenchmarkTenThousandGuards is a second of their beats, and one look of a watch at them: an operation that takes 100 ms, once a second, is a
// tenth of a core.
func BenchmarkTenThousandGuards(b *testing.B) {
	p := newPlatform(b)
	s := p.replica()
	var messages [][]byte
	for part := range 20 {
		folded := &emergencyv1.Beat{}
		for i := range 500 {
			folded.Folded = append(folded.Folded, &emergencyv1.Beat{Service: "guard", Enforcer: fmt.Sprintf("orders-%05d@tok_0123456789", part*500+i), BootId: "BOOTBOOTBOOTBOOTBOOTBOOT",
				Mode: emergencyv1.Enforcer_STRICT, OpenSessions: new(uint32(3)), Age: durationpb.New(time.Second), Bound: durationpb.New(10 * time.Second)})
		}
		messages = append(messages, must(proto.Marshal(folded)))
	}
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	second := func() {
		for _, data := range messages {
			s.receipts.Take(readBeat("beat.guard.gate-1.folded", data))
		}
	}
	second()
	b.Run("beats", func(b *testing.B) {
		for b.Loop() {
			second()
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if n := len(s.picture(l.GetId()).GetReceipts()); n == 0 {
				b.Fatal(n)
			}
		}
	})
}
