// Package roster remembers who enforces, beyond the life of any process: whoever was heard once is missed until it is back, has
// said that it ends, or is forgotten by an administrator; and so is whoever the policy expects and never came.
//
// Every replica of emergency-control hears everybody and writes what it has noticed to the stream ROSTER, the last value of each
// subject, where nobody else has noticed it yet.
package roster

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	stream        = "ROSTER"
	memberSubject = "roster."  // + service.id
	keptSubject   = "receipt." // + emergency
	// silence is how long an enforcer may be quiet until it is missed.
	silence = 3 * time.Second
	// evictEvery is how often room is made where there is none: it looks at everybody.
	evictEvery = 10 * time.Second
	// guards is the service of those that a token can make up any number of.
	guards = "guard"
	// Most is how many are remembered, and MostGuards how many of them may be guards.
	Most       = 20_000
	MostGuards = 15_000
)

// Deps is what the roster works with.
type Deps struct {
	Journal *journal.Journal
	// Kept is told of what was measured of an emergency, by whichever replica; it must not block.
	Kept func(*emergencyv1.ReceiptsRecord)
	// Forgotten is told who was taken off the roster, as service/id.
	Forgotten func(key string)
	// Act spends a grant and puts on record that somebody is about to do what the request names.
	Act func(context.Context, *emergencyv1.RecordActRequest) error
	Now func() time.Time
	Log *slog.Logger
}

// Roster is who enforces, as this replica knows it.
type Roster struct {
	emergencyv1.UnimplementedRostersServer
	deps Deps
	pace time.Duration // between writes

	mu      sync.Mutex // guards all below
	stored  *journal.Stream
	fresh   bool
	members map[string]*member
	guards  int
	full    bool      // it has been said that no more are remembered
	heard   time.Time // anybody
	from    time.Time // since when somebody was heard without a pause
	evicted time.Time // when room was last made
}

// member is one enforcer: what is on record, and what this process has heard.
type member struct {
	record   *emergencyv1.RosterRecord // nil while there is none
	sequence uint64                    // of the record
	written  time.Time                 // the record, last
	id       string
	service  string
	mode     emergencyv1.Enforcer_Mode
	open     *uint32
	heard    time.Time
	left     time.Time // when it said that it ends; zero if it was heard since
}

// New answers a roster that knows nobody yet.
func New(d Deps) *Roster {
	return &Roster{deps: d, pace: pace, members: map[string]*member{}}
}

// Register offers the RPC.
func (r *Roster) Register(to grpc.ServiceRegistrar) { emergencyv1.RegisterRostersServer(to, r) }

// Hear notes that an enforcer has spoken for itself, and reports whether there is room to know it.
func (r *Roster) Hear(b *emergencyv1.Beat) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	m := r.member(b.GetService(), b.GetEnforcer())
	if m == nil {
		return false
	}
	if now.Sub(r.heard) > silence {
		r.from = now
	}
	m.mode, m.open, m.heard, m.left, r.heard = b.GetMode(), b.OpenSessions, now, time.Time{}, now
	return true
}

// member answers one that is known, or makes room for it; nil if there is none. The lock is held.
func (r *Roster) member(service, id string) *member {
	key := service + "/" + id
	if m := r.members[key]; m != nil {
		return m
	}
	if !nameable(service) || !nameable(id) {
		return nil
	}
	if now := r.deps.Now(); r.crowded(service) && now.Sub(r.evicted) > evictEvery {
		r.evicted = now
		r.evict()
	}
	if r.crowded(service) {
		if !r.full {
			r.full = true
			r.deps.Log.Error("no more enforcers can be remembered; what else is heard is not among the receipts", "enforcers", len(r.members), "guards", r.guards)
		}
		return nil
	}
	m := &member{service: service, id: id}
	r.members[key] = m
	if service == guards {
		r.guards++
	}
	return m
}

// nameable reports whether a name can be a part of a subject: one that can't must not keep the others from being written down.
func nameable(name string) bool {
	for token := range strings.SplitSeq(name, ".") {
		if token == "" || len(token) > 256 || strings.ContainsAny(token, "*> \t\r\n\x00") {
			return false
		}
	}
	return true
}

func (r *Roster) crowded(service string) bool {
	return len(r.members) >= Most || service == guards && r.guards >= MostGuards
}

