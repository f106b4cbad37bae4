package broker

import (
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
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
