package roster

import (
	"regexp"
	"strings"
	"time"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

var (
	serviceName = regexp.MustCompile(`^[a-z][a-z-]{0,63}$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9@._-]{0,128}\*?$`)
)

// Expectable refuses what nobody could meet.
func Expectable(all []*emergencyv1.ExpectedEnforcers) error {
	for _, e := range all {
		switch {
		case !serviceName.MatchString(e.GetService()):
			return fault.New(fault.InvalidArgument, "expectedEnforcers: %.64q is no service. Use access-gate, identity, session-broker, connector or guard", e.GetService()).With("field", "expectedEnforcers")
		case e.GetNamePattern() == "" || !namePattern.MatchString(e.GetNamePattern()):
			return fault.New(fault.InvalidArgument, "expectedEnforcers: %.64q is no pattern. Write a name, or how names begin and * behind it; * alone for all", e.GetNamePattern()).With("field", "expectedEnforcers")
		case e.GetMinimum() < 1 || e.GetMinimum() > Most:
			return fault.New(fault.InvalidArgument, "expectedEnforcers: expect 1 to %d of %s", Most, e.GetNamePattern()).With("field", "expectedEnforcers")
		case !strings.HasSuffix(e.GetNamePattern(), "*") && e.GetMinimum() > 1 && e.GetService() != guards:
			return fault.New(fault.InvalidArgument, "expectedEnforcers: there can be but one %s. Put * behind how the names begin", e.GetNamePattern()).With("field", "expectedEnforcers")
		}
	}
	return nil
}

// Lacking is what the policy expects and nobody has ever been: for each such group, how many are missing. Who was there once and
// is missing now is missed by its own name.
func (r *Roster) Lacking(expected []*emergencyv1.ExpectedEnforcers) []*emergencyv1.Enforcer {
	if len(expected) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	if !r.listened(now) {
		return nil
	}
	there := r.counted(expected, now)
	var all []*emergencyv1.Enforcer
	for i, e := range expected {
		if there[i] < e.GetMinimum() {
			all = append(all, &emergencyv1.Enforcer{
				Id: e.GetNamePattern(), Service: e.GetService(), Presence: emergencyv1.Enforcer_MISSING, Lacking: e.GetMinimum() - there[i],
			})
		}
	}
	return all
}

// counted is how many of each group there are, or have been without an end. The lock is held.
func (r *Roster) counted(expected []*emergencyv1.ExpectedEnforcers, now time.Time) []uint32 {
	there := make([]uint32, len(expected))
	for _, m := range r.members {
		switch m.presence(now, true) {
		case emergencyv1.Enforcer_JOINED, emergencyv1.Enforcer_MISSING:
			for i, e := range expected {
				if e.GetService() == m.service && matches(e.GetNamePattern(), m.id) {
					there[i]++
				}
			}
		}
	}
	return there
}

// matches reports whether a pattern means a name. That of a guard stands before its token.
func matches(pattern, name string) bool {
	own, _, _ := strings.Cut(name, "@")
	if begin, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(name, begin)
	}
	return pattern == name || pattern == own
}
