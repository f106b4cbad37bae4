package emergency

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// The model is what the requirements say, in maps and loops, with the clock and all knowledge in one
// place. It knows what happened when; it knows nothing of revisions, stamps and sets.
type model struct {
	now         time.Time
	users       map[string]modelUser
	devices     map[string]bool // disabled
	groups      map[string]modelGroup
	windows     []*modelWindow
	policyBreak []string
	live        []*modelLive
}

type modelUser struct{ admin, disabled bool }

type modelGroup struct {
	users, devices []string
	blocks         bool
}

type modelWindow struct {
	record      *emergencyv1.Emergency
	lockdown    bool
	start, end  time.Time
	cancelled   bool
	breakGlass  []string
	spared      string
	signedOut   bool   // its start has come
	on          Target // of a lock
	name        string
	endless     bool
	terminating *emergencyv1.Selector
}

// modelLive is a session or a sign-in.
type modelLive struct {
	session Session
	signIn  string
	ended   bool
	// The real one.
	cut bool
}

func (m *model) decide(r Request) (Reason, time.Time, time.Time) {
	var lockdown, lock, freeze time.Time
	endless := false
	user, known := m.users[r.User]
	for _, w := range m.windows {
		on := !w.cancelled && !m.now.Before(w.start) && m.now.Before(w.end)
		if w.terminating != nil || !on {
			continue
		}
		if w.on != 0 {
			if m.locks(w, r) {
				lock, endless = later(lock, w.end), endless || w.endless
			}
			continue
		}
		if !w.lockdown {
			freeze = later(freeze, w.end)
			continue
		}
		person := r.Channel == Interactive || r.Channel == SessionChannel
		glass := r.Token == "" && person && (slices.Contains(w.breakGlass, r.User) || slices.Contains(m.policyBreak, r.User)) ||
			r.Token != "" && slices.Contains(w.breakGlass, r.Token)
		administers := r.Channel == Interactive && r.Token == "" && known && user.admin && !user.disabled
		if !glass && !administers {
			lockdown = later(lockdown, w.end)
		}
	}
	reach, blocked := m.reach(r)
	exempt := known && user.admin && !user.disabled
	frozen := r.Device != "" && reach && blocked && !exempt && !freeze.IsZero()
	back := later(lockdown, lock)
	if frozen {
		back = later(back, freeze)
	}
	if endless {
		back = time.Time{}
	}
	switch {
	case !lockdown.IsZero():
		return LockedDown, lockdown, back
	case endless:
		return Locked, time.Time{}, back
	case !lock.IsZero():
		return Locked, lock, back
	case !reach:
		return NoAccess, time.Time{}, time.Time{}
	case frozen:
		return Frozen, freeze, freeze
	}
	return Allowed, time.Time{}, time.Time{}
}

func (m *model) locks(w *modelWindow, r Request) bool {
	switch w.on {
	case OnUser:
		return w.name == r.User || w.name == r.Owner
	case OnDevice:
		return w.name == r.Device
	}
	return slices.Contains(m.groups[w.name].devices, r.Device)
}

// hits reports whether the start of a lock ends something.
func (w *modelWindow) hits(l *modelLive) bool {
	switch w.on {
	case OnUser:
		return l.session.User == w.name
	case OnDevice:
		return l.signIn == "" && l.session.Device == w.name
	}
	return l.signIn == "" && slices.Contains(l.session.Groups, w.name)
}

