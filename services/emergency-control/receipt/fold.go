// Package receipt folds what enforcers say of themselves, and answers from it how far every emergency is.
//
// Enforcers say cumulative state and repeat it for ever, so that nothing is lost when emergency-control is; only times that nobody
// else measured are, and those are kept on record (see Kept).
package receipt

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

const (
	// Silence is how long an enforcer may be quiet before what it does is not known.
	Silence = 3 * time.Second
	// gone is how long a quiet enforcer stays listed that is on no roster.
	gone = 24 * time.Hour
	// partialAfter is how long a termination may run before what is not confirmed makes it PARTIAL.
	partialAfter = 10 * time.Second
	// remembered is how many emergencies have their times kept, and holdings of how many enforcers in all: of ten thousand, the last thirty.
	remembered = 200
	holdings   = 300_000
	// retired is how long what an earlier life of an enforcer said may still be under way, and lives of how many are known.
	retired = 5 * time.Second
	lives   = 8
	// countedLives is how many lives of an enforcer have what they ended of one emergency counted: it names them itself.
	countedLives = 64
	// Connector is the service of those who hold sessions, and Broker of those who speak for them.
	Connector = "connector"
	Broker    = "session-broker"
)

// Roster is who was there before this process, and has room for whom it hears.
type Roster interface {
	// Hear notes that an enforcer has spoken for itself, and reports whether there is room to know it.
	Hear(*emergencyv1.Beat) bool
	// Forgets reports whether service/id was taken off and has not been heard since.
	Forgets(key string) bool
	// All are those with one of these presences, by name; PRESENCE_UNSPECIFIED is of those that were there before this process, and that
	// it has still to hear.
	All(...emergencyv1.Enforcer_Presence) []*emergencyv1.RosterRecord
}

// Fold is what is known of the enforcers. Fields that are exported are set before it is used.
type Fold struct {
	// Measure may be nil.
	Measure *measure.Measure
	// Roster may be nil.
	Roster Roster
	Log    *slog.Logger
	now    func() time.Time
	since  time.Time

	mu        sync.Mutex
	enforcers map[string]*enforcer
	kinds     map[string]map[string]*enforcer // the connectors and brokers among them
	times     map[string]*timing
	order     []string
	holdings  int
	heardOne  chan struct{} // closed and replaced at each beat
	lastHeard time.Time     // anybody
	from      time.Time     // since when somebody was heard without a pause
	newest    emergency.Revision
	newestAt  time.Time
}

type enforcer struct {
	beat       *emergencyv1.Beat
	revision   emergency.Revision
	seen       time.Time
	itself     time.Time // when it spoke for itself; zero if it never did
	generation uint64    // the attachment that it is known by
	known      time.Time // when something was said under that, or a later one
	left       bool      // it has said that it ends, and when
	leftAt     time.Time
	lives      []past // before this one, the latest last
	twin       bool   // it was said that two have its name
}

// timing is when one emergency was durable, and what was heard of it first when, by one clock alone.
type timing struct {
	revision emergency.Revision
	begun    emergency.Revision // of the entry of its start; zero while there is none
	created  time.Time          // by the clock of who wrote it
	start    time.Time          // of a window, and its end, by what was written last; zero of what has none
	until    time.Time
	durable  time.Time // zero if it was written before anybody could see it who has told us
	known    bool      // this process has seen an entry of it since it follows, or has waited for it
	live     bool      // this process has seen its first entry written
	kept     bool      // another, or a life of this one before, has measured it
	held     map[string]*holding
	ended    map[string]map[string]uint32 // by enforcer, and its life
	lastEnd  time.Time
	changed  bool // since it was kept
	drill    bool // nothing was enforced
}

// holding is one enforcer's receipt of one emergency.
type holding struct {
	ms      uint32
	timed   bool // ms was measured
	after   bool // it has begun, or begun anew, since the emergency was on record
	at      *timestamppb.Timestamp
	allowed *timestamppb.Timestamp
}

// New answers a fold that knows nothing yet.
func New(now func() time.Time) *Fold {
	return &Fold{now: now, since: now(), Log: slog.New(slog.DiscardHandler), enforcers: map[string]*enforcer{},
		kinds: map[string]map[string]*enforcer{Connector: {}, Broker: {}}, times: map[string]*timing{}, heardOne: make(chan struct{})}
}

// Durable notes that an emergency is on disk, as it is written, and that its start is.
func (f *Fold) Durable(e *emergencyv1.Emergency) { f.know(e, true) }

// Await notes a window that was on disk before this process could see it written, and is still to start.
func (f *Fold) Await(e *emergencyv1.Emergency) { f.know(e, false) }

