package receipt

import (
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

const (
	// missed is how long a silent enforcer counts as stale: by then people know, or it will never be back. The roster misses it on.
	missed = time.Hour
	// shownAges is how many enforcers have their age measured: a token can make up any number of guards.
	shownAges = 1000
)

// Stale are the enforcers that may let through what the record forbids: they hold an older revision, or can't tell whether what
// they hold is all, or nobody hears them. One that has ended decides nothing, nor does a connector without sessions.
func (f *Fold) Stale() []measure.Stale {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var all []measure.Stale
	for _, e := range f.enforcers {
		kind := e.beat.GetService()
		idle := kind == Connector && e.beat.GetOpenSessions() == 0
		switch {
		case e.reachable(now):
			if e.revision.Less(f.newest) && now.Sub(f.newestAt) > Silence {
				all = append(all, measure.Stale{Kind: kind, Why: measure.Behind})
			} else if measure.IsOld(e.beat, e.seen, now) && !idle {
				all = append(all, measure.Stale{Kind: kind, Why: measure.Old})
			}
		case !e.left && !idle && now.Sub(e.seen) <= missed:
			all = append(all, measure.Stale{Kind: kind, Why: measure.Silent})
		}
	}
	return all
}

// Ages are how old the views of those are that are heard.
func (f *Fold) Ages() []measure.Age {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var all []measure.Age
	for _, e := range f.enforcers {
		age, known := measure.AgeOf(e.beat, e.seen, now)
		if !known {
			age = measure.Never
		}
		if e.beat.GetBound() != nil && e.reachable(now) && len(all) < shownAges {
			all = append(all, measure.Age{Kind: e.beat.GetService(), Enforcer: e.beat.GetEnforcer(), Age: age})
		}
	}
	return all
}

// Missing counts, by kind, whom the roster misses and whom the policy expects and nobody has seen.
func (f *Fold) Missing(lacking []*emergencyv1.Enforcer) map[string]int {
	counts := map[string]int{}
	if f.Roster != nil {
		for _, m := range f.Roster.All(emergencyv1.Enforcer_MISSING) {
			counts[m.GetService()]++
		}
	}
	for _, l := range lacking {
		counts[l.GetService()] += int(l.GetLacking())
	}
	return counts
}
