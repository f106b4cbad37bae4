package broker

import (
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// resolver remembers which directory the groups of a cut mean. A termination means the groups as they
// were when it was first seen, or whoever joins a group a month later would be ended by it; a freeze means
// them as they are until it ends.
type resolver struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]*emergency.Snapshot
}

func newResolver(now func() time.Time) *resolver {
	return &resolver{now: now, of: map[string]*emergency.Snapshot{}}
}

func (r *resolver) directory(c *emergency.Cut, now *emergency.Snapshot) *emergency.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	lasting := c.Blocking && (c.Until.IsZero() || r.now().Before(c.Until))
	if was := r.of[c.Emergency]; was != nil && !lasting {
		return was
	}
	r.of[c.Emergency] = now
	return now
}

// standing is the desired state of one connector.
func (b *Broker) standing(h *host) *sessionv1.Standing {
	snapshot := b.deps.View.State().Emergency
	s := &sessionv1.Standing{Revision: snapshot.Revision().String()}
	var devices, users []string
	for _, cut := range standingCuts(snapshot) {
		p := cut.Proto()
		if cut.Blocking || len(cut.Selector.GetAccessGroups()) > 0 {
			if devices == nil {
				devices, users = h.names()
			}
			b.resolve(p, &cut, snapshot, devices, users)
		}
		s.Cuts = append(s.Cuts, p)
	}
	return s
}

// resolve puts the connector's own devices, as the directory has them, into a cut that means groups.
// A freeze spares administrators.
func (b *Broker) resolve(p *emergencyv1.Cut, cut *emergency.Cut, now *emergency.Snapshot, devices, users []string) {
	directory := b.cuts.directory(cut, now)
	if cut.Blocking {
		p.Selector = &emergencyv1.Selector{AccessGroups: directory.FrozenGroups()}
		p.SparedUsers = slices.DeleteFunc(slices.Clone(users), func(u string) bool { return !now.Administrator(u) })
	}
	if emergency.SelectorEmpty(p.GetSelector()) {
		return
	}
	groups := p.GetSelector().GetAccessGroups()
	for _, device := range devices {
		if directory.InGroups(device, groups) {
			p.MemberDevices = append(p.MemberDevices, device)
		}
	}
}

// names are the devices and users of the connector's sessions, sorted.
func (h *host) names() (devices, users []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d, u := map[string]struct{}{}, map[string]struct{}{}
	for _, s := range h.sessions {
		d[s.GetDevice()], u[s.GetUser()] = struct{}{}, struct{}{}
	}
	return slices.Sorted(maps.Keys(d)), slices.Sorted(maps.Keys(u))
}

// standingCuts are the cuts that may still concern a session, the newest first. Behind a newer cut that
// ends everyone, an older one ends nobody: whoever knew the newer was admitted after it. That holds for a
// window only once its start was on record before the newer cut: until then sessions knew of the window
// as still to come.
func standingCuts(s *emergency.Snapshot) []emergency.Cut {
	all := s.Cuts()
	var everyone emergency.Revision
	for i := range all {
		if c := &all[i]; c.Selector.GetAll() && !c.Blocking && len(c.SparedUsers) == 0 && (c.Begun || c.Start.IsZero()) && everyone.Less(c.Revision) {
			everyone = c.Revision
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c emergency.Cut) bool {
		last, err := emergency.ParseRevision(s.Emergency(c.Emergency).GetRevision())
		settled := c.Kind == emergency.Termination || c.Begun && err == nil && last.Less(everyone)
		return c.Revision.Less(everyone) && settled
	})
}