func (f *Fold) know(e *emergencyv1.Emergency, written bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.times[e.GetId()]
	if t == nil || !t.known {
		t = f.begin(e, t, written)
		defer func() { f.remember(e.GetId(), t) }()
	}
	if e.GetStarted() && t.begun.IsZero() {
		t.begun = latest(e)
	}
	if t.start, t.until = (time.Time{}), (time.Time{}); window(e) && e.GetCancelTime() == nil {
		t.start, t.until = e.GetStartTime().AsTime(), e.GetEndTime().AsTime()
	}
	if now := latest(e); f.newest.Less(now) {
		f.newest, f.newestAt = now, f.now()
	}
}

// remember takes a timing, and lets go of the oldest. The lock is held.
func (f *Fold) remember(id string, t *timing) {
	if f.times[id] == nil {
		f.order = append(f.order, id)
	}
	f.times[id] = t
	f.let()
}

// let lets go of the oldest times where there are too many: of what is over first, and never of what is still to start. The lock is
// held.
func (f *Fold) let() {
	for len(f.order) > remembered || len(f.order) > 1 && f.holdings > holdings {
		now, old := f.now(), f.order[:len(f.order)-1]
		i := slices.IndexFunc(old, func(id string) bool { return !now.Before(f.times[id].until) })
		if i < 0 {
			i = slices.IndexFunc(old, func(id string) bool { return !now.Before(f.times[id].start) })
		}
		if i < 0 {
			return
		}
		f.holdings -= len(f.times[f.order[i]].held)
		delete(f.times, f.order[i])
		f.order = slices.Delete(f.order, i, i+1)
	}
}

// begin begins with what enforcers have said already: they may be faster than our own acknowledgement. What another has measured
// meanwhile stands. Of one whose first entry this process has not seen written, it does not know when it was, nor who took how long.
func (f *Fold) begin(e *emergencyv1.Emergency, kept *timing, written bool) *timing {
	t := &timing{held: map[string]*holding{}, ended: map[string]map[string]uint32{}}
	if kept != nil {
		t = kept
	}
	t.revision, t.created = first(e), e.GetCreateTime().AsTime()
	t.known, t.live = true, written && !t.revision.Less(latest(e))
	t.drill = e.GetKind() == emergencyv1.Emergency_KIND_UNSPECIFIED
	t.changed = t.changed || !written // so that what is on record of it is read again: it may have been let go of, for it says nothing of a start
	if t.live && t.durable.IsZero() {
		t.durable = f.now()
	}
	for key, enforcer := range f.enforcers {
		if t.live && !enforcer.revision.Less(t.revision) {
			f.holds(t, key, enforcer, enforcer.seen, false)
		}
		if n := enforcer.progress(e.GetId()).GetEnded(); n > 0 {
			t.end(key, enforcer.beat.GetBootId(), n, enforcer.seen)
		}
	}
	return t
}

// holds notes that an enforcer holds an emergency, the first time; after says that it was not there when it was put on record.
func (f *Fold) holds(t *timing, key string, e *enforcer, at time.Time, after bool) {
	if t.held[key] != nil {
		return
	}
	h := &holding{after: after, at: e.beat.GetHeldTime(), allowed: e.beat.GetLastAllowedTime()}
	if !t.durable.IsZero() {
		h.ms, h.timed = uint32(max(0, at.Sub(t.durable).Milliseconds())), true
		if !after && !e.beat.GetUnreachable() && !t.drill {
			f.Measure.Held(e.beat.GetService(), at.Sub(t.created))
		}
	}
	t.held[key], t.changed = h, true
	f.holdings++
}

// end notes how many sessions one life of an enforcer has ended so far.
func (t *timing) end(key, life string, n uint32, at time.Time) {
	if !t.counts(key, life, n) {
		return
	}
	t.changed = true
	if at.After(t.lastEnd) {
		t.lastEnd = at
	}
}

// counts takes what a life has ended, and reports whether that is new. Of very many lives the later ones are not counted: too
// little is said rather than too much.
func (t *timing) counts(key, life string, n uint32) bool {
	before, known := t.ended[key][life]
	if n <= before || !known && len(t.ended[key]) >= countedLives {
		return false
	}
	if t.ended[key] == nil {
		t.ended[key] = map[string]uint32{}
	}
	t.ended[key][life] = n
	return true
}

// Take folds one beat, or many in one.
func (f *Fold) Take(beat *emergencyv1.Beat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	heard := f.take(beat)
	for _, b := range beat.GetFolded() {
		heard = f.take(b) || heard
	}
	if heard {
		close(f.heardOne)
		f.heardOne = make(chan struct{})
	}
}

