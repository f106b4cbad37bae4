package gate

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/rpc"
)

// While a freeze is on, whoever opens what it closes does what lifting it would do, and is guarded like
// it: a group that blocks stops to (its flag goes off, it is disabled or deleted), or a device leaves the
// last group that closes it. So it is with a group that is locked. Deleting the device itself opens nothing: it
// takes its credential along.

// opening is what a change would open; zero if nothing.
type opening struct {
	// words say it to people, shortened where it is long.
	words string
	// sum is SHA-256 of all of it: an approval is for exactly that.
	sum [sha256.Size]byte
}

// regrouping is a group before and after a change; nil after it is gone.
type regrouping struct{ before, after *gatev1.AccessGroup }

// closing is how groups close their devices now: by a freeze, or because they are locked.
type closing struct {
	closes func(*gatev1.AccessGroup) bool
	// by are the groups that close a device so.
	by func(device string) []string
	// group is what one that does is called.
	group string
}

func (e *edit) closings() []closing {
	var all []closing
	now := e.service.now()
	if !e.known.FreezeUntil(now).IsZero() {
		closes := func(g *gatev1.AccessGroup) bool { return g.GetBlockDuringFreezes() && !g.GetDisabled() }
		all = append(all, closing{closes, e.known.BlockingGroups, "blocking group"})
	}
	if locked := e.known.LockedGroups(now); len(locked) > 0 {
		among := func(name string) bool { return slices.Contains(locked, name) }
		closes := func(g *gatev1.AccessGroup) bool { return among(g.GetName()) && !g.GetDisabled() }
		by := func(device string) []string {
			return slices.DeleteFunc(e.known.DeviceGroups(device), func(g string) bool { return !among(g) })
		}
		all = append(all, closing{closes, by, "locked group"})
	}
	return all
}

// openings says what changes of groups open now.
func (e *edit) openings(changes ...regrouping) opening {
	var opens, all []string
	for _, by := range e.closings() {
		for _, c := range changes {
			if stops := by.stops(c); stops != "" {
				opens, all = append(opens, c.before.GetName()+" "+stops), append(all, c.before.GetName()+" "+stops)
			} else if open := e.released(by, c, changes); len(open) > 0 {
				what := "out of their last " + by.group + " " + c.before.GetName() + ": "
				opens, all = append(opens, what+few(open)), append(all, what+strings.Join(open, ", "))
			}
		}
	}
	if len(opens) == 0 {
		return opening{}
	}
	return opening{few(opens), sha256.Sum256([]byte(strings.Join(all, "\n")))}
}

func few(all []string) string {
	if more := len(all) - 20; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:20], ", "), more)
	}
	return strings.Join(all, ", ")
}

// stops says how a group ceases to close its devices; empty if it doesn't.
func (by closing) stops(c regrouping) string {
	switch {
	case !by.closes(c.before) || c.after != nil && by.closes(c.after):
		return ""
	case c.after == nil:
		return "deleted"
	case c.after.GetDisabled():
		return "disabled"
	}
	return "blockDuringFreezes switched off"
}

// released are the devices that leave the group, and are closed by no other one after all the changes.
func (e *edit) released(by closing, c regrouping, changes []regrouping) []string {
	if !by.closes(c.before) {
		return nil
	}
	changed, closed := map[string]bool{}, map[string]bool{}
	for _, other := range changes {
		changed[other.before.GetName()] = true
		if other.after != nil && by.closes(other.after) {
			for _, name := range other.after.GetDevices() {
				closed[name] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(c.before.GetDevices()), func(name string) bool {
		return closed[name] || !e.known.HasDevice(name) ||
			slices.ContainsFunc(by.by(name), func(g string) bool { return !changed[g] })
	})
}

// proof is what a caller backs an opening with.
type proof struct {
	grant, justification, governance, target string
	// What it was spent on.
	spent opening
}

// backed spends the grant, once for a request however often it is planned. The act is bound to the records
// as they are: a crash in between can be followed by the same request, but on a later state it needs a
// grant of its own.
func (o opening) backed(e *edit, p *proof) error {
	if o.words == "" || o == p.spent {
		return nil
	}
	if err := o.needs(e, p); err != nil {
		return err
	}
	_, err := e.service.acts.RecordAct(rpc.Forward(e), &emergencyv1.RecordActRequest{
		Kind: "access-group.unblock", Target: p.target, Detail: o.words, Grant: p.grant, RequestId: e.operation.id, Justification: p.justification, GovernanceCode: p.governance,
		At: e.at, Operation: e.operation.sum[:], Opens: o.sum[:],
	})
	if err != nil {
		return fault.From(err) // what the other service says to people, as it says it
	}
	p.spent = o
	return nil
}

// needs refuses an opening without a grant. Where the policy asks for two administrators, one may have approved it: then it takes
// no other.
func (o opening) needs(e *edit, p *proof) error {
	if o.words == "" || p.grant != "" || e.known.Policy().GetSecondAdministrator() {
		return nil
	}
	return fault.New(fault.GrantRequired, "A freeze or a lock is on, and this opens what it closes (%s). Make a grant with a fresh code from your MFA app, and send it along", o.words)
}
