package emergency

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// past is everything that control may write about lockdowns and locks, and what was let in meanwhile. Control may be down at
// any edge, a door may start anew at any moment, windows may overlap, and each may be cancelled or shortened.
type past struct {
	now      time.Time
	sequence uint64
	records  []*emergencyv1.Emergency
	let      []*letIn
}

type letIn struct {
	user, signIn, token string
	since               time.Time
	admission           Admission
	over                string // what has ended it
}

// snapshot is that of a door that starts now.
func (p *past) snapshot() *Snapshot {
	b := NewBuilder()
	b.SetRevision(Revision{1, p.sequence})
	b.PutUser("ann", false, false)
	for _, e := range p.records {
		b.PutEmergency(proto.CloneOf(e))
	}
	return b.Snapshot(p.now)
}

func (p *past) next() string {
	p.sequence++
	return Revision{1, p.sequence}.String()
}

func (p *past) apply(t *rapid.T) {
	start := p.now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "ahead")) * time.Minute)
	r := p.next()
	e := &emergencyv1.Emergency{Id: fmt.Sprintf("L-%04d", p.sequence), Kind: emergencyv1.Emergency_LOCKDOWN, CutoffRevision: r, Revision: r, CreateTime: timestamppb.New(p.now),
		StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(time.Duration(rapid.IntRange(1, 6).Draw(t, "minutes")) * time.Minute)),
		RevokeTokens: proto.Bool(rapid.Bool().Draw(t, "revoke")), Started: start.Equal(p.now)}
	switch rapid.IntRange(0, 3).Draw(t, "of") {
	case 0:
		e.Kind, e.RevokeTokens, e.Selector = emergencyv1.Emergency_LOCK, nil, &emergencyv1.Selector{Users: []string{"ann"}}
	case 1:
		if len(p.let) > 0 && e.GetStarted() {
			e.SparedSignIn = p.let[0].signIn
		}
	}
	p.records = append(p.records, e)
}

// lift cancels one that has not ended, or shortens it.
func (p *past) lift(t *rapid.T) {
	for _, e := range p.records {
		if e.GetCancelTime() != nil || !p.now.Before(e.GetEndTime().AsTime()) || rapid.Bool().Draw(t, "another") {
			continue
		}
		begun := !p.now.Before(e.GetStartTime().AsTime())
		e.Revision = p.next()
		if rapid.Bool().Draw(t, "shorten") {
			if end := p.now.Add(time.Second); begun && end.Before(e.GetEndTime().AsTime()) {
				e.EndTime = timestamppb.New(end)
			}
			return
		}
		e.CancelTime, e.Started = timestamppb.New(p.now), e.GetStarted() || begun
		if begun {
			e.EndTime = timestamppb.New(p.now)
		}
		return
	}
}

// edges are written when control is there again, if it is.
func (p *past) edges(t *rapid.T) {
	for _, e := range p.records {
		if e.GetCancelTime() != nil || rapid.Bool().Draw(t, "control is down") {
			continue
		}
		if !e.GetStarted() && !p.now.Before(e.GetStartTime().AsTime()) {
			e.Started, e.Revision = true, p.next()
		}
		if e.GetStarted() && !e.GetEndedRecorded() && !p.now.Before(e.GetEndTime().AsTime()) {
			e.EndedRecorded, e.Revision = true, p.next()
		}
	}
}

func (p *past) admit(t *rapid.T) {
	one := &letIn{user: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "user"), signIn: fmt.Sprint("s", len(p.let)), since: p.now, admission: p.snapshot().Admission(p.now)}
	if rapid.Bool().Draw(t, "program") {
		one.token = fmt.Sprint("t", len(p.let))
	}
	p.let = append(p.let, one)
}

// ended is what has ended somebody, as a door says that starts now.
func (l *letIn) ended(s *Snapshot, now time.Time) string {
	cut, over := Cut{}, false
	if l.token != "" {
		cut, over = s.TokenRevoked(l.token, l.admission, now)
	} else {
		cut, over = s.SignedOut(l.user, l.signIn, l.admission, now)
	}
	if !over {
		return ""
	}
	return cut.Emergency
}

// mustEnd reports whether what began since then was to end it, and was not cancelled before.
func (l *letIn) mustEnd(e *emergencyv1.Emergency, now time.Time) bool {
	start := e.GetStartTime().AsTime()
	begun := !now.Before(start) && (e.GetCancelTime() == nil || e.GetStarted())
	later := l.since.Before(start) || l.since.Equal(start) && l.admission.Revision.Less(must(ParseRevision(e.GetCutoffRevision())))
	switch {
	case !begun || !later:
		return false
	case l.token != "":
		return e.GetRevokeTokens()
	case e.GetKind() == emergencyv1.Emergency_LOCK:
		return l.user == "ann"
	}
	return e.GetSparedSignIn() != l.signIn
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWhatALockdownOrALockHasEndedStaysEndedWhateverIsWrittenLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &past{now: noon}
		t.Repeat(map[string]func(*rapid.T){
			"apply": p.apply, "lift": p.lift, "edges": p.edges, "admit": p.admit,
			"time": func(t *rapid.T) {
				p.now = p.now.Add(time.Duration(rapid.IntRange(1, 180).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				s := p.snapshot()
				for _, one := range p.let {
					by := one.ended(s, p.now)
					if one.over != "" && by == "" {
						t.Fatalf("%+v goes on again, which %s had ended", one, one.over)
					}
					if one.over == "" {
						one.over = by
					}
					for _, e := range p.records {
						if one.mustEnd(e, p.now) && by == "" {
							t.Fatalf("%+v goes on through %v", one, e)
						}
					}
				}
			},
		})
	})
}
