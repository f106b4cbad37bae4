package emergency

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// window is a freeze or a lockdown compiled for Decide; times are in Unix nanoseconds, end exclusive.
type window struct {
	id          string
	start, end  int64
	breakUsers  []string
	breakTokens []string
}

func (w *window) ongoing(now int64) bool { return w.start <= now && now < w.end }

// Fields of an Emergency with these numbers make it close or end more than one without. Who doesn't know one takes the
// record as a lockdown. All other fields that are ever added only narrow what it does, or describe it: without them it is
// stricter.
const (
	firstWidening protowire.Number = 900
	lastWidening  protowire.Number = 999
)

// kindOf is the kind that a record counts as. What this version can't know all of counts as a lockdown, or, where it has
// no end, as a termination: whoever wrote it meant something to be shut.
func kindOf(e *emergencyv1.Emergency) Kind {
	switch {
	case !strange(e):
		return numbered(e.GetKind())
	case e.GetEndTime() != nil:
		return Lockdown
	}
	return Termination
}

// strange reports whether a record is of a kind, or has a field, that a newer version would have to be asked about.
func strange(e *emergencyv1.Emergency) bool {
	if k := e.GetKind(); k < emergencyv1.Emergency_TERMINATION || k > emergencyv1.Emergency_LOCKDOWN {
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

// StatusOf derives the status of a freeze or a lockdown from its record and the clock; a start that is
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
	case now.Before(e.GetEndTime().AsTime()):
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
		return e.GetEndTime().AsTime()
	}
	return time.Time{}
}

// compileWindow takes a start that is on record as past, whatever a door's clock says.
func compileWindow(e *emergencyv1.Emergency) window {
	w := window{
		id:          e.GetId(),
		start:       e.GetStartTime().AsTime().UnixNano(),
		end:         e.GetEndTime().AsTime().UnixNano(),
		breakUsers:  e.GetBreakGlassUsers(),
		breakTokens: e.GetBreakGlassTokens(),
	}
	if e.GetStarted() {
		w.start = 0
	}
	return w
}
