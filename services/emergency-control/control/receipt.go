package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

const (
	// silence is how long an enforcer may be quiet before what it does is not known.
	silence = 3 * time.Second
	// gone is how long a quiet enforcer stays listed.
	gone = 24 * time.Hour
	// missed is how long a silent enforcer counts as stale: by then people know, or it will never be back.
	missed = time.Hour
	// partialAfter is how long a termination may run before what is not confirmed makes it PARTIAL.
	partialAfter = 10 * time.Second
	// remembered is how many emergencies have their times kept.
	remembered = 200
)

// receipts folds what enforcers say of themselves. It is cumulative state, repeated for ever, so that
// nothing is lost when control is; only times that nobody else measured are.
type receipts struct {
	now   func() time.Time
	since time.Time

	mu        sync.Mutex
	enforcers map[string]*enforcer
	times     map[string]*timing
	order     []string
	heardOne  chan struct{} // closed and replaced at each beat
	measure   *measure.Measure
	newest    emergency.Revision // of any emergency
	newestAt  time.Time
}

type enforcer struct {
	beat     *emergencyv1.Beat
	revision emergency.Revision
	seen     time.Time
	itself   time.Time // when it spoke for itself; zero if it never did
	left     bool      // it has said that it ends
}

// timing is when one emergency was durable, and what was heard of it first when, by this clock alone.
type timing struct {
	revision emergency.Revision
	begun    emergency.Revision // of the entry of its start; zero while there is none
	created  time.Time          // by the clock of who wrote it
	durable  time.Time          // zero if it was written before this process could see it
	held     map[string]time.Time
	ended    map[string]uint32 // by connector and life
	lastEnd  time.Time
	drill    bool
}

func newReceipts(now func() time.Time) *receipts {
	return &receipts{now: now, since: now(), enforcers: map[string]*enforcer{}, times: map[string]*timing{}, heardOne: make(chan struct{})}
}

// durable notes that an emergency is on disk, the first time that it is seen, and that its start is.
func (r *receipts) durable(e *emergencyv1.Emergency) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.times[e.GetId()]
	if t == nil {
		t = r.timing(e)
		r.times[e.GetId()] = t
		r.order = append(r.order, e.GetId())
	}
	if e.GetStarted() && t.begun.IsZero() {
		t.begun = latest(e)
	}
	if now := latest(e); r.newest.Less(now) {
		r.newest, r.newestAt = now, r.now()
	}
	if len(r.order) > remembered {
		delete(r.times, r.order[0])
		r.order = r.order[1:]
	}
}

// timing begins with what enforcers have said already: they may be faster than our own acknowledgement.
func (r *receipts) timing(e *emergencyv1.Emergency) *timing {
	t := &timing{drill: e.GetKind() == emergencyv1.Emergency_KIND_UNSPECIFIED, revision: first(e), created: e.GetCreateTime().AsTime(), held: map[string]time.Time{}, ended: map[string]uint32{}}
	if !t.revision.Less(latest(e)) {
		t.durable = r.now()
	}
	for key, enforcer := range r.enforcers {
		if !enforcer.revision.Less(t.revision) {
			t.held[key] = enforcer.seen
			r.enforced(enforcer, t, enforcer.seen)
		}
		if n := enforcer.progress(e.GetId()).GetEnded(); n > 0 {
			t.ended[key+"/"+enforcer.beat.GetBootId()] = n
			if enforcer.seen.After(t.lastEnd) {
				t.lastEnd = enforcer.seen
			}
		}
	}
	return t
}