func (m *model) reach(r Request) (reach, blocked bool) {
	user, known := m.users[r.User]
	if r.User != "" && (!known || user.disabled) || r.User == "" && r.Token == "" {
		return false, false
	}
	if r.Device == "" {
		return true, false
	}
	off, known := m.devices[r.Device]
	if !known || off {
		return false, false
	}
	for _, g := range m.groups {
		if slices.Contains(g.devices, r.Device) {
			blocked = blocked || g.blocks
			reach = reach || slices.Contains(g.users, r.User)
		}
	}
	return reach, blocked
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// tick ends what a window's start ends, once, when it comes.
func (m *model) tick() {
	for _, w := range m.windows {
		if !w.lockdown && w.on == 0 || w.signedOut || w.cancelled || m.now.Before(w.start) {
			continue
		}
		w.signedOut = true
		for _, l := range m.live {
			if w.on != 0 {
				l.ended = l.ended || w.hits(l)
				continue
			}
			l.ended = l.ended || l.signIn == "" || l.signIn != w.spared
		}
	}
}

// machine drives the model and the real thing with the same random steps.
type machine struct {
	model
	builder  *Builder
	sequence uint64
	signIns  int
}

var (
	modelUsers   = []string{"ann", "bob", "root", "eve"}
	modelDevices = []string{"db", "web", "old"}
	modelGroups  = []string{"ops", "pay", "all"}
)

func newMachine() *machine {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &machine{
		model:   model{now: start, users: map[string]modelUser{}, devices: map[string]bool{}, groups: map[string]modelGroup{}},
		builder: NewBuilder(),
	}
}

func subset(t *rapid.T, of []string) []string {
	return rapid.SliceOfDistinct(rapid.SampledFrom(of), rapid.ID[string]).Draw(t, "subset")
}

func pick(t *rapid.T, of []string) string { return rapid.SampledFrom(of).Draw(t, "name") }

func (m *machine) editUser(t *rapid.T) {
	name, u := pick(t, modelUsers), modelUser{admin: rapid.Bool().Draw(t, "admin"), disabled: rapid.IntRange(0, 3).Draw(t, "disabled") == 0}
	if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
		delete(m.users, name)
		m.builder.DeleteUser(name)
		return
	}
	m.users[name] = u
	m.builder.PutUser(name, u.admin, u.disabled)
}

func (m *machine) editDevice(t *rapid.T) {
	name, off := pick(t, modelDevices), rapid.IntRange(0, 3).Draw(t, "disabled") == 0
	if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
		delete(m.devices, name)
		m.builder.DeleteDevice(name)
		return
	}
	m.devices[name] = off
	m.builder.PutDeviceOf(name, off, 3)
}

func (m *machine) editGroup(t *rapid.T) {
	name := pick(t, modelGroups)
	switch rapid.IntRange(0, 5).Draw(t, "how") {
	case 0:
		delete(m.groups, name)
		m.builder.DeleteGroup(name)
	case 1:
		m.groups[name] = modelGroup{}
		m.builder.PutDisabledGroup(name, modelUsers, modelDevices)
	default:
		g := modelGroup{users: subset(t, modelUsers), devices: subset(t, modelDevices), blocks: rapid.Bool().Draw(t, "blocks")}
		m.groups[name] = g
		m.builder.PutGroup(name, g.users, g.devices, g.blocks)
	}
}

// write does what control does: an entry takes the next sequence, and the record keeps its cut.
func (m *machine) write(e *emergencyv1.Emergency) {
	m.sequence++
	if e.GetCutoffRevision() == "" {
		e.CutoffRevision = Revision{1, m.sequence}.String()
		e.CreateTime = timestamppb.New(m.now)
	}
	m.builder.SetRevision(Revision{1, m.sequence})
	m.builder.PutEmergency(proto.CloneOf(e))
}

func (m *machine) apply(t *rapid.T) {
	kind := rapid.IntRange(0, 2).Draw(t, "kind")
	lockdown := kind == 1
	w := &modelWindow{
		lockdown: lockdown, start: m.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ahead")) * time.Minute),
	}
	w.end = w.start.Add(time.Duration(rapid.IntRange(1, 6).Draw(t, "minutes")) * time.Minute)
	atOnce := w.start.Equal(m.now)
	w.record = &emergencyv1.Emergency{
		Id: fmt.Sprintf("X-%04d", m.sequence+1), Kind: emergencyv1.Emergency_FREEZE,
		StartTime: timestamppb.New(w.start), EndTime: timestamppb.New(w.end),
		Started: atOnce && rapid.Bool().Draw(t, "started with it"),
	}
	if lockdown {
		w.breakGlass = subset(t, append([]string{"token"}, modelUsers...))
		w.record.Kind, w.record.BreakGlassUsers, w.record.BreakGlassTokens = emergencyv1.Emergency_LOCKDOWN, w.breakGlass, w.breakGlass
		if atOnce && len(m.live) > 0 {
			w.spared = m.live[rapid.IntRange(0, len(m.live)-1).Draw(t, "spared")].signIn
			w.record.SparedSignIn = w.spared
		}
	}
	if kind == 2 {
		m.lock(t, w)
	}
	m.windows = append(m.windows, w)
	m.write(w.record)
	m.tick()
}

