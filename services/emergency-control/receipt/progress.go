package receipt

import (
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Progress fills in how far an emergency that has started is with the sessions that it ends: what
// connectors say, and nothing else. A connector that is silent is unreachable, never ended. Of a window
// that nobody says anything of any more nothing is filled in.
func (f *Fold) Progress(e *emergencyv1.Emergency, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	far, t := f.sum(e, now), f.times[e.GetId()]
	from, listened := f.listenedSince(e, t)
	if window(e) && !listened && !far.told {
		return
	}
	if t != nil {
		far.ended = t.total() // a connector that starts again begins to count anew
	}
	e.Open, e.Ended, e.Unreachable = &far.open, &far.ended, &far.unreachable
	if listened && !t.lastEnd.IsZero() {
		e.LastEndedMs = new(uint32(max(0, t.lastEnd.Sub(from).Milliseconds()))) // their clocks may be ahead of this one
	}
	switch {
	case window(e):
	case far.confirmed && f.heard(now):
		e.Status = emergencyv1.Emergency_DONE
	case now.Sub(e.GetCreateTime().AsTime()) > partialAfter:
		e.Status = emergencyv1.Emergency_PARTIAL
	default:
		e.Status = emergencyv1.Emergency_RUNNING
	}
}

// far is how far one emergency is with all connectors.
type far struct {
	open, ended, unreachable uint32
	confirmed                bool // by every connector
	told                     bool // there is a connector that tells of it, or has yet to hear of it
}

func (f *Fold) sum(e *emergencyv1.Emergency, now time.Time) far {
	sum := far{confirmed: true}
	selects, _ := emergency.CutOf(e)
	cut, begun := first(e), f.begun(e)
	for _, enforcer := range f.kinds[Connector] {
		p, unheard := enforcer.progress(e.GetId()), enforcer.unheard(e, begun)
		sum.ended += p.GetEnded()
		sum.told = sum.told || p != nil || unheard
		if enforcer.reachable(now) {
			sum.open += p.GetOpen()
			if unheard && selects.Selector.GetAll() {
				sum.open += enforcer.beat.GetOpenSessions()
			}
			sum.confirmed = sum.confirmed && !enforcer.revision.Less(cut) && p.GetOpen() == 0
			continue
		}
		left := p.GetOpen()
		if unheard {
			left = enforcer.beat.GetOpenSessions() // whom it selects is not known: all that it had
		}
		sum.unreachable += left
		sum.confirmed = sum.confirmed && left == 0
	}
	return sum
}

// begun is the revision that who holds it knows an emergency to be on; zero while the start of a window
// is not on record.
func (f *Fold) begun(e *emergencyv1.Emergency) emergency.Revision {
	t := f.times[e.GetId()]
	switch {
	case !window(e):
		return first(e)
	case t != nil && !t.begun.IsZero():
		return t.begun
	case e.GetStarted():
		return latest(e)
	}
	return emergency.Revision{}
}

// unheard reports whether a connector has yet to say what an emergency selects there. That a window has
// ended nobody yet says nothing if it was said before the start.
func (e *enforcer) unheard(of *emergencyv1.Emergency, begun emergency.Revision) bool {
	p, itself := e.progress(of.GetId()), !e.beat.GetUnreachable()
	if p.GetOpen()+p.GetEnded() > 0 || p != nil && !itself {
		return false // a broker that speaks for it has looked
	}
	if begun.IsZero() {
		return !itself || e.seen.Before(of.GetStartTime().AsTime())
	}
	return e.revision.Less(begun)
}

// listenedSince answers from when on an emergency ends sessions, and whether connectors have been heard since then: by this process, or
// by who has told us.
func (f *Fold) listenedSince(e *emergencyv1.Emergency, t *timing) (from time.Time, since bool) {
	if t == nil {
		return time.Time{}, false
	}
	from = t.durable
	if window(e) {
		from = e.GetStartTime().AsTime()
	}
	return from, t.kept && !t.durable.IsZero() || t.known && !f.since.After(from)
}

// total is how many sessions the connectors have confirmed to have ended.
func (t *timing) total() uint32 {
	var sum uint32
	for _, lives := range t.ended {
		sum += total(lives)
	}
	return sum
}

func total(lives map[string]uint32) (sum uint32) {
	for _, n := range lives {
		sum += n
	}
	return sum
}

// heard reports whether a broker speaks, and everyone has had the time to: before that, nothing is known
// of any connector.
func (f *Fold) heard(now time.Time) bool {
	if now.Sub(f.since) < Silence {
		return false
	}
	for _, e := range f.kinds[Broker] {
		if e.reachable(now) {
			return true
		}
	}
	return false
}
