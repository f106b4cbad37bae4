package broker

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

func TestALockEndsWhatItShutsAndWhatComesUnderItLater(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	lock := func(sel *emergencyv1.Selector) (id string) {
		g.view.change(func(b *emergency.Builder) {
			e := window(emergencyv1.Emergency_LOCK, b.Revision(), time.Now(), time.Hour)
			e.Started, e.EndTime, e.Duration, e.Selector = true, nil, nil, sel
			id = e.GetId()
			b.PutEmergency(e)
		})
		return id
	}
	user, other := site.open("alice", "web-1"), site.open("bob", "web-1")
	lock(&emergencyv1.Selector{Users: []string{"alice"}})
	user.mustEnd(t, "Your user is locked (L-")
	admin := site.open("root", "db-1")
	on := lock(&emergencyv1.Selector{AccessGroups: []string{"payments"}})
	admin.mustEnd(t, "The device is locked ("+on+"), until an administrator lifts it")
	eventually(t, "its receipt says so", func() bool { return g.pulses.cut("host-1", on).GetEnded() == 1 })
	site.mustLive(other)
	since := site.open("bob", "web-1") // both the lock and the session are there, and not yet in each other's way
	g.view.change(func(b *emergency.Builder) { b.PutGroup("payments", nil, []string{"db-1", "web-1"}, true) })
	other.mustEnd(t, "The device is locked ("+on+")")
	since.mustEnd(t, "The device is locked ("+on+")")
	eventually(t, "on record by what ended it", func() bool { return g.recorded(since.ID()).GetEndCause() == on })
}

func TestAConnectorThatWasAwayForTheWholeOfALockdownEndsWhatItHadHeldOpen(t *testing.T) {
	for name, over := range map[string]func(*emergencyv1.Emergency){
		"which was cancelled": func(e *emergencyv1.Emergency) {
			e.Started, e.CancelTime, e.EndTime = true, timestamppb.Now(), timestamppb.Now()
		},
		"whose edges are on no record": func(e *emergencyv1.Emergency) {
			e.StartTime, e.EndTime = timestamppb.New(time.Now().Add(-2*time.Minute)), timestamppb.New(time.Now().Add(-time.Minute))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t, registry.NewMemory())
			r := g.replica()
			site := g.site("host-1", r.addr)
			old := site.open("alice", "db-1")
			held, told := site.suspendable("bob", "web-1")
			r.mustBe(t, held.ID(), sessionv1.Session_OPEN)
			r.suspend(t, held.ID())
			<-told
			r.kill()
			var id string
			g.view.change(func(b *emergency.Builder) {
				e := window(emergencyv1.Emergency_LOCKDOWN, b.Revision(), time.Now(), time.Hour)
				over(e)
				id = e.GetId()
				b.PutEmergency(e)
			})
			fresh := site.open("alice", "db-1") // the gate lets people in again
			again := g.replicaAt(r.addr)
			old.mustEnd(t, id)
			held.mustEnd(t, id)
			site.mustLive(fresh)
			eventually(t, "it is on record", func() bool { return g.recorded(held.ID()).GetEndCause() == id })
			if s := again.resume(t, held.ID()); s.GetState() != sessionv1.Session_ENDED {
				t.Errorf("resuming one that is over: %v", s)
			}
		})
	}
}
