package emergency

import (
	"slices"
	"time"
)

// Reason says why a door answers as it does.
type Reason uint8

const (
	// Allowed lets it through.
	Allowed Reason = iota + 1
	// NoAccess is an unknown or disabled user or device, or a user without a group with the device.
	NoAccess
	// Frozen is a device of a group that blocks during freezes, while one is on.
	Frozen
	// LockedDown is a lockdown that is on.
	LockedDown
	// Locked is a lock on the user, the device or a group.
	Locked
	// Stale is a strict door that can't tell whether its view is fresh.
	Stale
)

// String is the reason's name in the API.
func (r Reason) String() string {
	switch r {
	case Allowed:
		return "ALLOWED"
	case NoAccess:
		return "NO_ACCESS"
	case Frozen:
		return "FROZEN"
	case LockedDown:
		return "LOCKDOWN"
	case Locked:
		return "LOCKED"
	case Stale:
		return "STALE"
	}
	return "UNSPECIFIED"
}

// Request is what a door asks.
type Request struct {
	// User is the person, by name; empty for a program's token.
	User string
	// Token is the id of the program's token; empty for a person.
	Token string
	// Owner is the user who made the token, where the door knows it: a lock on them shuts it.
	Owner string
	// Device is what is to be reached; empty asks about the channel alone.
	Device  string
	Channel Channel
}

// Verdict is a door's answer. Until is when that which refuses ends; Back is when nothing that is on
// now refuses any more. Each is zero when that has no end.
type Verdict struct {
	Reason    Reason
	Emergency string
	// Target is what the lock that refuses shuts.
	Target   Target
	Until    time.Time
	Back     time.Time
	Revision Revision
}

// Allowed reports whether the verdict lets the request through.
func (v Verdict) Allowed() bool { return v.Reason == Allowed }

// Decide answers a request from a snapshot at a moment. The strictest of what is on wins: a lockdown,
// then a lock, then missing access, then a freeze. It does no I/O and allocates nothing.
func Decide(s *Snapshot, r Request, now time.Time) Verdict {
	v := Verdict{Reason: Allowed, Revision: s.revision}
	if r.Channel == Enforcer {
		return v
	}
	user, known := s.users.find(r.User)
	admin := known && user.administers()
	at := now.UnixNano()
	for i := range s.known.lockdowns {
		w := &s.known.lockdowns[i]
		if w.ongoing(at) && !w.spares(&r, admin) {
			v.refuse(LockedDown, w)
		}
	}
	endless := s.known.locks != nil && s.lock(&v, &r, at)
	device, reach := s.reach(&r, user, known)
	switch {
	case !reach:
		if v.Reason == Allowed {
			v.Reason = NoAccess
		}
	case r.Device != "" && !admin && s.blocks(device):
		for i := range s.known.freezes {
			if w := &s.known.freezes[i]; w.ongoing(at) {
				v.refuse(Frozen, w)
			}
		}
	}
	if endless {
		v.Back = time.Time{}
	}
	return v
}

// lock refuses what is locked, and reports whether one of the locks has no end.
func (s *Snapshot) lock(v *Verdict, r *Request, at int64) (endless bool) {
	on := s.known.locks
	endless = on.refuse(v, OnUser, r.User, at)
	endless = on.refuse(v, OnUser, r.Owner, at) || endless
	if r.Device == "" {
		return endless
	}
	endless = on.refuse(v, OnDevice, r.Device, at) || endless
	if len(on[OnGroup]) == 0 {
		return endless
	}
	device, _ := s.devices.find(r.Device)
	for _, bit := range s.sets[device.set()].bits {
		endless = on.refuse(v, OnGroup, s.groups[bit].name, at) || endless
	}
	return endless
}

// locks are the locks by what they shut and its name.
type locks [OnGroup + 1]map[string][]*window

func (l *locks) refuse(v *Verdict, target Target, name string, at int64) (endless bool) {
	for _, w := range l[target][name] {
		if !w.ongoing(at) {
			continue
		}
		if v.refuse(Locked, w) {
			v.Target = target
		}
		endless = endless || w.end == never
	}
	return endless
}

// reach reports whether the request has access when nothing is on.
func (s *Snapshot) reach(r *Request, user row, known bool) (row, bool) {
	if r.User != "" && (!known || user.is(disabled)) || r.User == "" && r.Token == "" {
		return 0, false
	}
	if r.Device == "" {
		return 0, true
	}
	device, ok := s.devices.find(r.Device)
	if !ok || device.is(disabled) {
		return 0, false
	}
	return device, s.sets[device.set()].meets(&s.sets[user.set()])
}

// blocks reports whether a device is in a group that blocks during freezes.
func (s *Snapshot) blocks(device row) bool {
	in := &s.sets[device.set()]
	if common, sure := settled(in.mask, s.blockMask); sure {
		return common
	}
	return slices.ContainsFunc(in.bits, func(bit uint32) bool { return s.groups[bit].blocks })
}

// spares reports whether a lockdown lets the request through: administrators by the console and CLI,
// and whom the lockdown or the policy names.
func (w *window) spares(r *Request, admin bool) bool {
	if r.Token != "" {
		return slices.Contains(w.breakTokens, r.Token)
	}
	if admin && r.Channel == Interactive {
		return true
	}
	people := r.Channel == Interactive || r.Channel == SessionChannel
	return people && slices.Contains(w.breakUsers, r.User)
}

// refuse takes a window into account, and reports whether it is the one that refuses now. The stricter reasons come first.
func (v *Verdict) refuse(reason Reason, w *window) bool {
	end := w.until()
	if v.Back.Before(end) {
		v.Back = end
	}
	longer := v.Reason == reason && !v.Until.IsZero() && (end.IsZero() || v.Until.Before(end))
	if v.Reason != Allowed && !longer {
		return false
	}
	v.Reason, v.Emergency, v.Until = reason, w.id, end
	return true
}
