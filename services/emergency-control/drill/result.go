package drill

import (
	"cmp"
	"slices"
	"sync"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

// rows is how many enforcers a result names.
const rows = 1000

// tally is what enforcers say they would have done, by drill, enforcer and life.
type tally struct {
	mu    sync.Mutex
	told  map[string]map[string]map[string]*emergencyv1.DrillProgress
	order []string
}

const (
	// kept is of how many drills what was heard is kept.
	kept = 16
	// most is of how many enforcers, and lives of how many lives of each: they name them themselves.
	most, lives = 20_000, 64
)

// hear folds a beat. Counts only ever grow: what a silent one said last stands.
func (t *tally) hear(beat *emergencyv1.Beat) {
	if len(beat.GetDrills()) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range beat.GetDrills() {
		of := t.of(p.GetDrill(), beat.GetService()+"/"+beat.GetEnforcer())
		was, known := of[beat.GetBootId()]
		if of == nil || !known && len(of) >= lives {
			continue
		}
		of[beat.GetBootId()] = &emergencyv1.DrillProgress{
			WouldRefuse: max(was.GetWouldRefuse(), p.GetWouldRefuse()), WouldEnd: max(was.GetWouldEnd(), p.GetWouldEnd()),
		}
	}
}

// of answers what one enforcer has said of one drill that is known here, nil of any other, and where there are too many. The lock is
// held.
func (t *tally) of(drill, enforcer string) map[string]*emergencyv1.DrillProgress {
	of := t.told[drill]
	if of == nil || of[enforcer] == nil && len(of) >= most {
		return nil
	}
	if of[enforcer] == nil {
		of[enforcer] = map[string]*emergencyv1.DrillProgress{}
	}
	return of[enforcer]
}

// listen makes a drill one that is counted.
func (t *tally) listen(drill string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[drill] != nil {
		return
	}
	t.told[drill] = map[string]map[string]*emergencyv1.DrillProgress{}
	if t.order = append(t.order, drill); len(t.order) > kept {
		delete(t.told, t.order[0])
		t.order = t.order[1:]
	}
}

// said sums up what an enforcer has said over its lives; ok is false if it has said nothing.
func (t *tally) said(drill, enforcer string) (refuse uint64, end uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.told[drill][enforcer] {
		refuse, end, ok = refuse+p.GetWouldRefuse(), end+p.GetWouldEnd(), true
	}
	return refuse, end, ok
}

// result is what receipts and beats show of a drill, the rows to look at first.
func (t *tally) result(d *emergencyv1.Drill, receipts []*emergencyv1.Receipt) *emergencyv1.DrillResult {
	r := new(emergencyv1.DrillResult)
	for _, receipt := range receipts {
		row := t.row(d.GetId(), receipt)
		r.Receipts = append(r.Receipts, row)
		r.WouldRefuse, r.WouldEnd = r.WouldRefuse+row.GetWouldRefuse(), r.WouldEnd+row.GetWouldEnd()
		switch row.GetState() {
		case emergencyv1.Receipt_CONFIRMED:
			r.Confirmed++
			if row.WouldRefuse == nil {
				r.Untold++
			}
		case emergencyv1.Receipt_WAITING:
			r.Waiting++
		case emergencyv1.Receipt_MISSING: // who never came has not confirmed, each of them
			r.Unreachable += max(1, receipt.GetLacking())
		default:
			r.Unreachable++
		}
	}
	slices.SortFunc(r.Receipts, byInterest)
	times := measure.TimesOf(receipts)
	if r.MedianMs, r.SlowestMs = times.Within(50), times.Within(100); r.SlowestMs != nil {
		at := slices.IndexFunc(r.Receipts, func(row *emergencyv1.DrillReceipt) bool {
			return row.HeldMs != nil && row.GetHeldMs() == r.GetSlowestMs()
		})
		r.Slowest = r.Receipts[at].GetService() + "/" + r.Receipts[at].GetEnforcer()
	}
	if len(r.Receipts) > rows {
		r.Omitted, r.Receipts = uint32(len(r.Receipts)-rows), r.Receipts[:rows]
	}
	return r
}

func (t *tally) row(drill string, receipt *emergencyv1.Receipt) *emergencyv1.DrillReceipt {
	row := &emergencyv1.DrillReceipt{Enforcer: receipt.GetEnforcer(), Service: receipt.GetService(), State: receipt.GetState(), HeldMs: receipt.HeldMs}
	if receipt.GetBeganAfter() {
		row.HeldMs = nil // who came later is no slow one
	}
	if refuse, end, ok := t.said(drill, receipt.GetService()+"/"+receipt.GetEnforcer()); ok {
		row.WouldRefuse, row.WouldEnd = &refuse, &end
	}
	return row
}

// byInterest puts first who did not confirm, and then the slowest.
func byInterest(a, b *emergencyv1.DrillReceipt) int {
	rank := func(r *emergencyv1.DrillReceipt) int {
		if r.GetState() == emergencyv1.Receipt_CONFIRMED {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.GetHeldMs(), a.GetHeldMs()), cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetEnforcer(), b.GetEnforcer()))
}