func (m *machine) lock(t *rapid.T, w *modelWindow) {
	w.on, w.record.Kind = Target(rapid.IntRange(1, 3).Draw(t, "target")), emergencyv1.Emergency_LOCK
	w.name = pick(t, [][]string{nil, modelUsers, modelDevices, modelGroups}[w.on])
	names := []string{w.name}
	w.record.Selector = map[Target]*emergencyv1.Selector{OnUser: {Users: names}, OnDevice: {Devices: names}, OnGroup: {AccessGroups: names}}[w.on]
	if w.endless = rapid.IntRange(0, 3).Draw(t, "endless") == 0; w.endless {
		w.end, w.record.EndTime = w.start.AddDate(100, 0, 0), nil
	}
}

func (m *machine) terminate(t *rapid.T) {
	sel := &emergencyv1.Selector{All: rapid.IntRange(0, 3).Draw(t, "all") == 0}
	if !sel.GetAll() {
		sel.Users, sel.Devices, sel.AccessGroups = subset(t, modelUsers), subset(t, modelDevices), subset(t, modelGroups)
	}
	w := &modelWindow{terminating: sel, record: &emergencyv1.Emergency{
		Id: fmt.Sprintf("X-%04d", m.sequence+1), Kind: emergencyv1.Emergency_TERMINATION, Selector: sel,
	}}
	m.windows = append(m.windows, w)
	m.write(w.record)
	for _, l := range m.live {
		l.ended = l.ended || l.signIn == "" && meant(sel, l.session)
	}
}

func meant(sel *emergencyv1.Selector, s Session) bool {
	if sel.GetAll() {
		return true
	}
	if len(sel.GetUsers())+len(sel.GetDevices())+len(sel.GetAccessGroups()) == 0 {
		return false
	}
	in := func(names []string, any ...string) bool {
		return len(names) == 0 || slices.ContainsFunc(any, func(n string) bool { return slices.Contains(names, n) })
	}
	return in(sel.GetUsers(), s.User) && in(sel.GetDevices(), s.Device) && in(sel.GetAccessGroups(), s.Groups...)
}

// open picks a window that is PENDING or ONGOING.
func (m *machine) open(t *rapid.T) *modelWindow {
	var open []*modelWindow
	for _, w := range m.windows {
		if w.terminating == nil && !w.cancelled && m.now.Before(w.end) {
			open = append(open, w)
		}
	}
	if len(open) == 0 {
		t.Skip("no window is open")
	}
	return rapid.SampledFrom(open).Draw(t, "window")
}

func (m *machine) cancel(t *rapid.T) {
	w := m.open(t)
	w.cancelled, w.endless = true, false
	w.record.CancelTime = timestamppb.New(m.now)
	if !m.now.Before(w.start) {
		w.end = m.now
		w.record.EndTime, w.record.Started = timestamppb.New(m.now), true
	}
	m.write(w.record)
}

func (m *machine) shorten(t *rapid.T) {
	w := m.open(t)
	end := later(m.now, w.start).Add(time.Minute)
	if !end.Before(w.end) {
		t.Skip("too short already")
	}
	w.end, w.record.EndTime, w.endless = end, timestamppb.New(end), false
	m.write(w.record)
}

// edge is control noting for the record that a window has started, however late.
func (m *machine) edge(t *rapid.T) {
	w := m.open(t)
	if m.now.Before(w.start) || w.record.GetStarted() {
		t.Skip("nothing to note")
	}
	w.record.Started = true
	m.write(w.record)
}

