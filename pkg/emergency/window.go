package emergency

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// window is a freeze, a lockdown or a lock compiled for Decide; times are in Unix nanoseconds, end exclusive.
type window struct {
	id          string
	start, end  int64
	breakUsers  []string
	breakTokens []string
}

func (w *window) ongoing(now int64) bool { return w.start <= now && now < w.end }

// until is the end, zero if there is none.
func (w *window) until() time.Time {
	if w.end == never {
		return time.Time{}
	}
	return time.Unix(0, w.end).UTC()
}

const never = math.MaxInt64

// endOf is when a window ends; a lock may have no end.
func endOf(e *emergencyv1.Emergency) int64 {
	if e.GetKind() == emergencyv1.Emergency_LOCK && e.GetEndTime() == nil {
		return never
	}
	return e.GetEndTime().AsTime().UnixNano()
}

// Target is what a lock shuts.
type Target uint8

const (
	// OnUser is a user, in every channel.
	OnUser Target = iota + 1
	// OnDevice is a device.
	OnDevice
	// OnGroup is an access group: the devices in it.
	OnGroup
)

// TargetOf is what a lock's selector names, and its names; zero if that is not one kind of thing.
func TargetOf(sel *emergencyv1.Selector) (Target, []string) {
	all := [][]string{OnUser: sel.GetUsers(), OnDevice: sel.GetDevices(), OnGroup: sel.GetAccessGroups()}
	others := len(sel.GetConnectors()) + len(sel.GetProtocols())
	if i := slices.IndexFunc(all, func(names []string) bool { return len(names) > 0 }); i > 0 && !sel.GetAll() && others == 0 {
		if len(slices.Concat(all...)) == len(all[i]) {
			return Target(i), all[i]
		}
	}
	return 0, nil
}

// LocksUser reports whether the record is a lock on the user that is on or still to come.
func LocksUser(e *emergencyv1.Emergency, user string, now time.Time) bool {
	if kindOf(e) != Lock || !slices.Contains(e.GetSelector().GetUsers(), user) {
		return false
	}
	status := StatusOf(e, now)
	return status == emergencyv1.Emergency_PENDING || status == emergencyv1.Emergency_ONGOING
}

// Fields of an Emergency with these numbers make it close or end more than one without. Who doesn't know one takes the
// record as a lockdown. All other fields that are ever added only narrow what it does, or describe it: without them it is
// stricter.
const (
	firstWidening protowire.Number = 900
	lastWidening  protowire.Number = 999
)

// kindOf is the kind that a record counts as. What this version can't know all of counts as a lockdown, or, where it has
// no end, as a termination, a lock as the lock that is known of it: whoever wrote it meant something to be shut.
func kindOf(e *emergencyv1.Emergency) Kind {
	switch {
	case !strange(e):
		return numbered(e.GetKind())
	case e.GetEndTime() != nil:
		return Lockdown
	case e.GetKind() == emergencyv1.Emergency_LOCK && targeted(e):
		return Lock
	}
	return Termination
}

func targeted(e *emergencyv1.Emergency) bool {
	target, _ := TargetOf(e.GetSelector())
	return target != 0
}

// strange reports whether a record is of a kind, or has a field, that a newer version would have to be asked about.
func strange(e *emergencyv1.Emergency) bool {
	if k := e.GetKind(); k < emergencyv1.Emergency_TERMINATION || k > emergencyv1.Emergency_LOCK {
		return true
	}
	if e.GetKind() == emergencyv1.Emergency_LOCK && !targeted(e) {
		return true
	}
	for rest := e.ProtoReflect().GetUnknown(); len(rest) > 0; {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 || number >= firstWidening && number <= lastWidening {
			return true
		}
		rest = rest[n:]
	}
	return false
}

// StatusOf derives the status of a freeze, a lockdown or a lock from its record and the clock; a start that is
// on record is past, whatever this clock says. A termination has no window: its status depends on
// receipts, not on the clock.
func StatusOf(e *emergencyv1.Emergency, now time.Time) emergencyv1.Emergency_Status {
	switch {
	case kindOf(e) == Termination:
		return emergencyv1.Emergency_RUNNING
	case e.GetCancelTime() != nil:
		return emergencyv1.Emergency_CANCELLED
	case now.Before(e.GetStartTime().AsTime()) && !e.GetStarted():
		return emergencyv1.Emergency_PENDING
	case now.UnixNano() < endOf(e):
		return emergencyv1.Emergency_ONGOING
	}
	return emergencyv1.Emergency_ENDED
}

// NextEdge is the first start or end of an emergency's window after now; zero if none is left.
func NextEdge(e *emergencyv1.Emergency, now time.Time) time.Time {
	switch StatusOf(e, now) {
	case emergencyv1.Emergency_PENDING:
		return e.GetStartTime().AsTime()
	case emergencyv1.Emergency_ONGOING:
		if endOf(e) != never {
			return e.GetEndTime().AsTime()
		}
	}
	return time.Time{}
}

// compileWindow takes a start that is on record as past, whatever a door's clock says.
func compileWindow(e *emergencyv1.Emergency) window {
	w := window{
		id:          e.GetId(),
		start:       e.GetStartTime().AsTime().UnixNano(),
		end:         endOf(e),
		breakUsers:  e.GetBreakGlassUsers(),
		breakTokens: e.GetBreakGlassTokens(),
	}
	if e.GetStarted() {
		w.start = 0
	}
	return w
}
