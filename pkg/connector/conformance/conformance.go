// Package conformance tries a session host, whatever it is written in, against what a broker expects of it,
// over the real stream. Anyone can run it against their own:
//
//	func TestMyHost(t *testing.T) { conformance.Run(t, startMyHost) }
//
// The suite serves broker and gate on one address, as Portcullis does in public, and takes any token.
package conformance

import (
	"io"
	"testing"
	"time"
)

// Device is the one that sessions lead to.
const Device = "db-1"

// Users are who opens them.
func Users() []string { return []string{"alice", "bob"} }

// Host is one that runs, with a device behind it that answers each line with the same line.
type Host interface {
	// Open has a person begin a session to Device, as they would, and does not wait until they are let in.
	// Reading answers all that they get to see: the device's lines, why they are refused or cut off.
	Open(t *testing.T, user string) io.ReadWriteCloser
	// Kill ends the host at once, as a crash does.
	Kill()
}

// Start runs a host against the broker and gate at an address. It is called twice: after Kill for the same
// host again.
type Start func(t *testing.T, address string) Host

const (
	// soon is within what must happen that takes no waiting; a second on a machine that does nothing else.
	soon = 10 * time.Second
	// patience is for what waits by itself: a silence, an attempt.
	patience = 30 * time.Second
)

// Run tries a host: one thing after the other, for some things only a broker that is away can show.
func Run(t *testing.T, start Start) {
	s := newStand(t)
	r := &run{stand: s, host: start(t, s.address)}
	for _, one := range []struct {
		name string
		try  func(*testing.T, *run)
	}{
		{"it announces itself", announces},
		{"it beats, and says what it holds", beats},
		{"a session is registered before the gate is asked, and again after", opens},
		{"whoever is refused reads why and leaves nothing", refused},
		{"a cut that comes before the gate's answer bites", func(t *testing.T, r *run) { cutBefore(t, r, 1) }},
		{"a cut that comes while the device is dialled bites", func(t *testing.T, r *run) { cutBefore(t, r, 2) }},
		{"a termination ends what did not know of it, and says why", terminated},
		{"a cut that is said again ends nothing that came after it", saidAgain},
		{"a selector narrows a cut, and an empty one is nobody", selected},
		{"one session is ended by name", named},
		{"ends are repeated until they are confirmed", confirmed},
		{"sessions go on without a broker, and the next one hears everything", reattached},
		{"what was applied while no broker was there bites at the hello", late},
		{"a start that is known bites on time with nobody to say it, and no older standing takes it back", onTime},
		{"a broker that is silent is left", silent},
		{"a suspended session holds what its person sends, and loses nothing", suspended},
		{"a suspended session outlives the broker, and is ended by a cut", suspendedAndCut},
		{"a host that starts again has nothing of before", func(t *testing.T, r *run) { restarted(t, r, start) }},
	} {
		if !t.Run(one.name, func(t *testing.T) { one.try(t, r) }) {
			return // what follows would fail of this
		}
		r.tidy(t)
	}
}

// run is the suite under way.
type run struct {
	stand *stand
	host  Host
}

// open opens a session that is let in.
func (r *run) open(t *testing.T, user string) *person {
	t.Helper()
	s := r.stand
	s.await(t, "the host has heard a broker once", patience, func() bool { return s.beat.GetHeldRevision() != "" })
	p := r.begin(t, user)
	p.says(t, "hello")
	p.reads(t, "hello")
	s.await(t, "the session is OPEN", soon, func() bool {
		p.id = s.newest(user)
		return p.id != ""
	})
	return p
}

// begin has somebody open a session, whatever comes of it.
func (r *run) begin(t *testing.T, user string) *person {
	t.Helper()
	return newPerson(t, r.host.Open(t, user))
}

// tidy waits until nothing of a test is left.
func (r *run) tidy(t *testing.T) {
	t.Helper()
	s := r.stand
	s.serve(t)
	s.await(t, "no session is left of what was just tried", patience, func() bool { return len(s.sessions) == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.seen = map[string][]*end{}, map[string]bool{}
}