// evict drops from memory whom nobody misses. The lock is held.
func (r *Roster) evict() {
	for key, m := range r.members {
		if nobodyMisses(m.record) && !m.heard.After(m.record.GetSinceTime().AsTime()) {
			r.drop(key, m)
		}
	}
}

func (r *Roster) drop(key string, m *member) {
	delete(r.members, key)
	if m.service == guards {
		r.guards--
	}
}

func nobodyMisses(record *emergencyv1.RosterRecord) bool {
	on := record.GetPresence()
	return on == emergencyv1.Enforcer_DRAINED || on == emergencyv1.Enforcer_FORGOTTEN
}

// Leaves notes that an enforcer has said that it ends.
func (r *Roster) Leaves(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[key]; m != nil {
		m.left = r.deps.Now()
	}
}

// Forgets reports whether an enforcer was taken off the roster and has not been heard since.
func (r *Roster) Forgets(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[key]
	return m != nil && m.presence(r.deps.Now(), r.listened(r.deps.Now())) == emergencyv1.Enforcer_FORGOTTEN
}

// listened reports whether this process has had the time to hear everybody, since it began or was cut off itself. Before that,
// silence says nothing.
func (r *Roster) listened(now time.Time) bool {
	return now.Sub(r.from) > silence && now.Sub(r.heard) <= silence
}

// presence is how an enforcer is, by what is on record and what was heard.
func (m *member) presence(now time.Time, listened bool) emergencyv1.Enforcer_Presence {
	on := m.record.GetPresence()
	switch {
	case !m.left.IsZero():
		return emergencyv1.Enforcer_DRAINED
	case now.Sub(m.heard) <= silence:
		return emergencyv1.Enforcer_JOINED
	case on == emergencyv1.Enforcer_DRAINED || on == emergencyv1.Enforcer_FORGOTTEN || on == emergencyv1.Enforcer_MISSING:
		if on != emergencyv1.Enforcer_MISSING && m.heard.After(m.record.GetSinceTime().AsTime()) {
			return emergencyv1.Enforcer_MISSING
		}
		return on
	case listened && now.Sub(m.last()) > silence:
		return emergencyv1.Enforcer_MISSING
	}
	return emergencyv1.Enforcer_JOINED
}

// last is when it was there for certain, as far as anybody knows.
func (m *member) last() time.Time {
	if seen := m.record.GetLastSeenTime().AsTime(); m.record != nil && seen.After(m.heard) {
		return seen
	}
	return m.heard
}

// Member answers what is known of one enforcer; nil if nothing is.
func (r *Roster) Member(key string) *emergencyv1.RosterRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	if m := r.members[key]; m != nil {
		return m.shown(now, r.listened(now))
	}
	return nil
}

// All are those on the roster with one of these presences, by name. PRESENCE_UNSPECIFIED asks for those who were there by what is on
// record, of whom this process has heard nothing yet and can't say that they are missing.
func (r *Roster) All(presences ...emergencyv1.Enforcer_Presence) []*emergencyv1.RosterRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*emergencyv1.RosterRecord
	now := r.deps.Now()
	listened := r.listened(now)
	unheard := slices.Contains(presences, emergencyv1.Enforcer_PRESENCE_UNSPECIFIED)
	for _, m := range r.members {
		is := m.presence(now, listened)
		if slices.Contains(presences, is) || unheard && m.heard.IsZero() && is == emergencyv1.Enforcer_JOINED {
			all = append(all, m.shown(now, listened))
		}
	}
	slices.SortFunc(all, func(a, b *emergencyv1.RosterRecord) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return all
}

// shown is what would be put on record of it now.
func (m *member) shown(now time.Time, listened bool) *emergencyv1.RosterRecord {
	is := m.presence(now, listened)
	next := &emergencyv1.RosterRecord{
		Service: m.service, Id: m.id, Presence: is, Mode: m.record.GetMode(), FirstSeenTime: m.record.GetFirstSeenTime(),
		LastSeenTime: timestamppb.New(m.last()), SinceTime: m.record.GetSinceTime(),
	}
	if m.record != nil {
		next.OpenSessions = m.record.OpenSessions
	}
	if !m.heard.IsZero() {
		next.Mode, next.OpenSessions = m.mode, m.open
	}
	if next.FirstSeenTime == nil || m.record.GetPresence() == emergencyv1.Enforcer_FORGOTTEN && is != emergencyv1.Enforcer_FORGOTTEN {
		next.FirstSeenTime = timestamppb.New(m.heard)
	}
	if is == emergencyv1.Enforcer_FORGOTTEN {
		next.ForgottenBy = m.record.GetForgottenBy()
	}
	if m.record.GetPresence() != is {
		next.SinceTime = timestamppb.New(now)
	}
	return next
}

