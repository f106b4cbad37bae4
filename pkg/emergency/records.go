package emergency

import (
	"cmp"
	"slices"
	"sync"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// records are the emergencies, which are kept for ever, each compiled once.
type records struct {
	byID     map[string]*emergencyv1.Emergency
	sorted   []*record // the newest first
	own      bool
	drills   []*emergencyv1.Drill // that have not ended
	policy   *emergencyv1.Policy
	frozen   *known
	compiled time.Time
}

// record never changes: a later version makes another.
type record struct {
	emergency *emergencyv1.Emergency
	created   int64
	cuts      bool
	cut       Cut
	windowed  bool
	window    window
}

// known is the frozen form: what decisions look at apart from what is history.
type known struct {
	all       []*record
	open      []*record // windows that had not ended long before
	lockdowns []window
	freezes   []window
	locks     *locks // nil where there are none
	// Cuts whose start is not on record; those that sign people out and those that shut tokens for good,
	// the highest revision first.
	pending, signOuts, revocations []*Cut
	policy                         *emergencyv1.Policy
	// Drills are beside all the above and in none of it.
	drills []*emergencyv1.Drill
	drill  *drill // the newest, nil if there is none
	// Made when first asked for.
	list func() []Cut
	byID func() map[string]*emergencyv1.Emergency
}

func newRecords() records { return records{byID: map[string]*emergencyv1.Emergency{}} }

func keyOf(e *emergencyv1.Emergency) *record {
	return &record{emergency: e, created: e.GetCreateTime().AsTime().UnixNano()}
}

func compile(e *emergencyv1.Emergency) *record {
	r := keyOf(e)
	r.cut, r.cuts = CutOf(e)
	if kind := kindOf(e); kind != Termination {
		r.window, r.windowed = compileWindow(e), e.GetCancelTime() == nil
	}
	return r
}

func newestFirst(a, b *record) int {
	return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.emergency.GetId(), a.emergency.GetId()))
}

func (r *records) put(e *emergencyv1.Emergency) {
	r.edit()
	if before := r.byID[e.GetId()]; before != nil {
		i, _ := slices.BinarySearchFunc(r.sorted, keyOf(before), newestFirst)
		r.sorted = slices.Delete(r.sorted, i, i+1)
	}
	r.byID[e.GetId()] = e
	after := compile(e)
	i, _ := slices.BinarySearchFunc(r.sorted, after, newestFirst)
	r.sorted = slices.Insert(r.sorted, i, after)
}

func (r *records) putDrill(d *emergencyv1.Drill) {
	r.edit()
	r.drills = slices.DeleteFunc(slices.Clone(r.drills), func(before *emergencyv1.Drill) bool { return before.GetId() == d.GetId() })
	if d.GetResult() == nil { // it has one once it has ended
		r.drills = append(r.drills, d)
	}
}

// drill is one that may be on, with its emergency alone in a form that the same decision can be made by.
type drill struct {
	id         string
	start, end int64
	cut        Cut
	cuts       bool
	known      *known
}

func compileDrill(d *emergencyv1.Drill, policy *emergencyv1.Policy) *drill {
	e := compile(practised(d))
	as := &known{policy: policy}
	if e.windowed {
		as.addWindow(e)
	}
	return &drill{id: d.GetId(), start: d.GetStartTime().AsTime().UnixNano(), end: d.GetEndTime().AsTime().UnixNano(), cut: e.cut, cuts: e.cuts, known: as}
}

// practised is the emergency that a drill is about. It goes nowhere but into a drill's own form.
func practised(d *emergencyv1.Drill) *emergencyv1.Emergency {
	p := d.GetPractice()
	return &emergencyv1.Emergency{
		Id: d.GetId(), Kind: p.GetKind(), StartTime: d.GetStartTime(), EndTime: d.GetEndTime(), Started: true, CreateTime: d.GetStartTime(),
		CutoffRevision: d.GetStartRevision(), Revision: d.GetStartRevision(), Selector: p.GetSelector(), EndLiveSessions: new(p.GetEndLiveSessions()),
		BreakGlassUsers: p.GetBreakGlassUsers(), BreakGlassTokens: p.GetBreakGlassTokens(),
	}
}

func (r *records) setPolicy(p *emergencyv1.Policy) {
	r.edit()
	r.policy = p
}

func (r *records) edit() {
	if !r.own {
		r.sorted, r.own = slices.Clone(r.sorted), true
	}
	r.frozen = nil
}

// freeze compiles anew only what was edited, or has been looked at for long.
func (r *records) freeze(now time.Time) *known {
	if r.frozen != nil && now.Sub(r.compiled) < time.Hour {
		return r.frozen
	}
	k := &known{all: slices.Clip(r.sorted), policy: r.policy, drills: r.drills}
	if n := len(r.drills); n > 0 {
		k.drill = compileDrill(r.drills[n-1], r.policy)
	}
	long := now.Add(-time.Hour).UnixNano()
	for _, e := range k.all {
		k.addCut(e)
		if e.windowed && e.window.end >= long {
			k.open = append(k.open, e)
			k.addWindow(e)
		}
	}
	for _, cuts := range [][]*Cut{k.signOuts, k.revocations} {
		slices.SortStableFunc(cuts, func(a, b *Cut) int { return b.Revision.compare(a.Revision) })
	}
	k.list, k.byID = sync.OnceValue(k.everyCut), sync.OnceValue(k.everyRecord)
	r.frozen, r.compiled, r.own = k, now, false
	return k
}

func (k *known) addCut(e *record) {
	if !e.cuts {
		return
	}
	if !e.cut.Begun && !e.cut.Start.IsZero() {
		k.pending = append(k.pending, &e.cut)
	}
	if e.cut.Kind == Lockdown || e.cut.Kind == Lock && len(e.cut.Selector.GetUsers()) > 0 {
		k.signOuts = append(k.signOuts, &e.cut)
	}
	if e.cut.revokeTokens {
		k.revocations = append(k.revocations, &e.cut)
	}
}

func (k *known) addWindow(e *record) {
	switch kindOf(e.emergency) {
	case Freeze:
		k.freezes = append(k.freezes, e.window)
	case Lock:
		k.addLock(e)
	default:
		w := e.window
		w.breakUsers = slices.Concat(w.breakUsers, k.policy.GetBreakGlassUsers())
		w.breakTokens = slices.Concat(w.breakTokens, k.policy.GetBreakGlassTokens())
		k.lockdowns = append(k.lockdowns, w)
	}
}

func (k *known) addLock(e *record) {
	if k.locks == nil {
		k.locks = &locks{OnUser: {}, OnDevice: {}, OnGroup: {}}
	}
	target, names := TargetOf(e.emergency.GetSelector())
	for _, name := range names {
		k.locks[target][name] = append(k.locks[target][name], &e.window)
	}
}

func (k *known) everyCut() []Cut {
	cuts := make([]Cut, 0, len(k.all))
	for _, e := range k.all {
		if e.cuts {
			cuts = append(cuts, e.cut)
		}
	}
	return slices.Clip(cuts)
}

func (k *known) everyRecord() map[string]*emergencyv1.Emergency {
	byID := make(map[string]*emergencyv1.Emergency, len(k.all))
	for _, e := range k.all {
		byID[e.emergency.GetId()] = e.emergency
	}
	return byID
}
