package emergency

import (
	"time"

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

// StatusOf derives the status of a freeze or a lockdown from its record and the clock; a start that is
// on record is past, whatever this clock says. A termination has no window: its status depends on
// receipts, not on the clock.
func StatusOf(e *emergencyv1.Emergency, now time.Time) emergencyv1.Emergency_Status {
	switch {
	case e.GetKind() == emergencyv1.Emergency_TERMINATION:
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