// Run follows the record, and adds what was noticed, until the context ends. Where the stream is not there yet, as in the middle of
// an upgrade, it goes by what it hears.
func (r *Roster) Run(ctx context.Context) error {
	s, err := r.open(ctx)
	if s == nil {
		return err
	}
	var writing sync.WaitGroup
	writing.Go(func() { r.write(ctx, s) })
	defer writing.Wait()
	for ctx.Err() == nil {
		err := s.Watch(ctx, journal.WatchConfig{Entry: r.take, Fresh: r.setFresh})
		if ctx.Err() != nil {
			return nil
		}
		r.deps.Log.ErrorContext(ctx, "the roster is not the one that was followed; reading it anew", "error", err)
		r.begin()
		rest(ctx, again)
	}
	return nil
}

const again = 2 * time.Second

func (r *Roster) open(ctx context.Context) (*journal.Stream, error) {
	said := false
	for ctx.Err() == nil {
		s, err := r.deps.Journal.Stream(ctx, stream)
		if err == nil {
			r.mu.Lock()
			r.stored = s
			r.mu.Unlock()
			return s, nil
		}
		if errors.Is(err, journal.ErrUnsafe) {
			return nil, err
		}
		if ctx.Err() == nil && !said {
			said = true
			r.deps.Log.WarnContext(ctx, "the stream ROSTER can't be opened: make it with portcullis prepare streams; until then, who was there before is not known", "error", err)
		}
		rest(ctx, again)
	}
	return nil, nil
}

func rest(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// begin forgets what is on record, but not what was heard.
func (r *Roster) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh = false
	for key, m := range r.members {
		if m.record, m.sequence = nil, 0; m.heard.IsZero() {
			r.drop(key, m)
		}
	}
}

func (r *Roster) setFresh(fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh = fresh
}

// take folds an entry. One that can't be read is passed over: nobody decides by it.
func (r *Roster) take(e journal.Entry) error {
	if strings.HasPrefix(e.Subject, keptSubject) {
		kept := new(emergencyv1.ReceiptsRecord)
		if err := proto.Unmarshal(e.Data, kept); err != nil || e.Subject != keptSubject+kept.GetEmergency() {
			r.deps.Log.Error("what was measured of an emergency can't be read", "subject", e.Subject, "error", err)
			return nil
		}
		r.deps.Kept(kept)
		return nil
	}
	record := new(emergencyv1.RosterRecord)
	if err := proto.Unmarshal(e.Data, record); err != nil || e.Subject != subjectOf(record.GetService(), record.GetId()) {
		r.deps.Log.Error("a row of the roster can't be read", "subject", e.Subject, "error", err)
		return nil
	}
	if r.enter(e, record) {
		r.deps.Forgotten(record.GetService() + "/" + record.GetId())
	}
	return nil
}

// enter takes a row, and reports whether it takes somebody off the roster.
func (r *Roster) enter(e journal.Entry, record *emergencyv1.RosterRecord) (forgets bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	if r.members[record.GetService()+"/"+record.GetId()] == nil && nobodyMisses(record) && now.Sub(record.GetSinceTime().AsTime()) > shownDrained {
		return false
	}
	m := r.member(record.GetService(), record.GetId())
	if m == nil || e.Sequence <= m.sequence {
		return false
	}
	m.record, m.sequence, m.written = record, e.Sequence, e.Time
	if e.Time.IsZero() {
		m.written = now
	}
	if record.GetPresence() != emergencyv1.Enforcer_FORGOTTEN || now.Sub(m.heard) <= silence {
		return false
	}
	m.heard, m.left = time.Time{}, time.Time{}
	return true
}

// shownDrained is for how long those are remembered whom nobody misses.
const shownDrained = 7 * 24 * time.Hour

func subjectOf(service, id string) string { return memberSubject + service + "." + id }