// resend writes a record once more, as a later version that changes nothing.
func (m *machine) resend(t *rapid.T) {
	if len(m.windows) == 0 {
		t.Skip("nothing to write again")
	}
	m.write(rapid.SampledFrom(m.windows).Draw(t, "again").record)
}

func (m *machine) admit(t *rapid.T) {
	r := Request{User: pick(t, modelUsers), Device: pick(t, modelDevices), Channel: SessionChannel}
	s := m.builder.Snapshot(m.now)
	if !Decide(s, r, m.now).Allowed() {
		t.Skip("refused")
	}
	m.live = append(m.live, &modelLive{session: Session{
		User: r.User, Device: r.Device, Groups: s.DeviceGroups(r.Device), Admission: AdmissionOf(s.Admission(m.now).Proto()),
	}})
}

func (m *machine) signIn(t *rapid.T) {
	m.signIns++
	m.live = append(m.live, &modelLive{
		signIn: fmt.Sprintf("sign-in-%d", m.signIns), session: Session{User: pick(t, modelUsers), Admission: m.builder.Snapshot(m.now).Admission(m.now)},
	})
}

func (m *machine) check(t *rapid.T) {
	s := m.builder.Snapshot(m.now)
	for _, channel := range []Channel{Interactive, API, Agent, SessionChannel, Enforcer} {
		for _, device := range append([]string{""}, modelDevices...) {
			for _, user := range append([]string{"", "nobody"}, modelUsers...) {
				m.compare(t, s, Request{User: user, Device: device, Channel: channel})
			}
			m.compare(t, s, Request{Token: "token", Device: device, Channel: channel})
			m.compare(t, s, Request{Token: "other", Owner: "ann", Device: device, Channel: channel})
		}
	}
	for i, l := range m.live {
		if l.signIn != "" {
			_, out := s.SignedOut(l.session.User, l.signIn, l.session.Admission, m.now)
			l.cut = l.cut || out
		} else {
			l.cut = l.cut || slices.ContainsFunc(s.Cuts(), func(c Cut) bool { return c.Ends(&l.session, m.now) })
		}
		if l.cut != l.ended {
			t.Fatalf("%s: live %d %+v: ended %v, want %v", m.now, i, l.session, l.cut, l.ended)
		}
	}
}

func (m *machine) compare(t *rapid.T, s *Snapshot, r Request) {
	reason, until, back := m.decide(r)
	if r.Channel == Enforcer {
		reason, until, back = Allowed, time.Time{}, time.Time{}
	}
	v := Decide(s, r, m.now)
	if v.Reason != reason || !v.Until.Equal(until) || !v.Back.Equal(back) || v.Revision != s.Revision() {
		t.Fatalf("%s: %+v: got %v, want %v until %v, back %v", m.now, r, v, reason, until, back)
	}
	if refused := v.Reason == LockedDown || v.Reason == Locked || v.Reason == Frozen; refused != (v.Emergency != "") {
		t.Fatalf("%+v: refused by %q", r, v.Emergency)
	}
}

func TestEverySequenceOfEventsDecidesAndCutsAsTheRequirementsSay(t *testing.T) {
	for range 10 { // of rapid's usual hundred
		rapid.Check(t, play)
	}
}

func play(t *rapid.T) {
	m := newMachine()
	t.Repeat(map[string]func(*rapid.T){
		"wait": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 150).Draw(t, "seconds")) * time.Second)
			m.tick()
		},
		"user": m.editUser, "device": m.editDevice, "group": m.editGroup, "group again": m.editGroup,
		"apply": m.apply, "terminate": m.terminate, "cancel": m.cancel, "shorten": m.shorten, "edge": m.edge, "resend": m.resend,
		"policy": func(t *rapid.T) {
			m.policyBreak = subset(t, modelUsers)
			m.builder.PutPolicy(&emergencyv1.Policy{BreakGlassUsers: m.policyBreak})
		},
		"admit": m.admit, "sign in": m.signIn,
		"": m.check,
	})
}
