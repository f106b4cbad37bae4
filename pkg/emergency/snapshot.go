package emergency

import (
	"slices"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Snapshot is what a door knows at one revision. It never changes and is safe for any number of
// goroutines.
type Snapshot struct {
	revision Revision
	users    table
	devices  table
	sets     []set
	groups   []*group
	// blockMask is the mask of the groups that block during freezes.
	blockMask uint64
	known     *known
	practice  *Practice // the drill that may be on; nothing else here knows of it
}

// Revision is how far the record of emergencies was known.
func (s *Snapshot) Revision() Revision { return s.revision }

// Admission is the stamp for what is let in now.
func (s *Snapshot) Admission(now time.Time) Admission {
	a := Admission{Revision: s.revision}
	for _, c := range s.known.pending {
		if c.Start.After(now) && (a.PendingCut.IsZero() || c.Start.Before(a.PendingCut)) {
			a.PendingCut = c.Start
		}
	}
	return a
}

// Cuts are all that have ever been made, the newest first. The caller must not change them.
func (s *Snapshot) Cuts() []Cut { return s.known.list() }

// SignedOut answers the cut, if any, that has ended a user's sign-in.
func (s *Snapshot) SignedOut(user, signIn string, a Admission, now time.Time) (Cut, bool) {
	return bitten(s.known.signOuts, a, now, func(c *Cut) bool {
		return signIn != "" && signIn == c.SparedSignIn || c.Kind == Lock && !slices.Contains(c.Selector.GetUsers(), user)
	})
}

// TokenRevoked answers the cut, if any, that has shut a program's token for good: a lockdown applied
// with revokeTokens since the token was last armed. It shuts no token that it lets through.
func (s *Snapshot) TokenRevoked(token string, armed Admission, now time.Time) (Cut, bool) {
	return bitten(s.known.revocations, armed, now, func(c *Cut) bool {
		return slices.Contains(c.sparedTokens, token) || slices.Contains(s.known.policy.GetBreakGlassTokens(), token)
	})
}

// bitten answers the first cut that bites and does not spare. Below the admission only those bite that it
// knew of.
func bitten(cuts []*Cut, a Admission, now time.Time, spares func(*Cut) bool) (Cut, bool) {
	for _, c := range cuts {
		if a.PendingCut.IsZero() && !a.Revision.Less(c.Revision) {
			break
		}
		if c.Bites(a, now) && !spares(c) {
			return *c, true
		}
	}
	return Cut{}, false
}

// Emergency answers a record by its id, nil if there is none.
func (s *Snapshot) Emergency(id string) *emergencyv1.Emergency { return s.known.byID()[id] }

// Emergencies answers every record, the newest first.
func (s *Snapshot) Emergencies() []*emergencyv1.Emergency {
	all := make([]*emergencyv1.Emergency, len(s.known.all))
	for i, e := range s.known.all {
		all[i] = e.emergency
	}
	return all
}

// Windows answers the freezes, lockdowns and locks that are PENDING or ONGOING, the newest first.
func (s *Snapshot) Windows(now time.Time) []*emergencyv1.Emergency {
	var open []*emergencyv1.Emergency
	for _, e := range s.known.open {
		if now.UnixNano() < e.window.end {
			open = append(open, e.emergency)
		}
	}
	return open
}

// Policy is the policy in force; nil stands for its defaults.
func (s *Snapshot) Policy() *emergencyv1.Policy { return s.known.policy }

// NextEdge is the first start or end of any window after now; zero if none is left. What a door shows
// changes by itself then.
func (s *Snapshot) NextEdge(now time.Time) time.Time {
	var next time.Time
	at := now.UnixNano()
	for _, e := range s.known.open {
		for _, edge := range []int64{e.window.start, e.window.end} {
			if t := time.Unix(0, edge).UTC(); edge > at && edge != never && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// LockdownUntil answers the latest end of the lockdowns that are on, zero if none is.
func (s *Snapshot) LockdownUntil(now time.Time) time.Time { return latest(s.known.lockdowns, now) }

// FreezeUntil answers the latest end of the freezes that are on, zero if none is.
func (s *Snapshot) FreezeUntil(now time.Time) time.Time { return latest(s.known.freezes, now) }

func latest(windows []window, now time.Time) time.Time {
	var until time.Time
	for i := range windows {
		if end := time.Unix(0, windows[i].end).UTC(); windows[i].ongoing(now.UnixNano()) && end.After(until) {
			until = end
		}
	}
	return until
}

// Practice is a drill that is on: what would be, were it real. It answers questions and decides nothing.
type Practice struct {
	// Drill is its id.
	Drill string
	drill *drill
	as    *Snapshot // with the practised emergency alone
}

// Practised answers the drill that is on, nil if none is.
func (s *Snapshot) Practised(now time.Time) *Practice {
	p := s.practice
	if p == nil || now.UnixNano() < p.drill.start || now.UnixNano() >= p.drill.end {
		return nil
	}
	return p
}

// Refuses reports whether the emergency would refuse a request that nothing else does.
func (p *Practice) Refuses(r Request, now time.Time) bool {
	return Decide(p.as, r, now).Emergency != ""
}

// Ends reports whether the emergency would end a session.
func (p *Practice) Ends(s *Session, now time.Time) bool {
	if !p.drill.cuts || !p.drill.cut.Bites(s.Admission, now) || p.drill.cut.Blocking && p.as.Administrator(s.User) {
		return false
	}
	cut := p.drill.cut
	if cut.Blocking {
		cut.Selector = &emergencyv1.Selector{AccessGroups: p.as.FrozenGroups()}
	}
	if groups := cut.Selector.GetAccessGroups(); len(groups) > 0 && p.as.InGroups(s.Device, groups) {
		cut.MemberDevices = []string{s.Device}
	}
	return cut.Selects(s)
}

// LetsThrough reports whether the emergency is a lockdown that names the user or the token.
func (p *Practice) LetsThrough(user, token string) bool {
	return slices.ContainsFunc(p.as.known.lockdowns, func(w window) bool {
		return user != "" && slices.Contains(w.breakUsers, user) || token != "" && slices.Contains(w.breakTokens, token)
	})
}
