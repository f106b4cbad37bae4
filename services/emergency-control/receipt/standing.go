package receipt

import (
	"cmp"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// standing is how an enforcer is, the worst first.
type standing int

const (
	neverCame standing = iota
	isSilent
	isOld
	isBehind
	isCurrent
	hasLeft
)

// Bound sums up an answer's enforcers as they are now, and leaves so many at most: first those whose clock is wrong, for that keeps
// anything new from being applied, then those that stand worst. The newest revision is what each of them should hold.
func Bound(to *emergencyv1.ListEnforcersResponse, most int, newest emergency.Revision, now time.Time) {
	sum, of := &emergencyv1.EnforcerSummary{}, make(map[*emergencyv1.Enforcer]standing, len(to.GetEnforcers()))
	for _, e := range to.GetEnforcers() {
		of[e] = standingOf(e, newest, now)
		add(sum, e, of[e])
	}
	to.Summary = sum
	to.Enforcers, to.OmittedEnforcers = bounded(to.GetEnforcers(), most, func(a, b *emergencyv1.Enforcer) int {
		return cmp.Or(cmp.Compare(right(a), right(b)), cmp.Compare(of[a], of[b]))
	})
}

func standingOf(e *emergencyv1.Enforcer, newest emergency.Revision, now time.Time) standing {
	heard := e.GetLastSeenTime() != nil && now.Sub(e.GetLastSeenTime().AsTime()) <= Silence
	switch {
	case e.GetLacking() > 0:
		return neverCame
	case e.GetPresence() == emergencyv1.Enforcer_DRAINED:
		return hasLeft
	case !e.GetFresh() && heard && e.GetBound() != nil:
		return isOld
	case !e.GetFresh():
		return isSilent
	case revision(e.GetRevision()).Less(newest):
		return isBehind
	}
	return isCurrent
}

func add(to *emergencyv1.EnforcerSummary, e *emergencyv1.Enforcer, is standing) {
	switch is {
	case neverCame:
		to.Missing += e.GetLacking()
	case isSilent:
		to.Silent++
		to.SilentSessions += e.GetOpenSessions()
	case hasLeft:
		to.Drained++
	case isOld:
		to.Old++
	case isBehind:
		to.Behind++
	default:
		to.Current++
	}
	if is == isOld || is == isBehind || is == isCurrent {
		to.OpenSessions += e.GetOpenSessions()
	}
	if e.GetClockSkew() != nil {
		to.Skewed++
	}
}

// right is 0 for a clock that is wrong, 1 for any other.
func right(e *emergencyv1.Enforcer) int {
	if e.GetClockSkew() != nil {
		return 0
	}
	return 1
}