// take folds one beat. A beat of an older attachment of the same process is passed over.
func (r *receipts) take(beat *emergencyv1.Beat) {
	revision, err := emergency.ParseRevision(beat.GetRevision())
	if err != nil || beat.GetEnforcer() == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := beat.GetService() + "/" + beat.GetEnforcer()
	before := r.enforcers[key]
	if before != nil && before.beat.GetBootId() == beat.GetBootId() && beat.GetGeneration() < before.beat.GetGeneration() {
		return
	}
	now := r.now()
	itself := now
	if beat.GetUnreachable() {
		itself = before.spoke()
	}
	heard := &enforcer{beat: beat, revision: revision, seen: now, itself: itself}
	r.enforcers[key] = heard
	sameLife := before != nil && before.beat.GetBootId() == beat.GetBootId()
	close(r.heardOne)
	r.heardOne = make(chan struct{})
	for _, t := range r.times {
		if _, held := t.held[key]; !held && !revision.Less(t.revision) {
			t.held[key] = now
			if sameLife { // what has just begun was nowhere without it
				r.enforced(heard, t, now)
			}
		}
	}
	for _, c := range beat.GetCuts() {
		life := key + "/" + beat.GetBootId()
		if t := r.times[c.GetEmergency()]; t != nil && c.GetEnded() > t.ended[life] {
			t.ended[life], t.lastEnd = c.GetEnded(), now
		}
	}
}

// enforced measures how long after its record an emergency was held. Of one that this process did not see being written
// nothing is known.
func (r *receipts) enforced(e *enforcer, t *timing, at time.Time) {
	if !t.durable.IsZero() && !e.beat.GetUnreachable() && !t.drill {
		r.measure.Held(e.beat.GetService(), at.Sub(t.created))
	}
}

// leaves notes that an enforcer ends in good order.
func (r *receipts) leaves(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.enforcers[key]; e != nil {
		e.left = true
	}
}

// stale are the enforcers that may let through what the record forbids: they hold an older revision, or can't tell whether what
// they hold is all, or nobody hears them. One that has ended decides nothing, nor does a connector without sessions.
func (r *receipts) stale() []measure.Stale {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var all []measure.Stale
	for _, e := range r.enforcers {
		kind := e.beat.GetService()
		idle := kind == connectorService && e.beat.GetOpenSessions() == 0
		switch {
		case e.reachable(now):
			if e.revision.Less(r.newest) && now.Sub(r.newestAt) > silence {
				all = append(all, measure.Stale{Kind: kind, Why: measure.Behind})
			} else if measure.IsOld(e.beat, e.seen, now) && !idle {
				all = append(all, measure.Stale{Kind: kind, Why: measure.Old})
			}
		case !e.left && !idle && now.Sub(e.seen) <= missed:
			all = append(all, measure.Stale{Kind: kind, Why: measure.Silent})
		}
	}
	return all
}

func (e *enforcer) reachable(now time.Time) bool {
	return !e.beat.GetUnreachable() && now.Sub(e.seen) <= silence
}

func (e *enforcer) spoke() time.Time {
	if e == nil {
		return time.Time{}
	}
	return e.itself
}

func (e *enforcer) progress(emergency string) *emergencyv1.CutProgress {
	for _, c := range e.beat.GetCuts() {
		if c.GetEmergency() == emergency {
			return c
		}
	}
	return nil
}

// connectorService is the service of those who hold sessions.
const connectorService = "connector"

// window reports whether it starts and ends: its status is the clock's, not the receipts'.
func window(e *emergencyv1.Emergency) bool { return e.GetKind() > emergencyv1.Emergency_TERMINATION }

// progress fills in how far an emergency that has started is with the sessions that it ends: what
// connectors say, and nothing else. A connector that is silent is unreachable, never ended. Of a window
// that nobody says anything of any more nothing is filled in.
func (r *receipts) progress(e *emergencyv1.Emergency, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, t := r.sum(e, now), r.times[e.GetId()]
	from, listened := r.listened(e, t)
	if window(e) && !listened && !f.told {
		return
	}
	if t != nil {
		f.ended = t.total() // a connector that starts again begins to count anew
	}
	e.Open, e.Ended, e.Unreachable = &f.open, &f.ended, &f.unreachable
	if listened && !t.lastEnd.IsZero() {
		e.LastEndedMs = new(uint32(max(0, t.lastEnd.Sub(from).Milliseconds()))) // their clocks may be ahead of this one
	}
	switch {
	case window(e):
	case f.confirmed && r.heard(now):
		e.Status = emergencyv1.Emergency_DONE
	case now.Sub(e.GetCreateTime().AsTime()) > partialAfter:
		e.Status = emergencyv1.Emergency_PARTIAL
	default:
		e.Status = emergencyv1.Emergency_RUNNING
	}
}

