package receipt

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/crowd"
)

const hosts = 300

// speaker tells the fold of connectors as a broker does, until it is killed: what waits is lost then, and nobody says goodbye.
func speaker(t *testing.T, f *Fold, name string) (tell func(generation uint64, revision string, ended uint32), kill func()) {
	ctx, kill := context.WithCancel(t.Context())
	c := crowd.New(crowd.Config{Service: Connector, Instance: name, Log: slog.New(slog.DiscardHandler), Beat: func(subject string, data []byte) error {
		if ctx.Err() != nil {
			return ctx.Err() // the dead say nothing
		}
		b := new(emergencyv1.Beat)
		err := proto.Unmarshal(data, b)
		all, folded := crowd.Of(Connector, subject, b)
		if !folded {
			t.Errorf("%s came alone", subject)
		}
		f.Take(&emergencyv1.Beat{Folded: all})
		return err
	}})
	c.Add(hosts)
	go func() { _ = c.Run(ctx) }()
	return func(generation uint64, revision string, ended uint32) {
		for i := range hosts {
			b := &emergencyv1.Beat{Service: Connector, Enforcer: fmt.Sprint("c", i), BootId: "b", Generation: generation, Revision: revision, OpenSessions: new(1 - ended)}
			if ended > 0 {
				b.Cuts = []*emergencyv1.CutProgress{{Emergency: "T-0002", Ended: ended}}
			}
			c.Tell(ctx, nil, b)
		}
	}, kill
}

func TestWhenABrokerIsKilledWhomItToldOfTogetherIsUnreachableUntilItIsBackElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		one, kill := speaker(t, f, "one")
		one(5, "7-1", 0)
		time.Sleep(time.Second / 2)
		e := &emergencyv1.Emergency{Id: "T-0002", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-2", Revision: "7-2",
			CreateTime: timestamppb.Now(), Selector: &emergencyv1.Selector{All: true}}
		f.Durable(e)
		one(5, "7-2", 1) // and it dies before it says so
		kill()
		check := func(when string, state emergencyv1.Receipt_State, ended, unreachable uint32) {
			t.Helper()
			synctest.Wait()
			all := f.Of(e, nil, time.Now())
			for _, r := range all {
				if r.GetState() != state {
					t.Fatalf("%s: %v", when, r)
				}
			}
			if f.Progress(e, time.Now()); len(all) != hosts || e.GetEnded() != ended || e.GetUnreachable() != unreachable || e.GetStatus() == emergencyv1.Emergency_DONE {
				t.Errorf("%s: %d receipts, %v", when, len(all), e)
			}
		}
		check("at once", emergencyv1.Receipt_WAITING, 0, 0)
		time.Sleep(Silence + time.Second)
		check("when it is silent", emergencyv1.Receipt_UNREACHABLE, 0, hosts)
		two, stop := speaker(t, f, "two")
		defer stop()
		two(6, "7-2", 1)
		time.Sleep(time.Second / 2)
		check("elsewhere", emergencyv1.Receipt_CONFIRMED, hosts, 0)
		again, end := speaker(t, f, "one")
		defer end()
		again(5, "7-1", 0) // what was under way all the time
		time.Sleep(time.Second / 2)
		check("after an old message", emergencyv1.Receipt_CONFIRMED, hosts, 0)
	})
}