// take folds one. A beat of an older attachment of the same process is passed over, and so is what a process said that is no more.
func (f *Fold) take(beat *emergencyv1.Beat) bool {
	if beat.GetEnforcer() == "" {
		return false
	}
	key := beat.GetService() + "/" + beat.GetEnforcer()
	before, now := f.enforcers[key], f.now()
	revision, ok := before.parsed(beat)
	if !ok {
		return false
	}
	if now.Sub(f.lastHeard) > Silence {
		f.from = now
	}
	f.lastHeard = now
	if f.late(key, before, beat, revision, now) {
		f.ends(key, beat, now) // what a life has ended stays true
		return false
	}
	if !f.room(key, beat) {
		return false
	}
	heard, same := before.followed(beat, revision, now)
	f.enforcers[key] = heard
	if kind := f.kinds[beat.GetService()]; kind != nil {
		kind[key] = heard
	}
	f.measured(key, before, heard, same)
	return true
}

// measured notes what is new in a beat, of all emergencies.
func (f *Fold) measured(key string, before, heard *enforcer, same bool) {
	if before == nil || before.revision != heard.revision || !same {
		for _, t := range f.times {
			if heard.revision.Less(t.revision) || t.held[key] != nil || !t.live && (before == nil || !before.revision.Less(t.revision)) {
				continue // or nobody knows since when
			}
			if before == nil && t.durable.Sub(f.since) < Silence {
				continue // this process began to listen just then, and who was there before it can't tell
			}
			f.holds(t, key, heard, heard.seen, !same)
		}
		f.let()
	}
	f.ends(key, heard.beat, heard.seen)
}

// ends notes what one life of an enforcer says that it has ended.
func (f *Fold) ends(key string, beat *emergencyv1.Beat, at time.Time) {
	for _, c := range beat.GetCuts() {
		if t := f.times[c.GetEmergency()]; t != nil {
			t.end(key, beat.GetBootId(), c.GetEnded(), at)
		}
	}
}

// parsed is a beat's revision. The same text is not read again: of ten thousand, most say what they said.
func (e *enforcer) parsed(beat *emergencyv1.Beat) (emergency.Revision, bool) {
	if e != nil && e.beat.GetRevision() == beat.GetRevision() {
		return e.revision, true
	}
	r, err := emergency.ParseRevision(beat.GetRevision())
	return r, err == nil
}

// room reports whether an enforcer can be known. One that was forgotten is not known again because a broker speaks for it.
func (f *Fold) room(key string, beat *emergencyv1.Beat) bool {
	switch {
	case f.Roster == nil:
		return true
	case !beat.GetUnreachable():
		return f.Roster.Hear(beat)
	}
	return beat.GetOpenSessions() > 0 || !f.Roster.Forgets(key)
}

// Leaves notes that an enforcer ends in good order.
func (f *Fold) Leaves(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.enforcers[key]; e != nil {
		e.left, e.leftAt = true, f.now()
	}
}

// Forgotten lets go of an enforcer that was taken off the roster.
func (f *Fold) Forgotten(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.enforcers[key]; e != nil && !e.reachable(f.now()) {
		f.drop(key)
	}
}

func (f *Fold) drop(key string) {
	delete(f.enforcers, key)
	for _, kind := range f.kinds {
		delete(kind, key)
	}
}

// listened reports whether this process has heard others for as long as it takes until one is missed: after an outage of its own it
// hears one first.
func (f *Fold) listened(now time.Time) bool {
	return now.Sub(f.from) > Silence && now.Sub(f.lastHeard) <= Silence
}

// prune lets go of those that were not heard for long. What one held that never came back stays unreachable.
func (f *Fold) prune(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, e := range f.enforcers {
		if now.Sub(e.seen) > gone && e.beat.GetOpenSessions() == 0 {
			f.drop(key)
		}
	}
}

func (e *enforcer) reachable(now time.Time) bool {
	return !e.beat.GetUnreachable() && now.Sub(e.seen) <= Silence
}

func (e *enforcer) progress(emergency string) *emergencyv1.CutProgress {
	for _, c := range e.beat.GetCuts() {
		if c.GetEmergency() == emergency {
			return c
		}
	}
	return nil
}

// window reports whether it starts and ends: its status is the clock's, not the receipts'.
func window(e *emergencyv1.Emergency) bool { return e.GetKind() > emergencyv1.Emergency_TERMINATION }

// first is the revision of an emergency's first entry.
func first(e *emergencyv1.Emergency) emergency.Revision { return revision(e.GetCutoffRevision()) }

// latest is the revision of an emergency's latest entry.
func latest(e *emergencyv1.Emergency) emergency.Revision { return revision(e.GetRevision()) }

func revision(text string) emergency.Revision {
	r, err := emergency.ParseRevision(text)
	if err != nil {
		return emergency.Revision{}
	}
	return r
}