// far is how far one emergency is with all connectors.
type far struct {
	open, ended, unreachable uint32
	confirmed                bool // by every connector
	told                     bool // there is a connector that tells of it, or has yet to hear of it
}

func (r *receipts) sum(e *emergencyv1.Emergency, now time.Time) far {
	f := far{confirmed: true}
	selects, _ := emergency.CutOf(e)
	cut, begun := first(e), r.begun(e)
	for _, enforcer := range r.enforcers {
		if enforcer.beat.GetService() != connectorService {
			continue
		}
		p, unheard := enforcer.progress(e.GetId()), enforcer.unheard(e, begun)
		f.ended += p.GetEnded()
		f.told = f.told || p != nil || unheard
		if enforcer.reachable(now) {
			f.open += p.GetOpen()
			if unheard && selects.Selector.GetAll() {
				f.open += enforcer.beat.GetOpenSessions()
			}
			f.confirmed = f.confirmed && !enforcer.revision.Less(cut) && p.GetOpen() == 0
			continue
		}
		left := p.GetOpen()
		if unheard {
			left = enforcer.beat.GetOpenSessions() // whom it selects is not known: all that it had
		}
		f.unreachable += left
		f.confirmed = f.confirmed && left == 0
	}
	return f
}

// begun is the revision that who holds it knows an emergency to be on; zero while the start of a window
// is not on record.
func (r *receipts) begun(e *emergencyv1.Emergency) emergency.Revision {
	t := r.times[e.GetId()]
	switch {
	case !window(e):
		return first(e)
	case t != nil && !t.begun.IsZero():
		return t.begun
	case e.GetStarted():
		return latest(e)
	}
	return emergency.Revision{}
}

// unheard reports whether a connector has yet to say what an emergency selects there. That a window has
// ended nobody yet says nothing if it was said before the start.
func (e *enforcer) unheard(of *emergencyv1.Emergency, begun emergency.Revision) bool {
	p, itself := e.progress(of.GetId()), !e.beat.GetUnreachable()
	if p.GetOpen()+p.GetEnded() > 0 || p != nil && !itself {
		return false // a broker that speaks for it has looked
	}
	if begun.IsZero() {
		return !itself || e.seen.Before(of.GetStartTime().AsTime())
	}
	return e.revision.Less(begun)
}

// listened answers from when on an emergency ends sessions, and whether this process has heard connectors
// since then.
func (r *receipts) listened(e *emergencyv1.Emergency, t *timing) (from time.Time, since bool) {
	if t == nil {
		return time.Time{}, false
	}
	from = t.durable
	if window(e) {
		from = e.GetStartTime().AsTime()
	}
	return from, !r.since.After(from)
}

// total is how many sessions the connectors have confirmed to have ended.
func (t *timing) total() uint32 {
	var sum uint32
	for _, n := range t.ended {
		sum += n
	}
	return sum
}

// heard reports whether a broker speaks, and everyone has had the time to: before that, nothing is known
// of any connector.
func (r *receipts) heard(now time.Time) bool {
	if now.Sub(r.since) < silence {
		return false
	}
	for _, e := range r.enforcers {
		if e.beat.GetService() == brokerService && e.reachable(now) {
			return true
		}
	}
	return false
}

const brokerService = "session-broker"

// ListReceipts lists what every enforcer says of one emergency.
func (s *Service) ListReceipts(ctx context.Context, q *emergencyv1.ListReceiptsRequest) (*emergencyv1.ListReceiptsResponse, error) {
	s.arrive(ctx, q.GetId())
	e := s.ledger.record(q.GetId())
	if e == nil {
		return nil, unknown(q.GetId(), emergencyv1.Emergency_KIND_UNSPECIFIED)
	}
	return &emergencyv1.ListReceiptsResponse{Receipts: s.receipts.of(e, s.now())}, nil
}

