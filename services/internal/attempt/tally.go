package attempt

import (
	"crypto/rand"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const (
	quiet = 5 * time.Second  // after the last try the first entry is written,
	first = 15 * time.Second // or so long after the first;
	next  = time.Minute      // and then one at a time. Without a try meanwhile the series is over.

	roomFor   = 16  // different series of one door and reason
	crowdsFor = 4   // emergencies whose other series are told apart there
	most      = 512 // rows in all
	longest   = 128 // bytes of a name
)

// tally counts what is the same but for its moment.
type tally struct {
	rows  map[key]*row
	rooms map[room]int // rows in it, by whether they stand for others
}

type key struct {
	Try
	others bool
}

type room struct {
	door   gatev1.AttemptRecord_Door
	reason string
	others bool
}

// row is one series.
type row struct {
	until               time.Time
	count, total        uint64 // since the last entry, and since it began
	first, last, series time.Time
	due                 time.Time
}

func newTally() tally { return tally{map[key]*row{}, map[room]int{}} }

func (k key) room() room { return room{k.Door, k.Reason, k.others} }

// add counts a try; false if there is no room for it at all.
func (t *tally) add(one Try, now time.Time) bool {
	until := one.Until
	one.Until = time.Time{}
	for _, name := range []*string{&one.User, &one.Token, &one.TokenName, &one.Address, &one.Device, &one.Emergency} {
		*name = clipped(*name)
	}
	r := t.row(one, now)
	if r == nil {
		return false
	}
	if r.count == 0 {
		r.first = now
	}
	r.count, r.total, r.last, r.until = r.count+1, r.total+1, now, until
	return true
}

// row answers a try's own row, that of others if there is no room, and nil if there is none for those.
func (t *tally) row(one Try, now time.Time) *row {
	others := Try{Door: one.Door, Reason: one.Reason, Emergency: one.Emergency}
	anybody := Try{Door: one.Door, Reason: one.Reason}
	choices := [...]struct {
		key
		room int
	}{{key{one, false}, roomFor}, {key{others, true}, crowdsFor}, {key{anybody, true}, crowdsFor + 1}}
	for _, c := range choices {
		if r := t.rows[c.key]; r != nil {
			return r
		}
		if t.rooms[c.key.room()] < c.room && len(t.rows) < most {
			r := &row{series: now, due: now.Add(first)}
			t.rows[c.owned()] = r
			t.rooms[c.key.room()]++
			return r
		}
	}
	return nil
}

// owned is the key with texts that keep no request in memory.
func (k key) owned() key {
	for _, name := range []*string{&k.User, &k.Token, &k.TokenName, &k.Address, &k.Device, &k.Emergency} {
		*name = strings.Clone(*name)
	}
	return k
}

func clipped(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), longest)], "")
}

// due answers the entries whose time has come, or one for each series that has something to tell, and ends the
// series that have nothing more.
func (t *tally) due(now time.Time, all bool) []*gatev1.AttemptRecord {
	var entries []*gatev1.AttemptRecord
	for k, r := range t.rows {
		settled := r.count > 0 && r.count == r.total && now.Sub(r.last) >= quiet
		switch late := !now.Before(r.due); {
		case r.count > 0 && (all || late || settled):
			entries = append(entries, k.entry(r))
			r.count, r.due = 0, now.Add(next)
		case r.count == 0 && late:
			delete(t.rows, k)
			if t.rooms[k.room()]--; t.rooms[k.room()] == 0 {
				delete(t.rooms, k.room())
			}
		}
	}
	return entries
}

func (k key) entry(r *row) *gatev1.AttemptRecord {
	e := &gatev1.AttemptRecord{
		Id: rand.Text(), Door: k.Door, User: k.User, Token: k.Token, TokenName: k.TokenName, Address: k.Address, Channel: k.Channel,
		Device: k.Device, Reason: k.Reason, Emergency: k.Emergency, Count: r.count, FirstTime: timestamppb.New(r.first),
		LastTime: timestamppb.New(r.last), Total: r.total, SeriesTime: timestamppb.New(r.series), Others: k.others,
	}
	if !r.until.IsZero() && e.GetEmergency() != "" {
		e.Until = timestamppb.New(r.until)
	}
	return e
}
