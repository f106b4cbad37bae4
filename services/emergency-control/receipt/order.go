package receipt

import (
	"slices"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// past is a life of an enforcer that is over.
type past struct {
	boot  string
	until time.Time
}

// late reports whether a beat comes from before what was heard already, or from who knows less: no life of an enforcer holds less than
// it held. Two programs that share a name are both heard, in turns.
func (f *Fold) late(key string, before *enforcer, beat *emergencyv1.Beat, revision emergency.Revision, now time.Time) bool {
	switch {
	case before == nil:
		return false
	case beat.GetUnreachable():
		return before.outdoes(beat, revision, now)
	case before.beat.GetBootId() == beat.GetBootId():
		if before.left && now.Sub(before.leftAt) <= retired {
			return true // it went another way than the goodbye
		}
		// A generation that a clock was ahead for is believed only for as long as an older message may be under way.
		return beat.GetGeneration() < before.generation && now.Sub(before.itself) <= retired || revision.Less(before.revision)
	}
	i := before.life(beat)
	if i < 0 {
		return false
	}
	if now.Sub(before.lives[i].until) <= retired {
		return true
	}
	if !before.twin {
		before.twin = true
		f.Log.Error("two enforcers have one name, and each is taken for the other: give each its own", "enforcer", key)
	}
	return false
}

// outdoes reports whether more is known of a connector than by a broker that can't reach it. Only who had the attachment that it is
// known by is believed at once; who had a later one, once the connector is not heard; and who had none, or an earlier one, once nobody
// says more. Of another life than the one that is known, only what nobody has heard end, of a later attachment, or by who knows more.
func (e *enforcer) outdoes(beat *emergencyv1.Beat, revision emergency.Revision, now time.Time) bool {
	later, earlier := beat.GetGeneration() > e.generation, beat.GetGeneration() < e.generation
	if e.beat.GetBootId() != beat.GetBootId() {
		return e.reachable(now) || e.life(beat) >= 0 || earlier || !later && !e.revision.Less(revision)
	}
	return revision.Less(e.revision) || later && e.reachable(now) || earlier && now.Sub(e.known) <= Silence
}

// life is which of those that are over a beat is of; below zero of none.
func (e *enforcer) life(beat *emergencyv1.Beat) int {
	return slices.IndexFunc(e.lives, func(p past) bool { return p.boot == beat.GetBootId() })
}

// followed is an enforcer after a beat, and whether it is the same life of it.
func (e *enforcer) followed(beat *emergencyv1.Beat, revision emergency.Revision, now time.Time) (next *enforcer, same bool) {
	next = &enforcer{beat: beat, revision: revision, seen: now, itself: now, generation: beat.GetGeneration(), known: now}
	if beat.GetUnreachable() {
		next.itself = time.Time{}
	}
	if e == nil {
		return next, false
	}
	next.lives, next.twin = e.lives, e.twin
	if same = e.beat.GetBootId() == beat.GetBootId(); !same {
		next.lives = append(slices.Clone(e.lives[max(0, len(e.lives)-lives+1):]), past{e.beat.GetBootId(), now})
	}
	if !beat.GetUnreachable() {
		return next, same
	}
	next.itself, next.left, next.leftAt = e.itself, e.left, e.leftAt
	if same && beat.GetGeneration() < e.generation {
		next.generation, next.known = e.generation, e.known
	}
	return next, same
}