func (r *receipts) of(e *emergencyv1.Emergency, now time.Time) []*emergencyv1.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*emergencyv1.Receipt
	cut, times := first(e), r.times[e.GetId()]
	for key, enforcer := range r.enforcers {
		p := enforcer.progress(e.GetId())
		receipt := &emergencyv1.Receipt{
			Enforcer: enforcer.beat.GetEnforcer(), Service: enforcer.beat.GetService(), Revision: enforcer.revision.String(),
			EndedSessions: p.GetEnded(), OpenSessions: p.GetOpen(), State: emergencyv1.Receipt_CONFIRMED,
		}
		switch {
		case enforcer.revision.Less(cut) && !enforcer.reachable(now):
			receipt.State = emergencyv1.Receipt_UNREACHABLE
		case enforcer.revision.Less(cut):
			receipt.State = emergencyv1.Receipt_WAITING
		}
		if times != nil && !times.durable.IsZero() {
			if at, held := times.held[key]; held {
				receipt.HeldMs = new(uint32(max(0, at.Sub(times.durable).Milliseconds())))
			}
		}
		all = append(all, receipt)
	}
	slices.SortFunc(all, func(a, b *emergencyv1.Receipt) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetEnforcer(), b.GetEnforcer()))
	})
	return all
}

// ListEnforcers lists who enforces, as they were heard last, and says whether anything new can be put on record.
func (s *Service) ListEnforcers(context.Context, *emergencyv1.ListEnforcersRequest) (*emergencyv1.ListEnforcersResponse, error) {
	all := &emergencyv1.ListEnforcersResponse{Enforcers: s.receipts.list(s.now())}
	s.condition.Show(all)
	return all, nil
}

func (r *receipts) list(now time.Time) []*emergencyv1.Enforcer {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, e := range r.enforcers {
		if now.Sub(e.seen) > gone && e.beat.GetOpenSessions() == 0 {
			delete(r.enforcers, key) // what one held that never came back stays unreachable
		}
	}
	return r.those(now, func(e *enforcer) bool { return now.Sub(e.seen) <= gone })
}

// silent are those that cannot be reached now.
func (r *receipts) silent(now time.Time) []*emergencyv1.Enforcer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.those(now, func(e *enforcer) bool { return !e.reachable(now) })
}

// those are the enforcers of which this holds. The lock is held.
func (r *receipts) those(now time.Time, holds func(*enforcer) bool) []*emergencyv1.Enforcer {
	var all []*emergencyv1.Enforcer
	for _, e := range r.enforcers {
		if !holds(e) {
			continue
		}
		shown := &emergencyv1.Enforcer{
			Id: e.beat.GetEnforcer(), Service: e.beat.GetService(), Mode: e.beat.GetMode(), Revision: e.revision.String(),
			Fresh: e.reachable(now) && !measure.IsOld(e.beat, e.seen, now), BootId: e.beat.GetBootId(), OpenSessions: e.beat.OpenSessions, Bound: e.beat.GetBound(),
		}
		if age, known := measure.AgeOf(e.beat, e.seen, now); known {
			shown.Age = durationpb.New(age.Round(time.Millisecond))
		}
		if !e.itself.IsZero() {
			shown.LastSeenTime = timestamppb.New(e.itself)
		}
		all = append(all, shown)
	}
	slices.SortFunc(all, func(a, b *emergencyv1.Enforcer) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return all
}

// settling is how long an answer waits for doors that are there to hold what it says.
const settling = 50 * time.Millisecond

// settle waits a moment until every door that can be reached holds the revision, so that who asks one
// right after an answer hears what the answer said. The answer itself doesn't depend on it.
func (r *receipts) settle(ctx context.Context, revision emergency.Revision) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		behind, next := r.behind(revision)
		if !behind {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// next is closed at the next beat.
func (r *receipts) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heardOne
}

func (r *receipts) behind(revision emergency.Revision) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, e := range r.enforcers {
		if e.reachable(now) && e.revision.Less(revision) {
			return true, r.heardOne
		}
	}
	return false, nil
}
