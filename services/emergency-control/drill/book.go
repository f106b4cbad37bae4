package drill

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Book is what the record says of drills, and of what may not be on beside one.
type Book struct {
	mu        sync.Mutex
	drills    map[string]*emergencyv1.Drill
	schedules map[string]*emergencyv1.DrillSchedule
	windows   map[string]*emergencyv1.Emergency // freezes and lockdowns that are not known to be over
	running   string
	// interrupted is the emergency that began while the drill ran; empty while none did.
	interrupted string
}

// NewBook answers an empty one.
func NewBook() *Book {
	return &Book{drills: map[string]*emergencyv1.Drill{}, schedules: map[string]*emergencyv1.DrillSchedule{}, windows: map[string]*emergencyv1.Emergency{}}
}

// Take folds an entry of the record, in order.
func (b *Book) Take(entry *emergencyv1.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case entry.GetDrill() != nil:
		d := entry.GetDrill()
		b.drills[d.GetId()], b.interrupted = d, ""
		if b.running = ""; d.GetResult() == nil {
			b.running = d.GetId()
		}
	case entry.GetDrillSchedule() != nil:
		b.schedules[entry.GetDrillSchedule().GetId()] = entry.GetDrillSchedule()
	case entry.GetEmergency() != nil:
		b.emergency(entry.GetChange(), entry.GetEmergency())
	}
}

func (b *Book) emergency(change emergencyv1.Entry_Change, e *emergencyv1.Emergency) {
	if begins := change == emergencyv1.Entry_APPLIED || change == emergencyv1.Entry_STARTED; begins && b.running != "" && b.interrupted == "" {
		b.interrupted = e.GetId()
	}
	if e.GetKind() != emergencyv1.Emergency_FREEZE && e.GetKind() != emergencyv1.Emergency_LOCKDOWN {
		return
	}
	if b.windows[e.GetId()] = e; e.GetCancelTime() != nil || e.GetEndedRecorded() {
		delete(b.windows, e.GetId())
	}
}

// inTheWay is what no drill begins beside: a freeze or a lockdown that is on, or another drill. Empty if there is nothing.
func (b *Book) inTheWay(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, e := range b.windows {
		if emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			return id
		}
	}
	return b.running
}

// current is the drill that runs, nil if none does, and the emergency that has begun meanwhile, if one has.
func (b *Book) current() (d *emergencyv1.Drill, interrupted string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drills[b.running], b.interrupted
}

func (b *Book) drill(id string) *emergencyv1.Drill {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drills[id]
}

// all are the drills, the newest first.
func (b *Book) all() []*emergencyv1.Drill {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*emergencyv1.Drill
	for _, d := range b.drills {
		all = append(all, d)
	}
	slices.SortFunc(all, func(x, y *emergencyv1.Drill) int { return byNumber(y.GetId(), x.GetId()) })
	return all
}

// byNumber orders ids as they were given: the longer of two is the later.
func byNumber(x, y string) int { return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)) }

func (b *Book) schedule(id string) *emergencyv1.DrillSchedule {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.schedules[id]
}

// planned are the schedules that were not deleted, the next to run first.
func (b *Book) planned() []*emergencyv1.DrillSchedule {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*emergencyv1.DrillSchedule
	for _, s := range b.schedules {
		if s.GetDeleteTime() == nil {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y *emergencyv1.DrillSchedule) int {
		return cmp.Or(x.GetNextTime().AsTime().Compare(y.GetNextTime().AsTime()), byNumber(x.GetId(), y.GetId()))
	})
	return all
}

// shown is a drill as it is answered.
func shown(d *emergencyv1.Drill) *emergencyv1.Drill {
	d = proto.CloneOf(d)
	switch {
	case d.GetResult() == nil:
		d.Status = emergencyv1.Drill_RUNNING
	case d.GetEndedBy() != "":
		d.Status = emergencyv1.Drill_CANCELLED
	default:
		d.Status = emergencyv1.Drill_DONE
	}
	return d
}

// Shadow has the id and the revisions by which receipts of a drill are told, and nothing that could be enforced.
func Shadow(d *emergencyv1.Drill) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{Id: d.GetId(), CutoffRevision: d.GetStartRevision(), Revision: d.GetRevision(), CreateTime: d.GetStartTime(), Started: true}
}
