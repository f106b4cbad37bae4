package outbox

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

// key is a delivery's id as bytes.
type key [idLength]byte

// word is a text that many rows have in common, by its number.
type word uint32

// row is what is held of a delivery, for a million of them: all that a list is filtered by or shows, and no pointer.
// The rest is read from the stream when somebody asks.
type row struct {
	id                                                                                    key
	recipient, subject, error, event, typ, contact, account, language, text, lane, bucket word
	emergency                                                                             word

	created, updated, next int64 // Unix milliseconds
	queuedFor              int64 // since when it has been queued, so too
	rowAt                  uint64
	attempts               uint32
	resends                uint32
	method                 notificationv1.Method
	state                  notificationv1.Delivery_State
	repeated, read         bool
	counted                bool // among its person's unread messages
}

type progress struct {
	*notificationv1.ProgressRecord
	at uint64
}

// Count is what is counted of the deliveries.
type Count struct {
	Method notificationv1.Method
	State  notificationv1.Delivery_State
}

// words are the texts of rows, each once.
type words struct {
	all    []string
	number map[string]word
}

func newWords() *words { return &words{all: []string{""}, number: map[string]word{"": 0}} }

func (w *words) of(s string) word {
	if n, ok := w.number[s]; ok {
		return n
	}
	s = strings.Clone(s)
	n := word(len(w.all))
	w.all, w.number[s] = append(w.all, s), n
	return n
}

const shelf = 1024

// room answers a new row, beside the one before: whoever reads all of them reads them in a row.
func (b *Box) room() *row {
	if len(b.shelf) == 0 {
		b.shelf = make([]row, shelf)
	}
	r := &b.shelf[0]
	b.shelf = b.shelf[1:]
	return r
}

func keyOf(id string) (k key, ok bool) {
	raw, err := base.DecodeString(strings.ToUpper(id))
	if err != nil || len(raw) != idLength || id != strings.ToLower(id) {
		return k, false
	}
	return key(raw), true
}

func (k key) String() string { return strings.ToLower(base.EncodeToString(k[:])) }

// queued takes a delivery that is new, or is to be made again.
func (b *Box) queued(e journal.Entry, q *notificationv1.QueuedRecord) error {
	d := q.GetDelivery()
	id, ok := keyOf(d.GetId())
	if !ok {
		return fmt.Errorf("%.60q is no delivery's id", d.GetId())
	}
	r := b.rows[id]
	if r == nil {
		r = b.room()
		of := b.words.of
		*r = row{
			id: id, method: d.GetMethod(), recipient: of(d.GetRecipient()), subject: of(d.GetSubject()),
			event: of(d.GetEvent()), typ: of(d.GetType()), contact: of(d.GetContact()), account: of(d.GetAccount()),
			language: of(d.GetLanguage()), text: of(q.GetText()), emergency: of(q.GetEmergency()), created: d.GetCreateTime().AsTime().UnixMilli(),
		}
		r.lane, r.bucket = b.place(e.Subject)
		b.rows[r.id] = r
		b.insert(r)
		b.alerted(r, q.GetEmergency())
	} else {
		b.counts[Count{r.method, r.state}]--
	}
	r.queuedFor = q.GetQueueTime().AsTime().UnixMilli()
	r.resends, r.attempts, r.error, r.next = q.GetResends(), 0, 0, 0
	r.updated, r.state = e.Time.UnixMilli(), first(r.method)
	b.counts[Count{r.method, r.state}]++
	if p, ok := b.early[r.id]; ok {
		delete(b.early, r.id)
		b.progressed(r.id, p)
	}
	b.shown(r)
	return nil
}

// first is the state that a delivery begins with: what goes to the screen is there at once.
func first(m notificationv1.Method) notificationv1.Delivery_State {
	if m == notificationv1.Method_SCREEN {
		return notificationv1.Delivery_SENT
	}
	return notificationv1.Delivery_QUEUED
}

func (b *Box) place(subject string) (lane, bucket word) {
	parts := strings.Split(strings.TrimPrefix(subject, subjectQueue), ".")
	if len(parts) != 3 {
		return 0, 0
	}
	return b.words.of(parts[0]), b.words.of(parts[1])
}

// insert keeps the rows in the order of their age, and of their ids among those of one moment.
func (b *Box) insert(r *row) {
	n := len(b.order)
	if n == 0 || older(b.order[n-1], r) < 0 {
		b.order = append(b.order, r)
		return
	}
	i, _ := slices.BinarySearchFunc(b.order, r, older)
	b.order = slices.Insert(b.order, i, r)
}

func older(a, b *row) int {
	return cmp.Or(cmp.Compare(a.created, b.created), bytes.Compare(a.id[:], b.id[:]))
}

// progressed takes what became of a delivery. What is known of one before the delivery itself waits for it; what
// belongs to an attempt before the last resend counts no more.
func (b *Box) progressed(id key, p progress) {
	r := b.rows[id]
	if r == nil {
		b.early[id] = p
		return
	}
	r.rowAt = p.at
	if p.GetResends() < r.resends {
		return
	}
	b.counts[Count{r.method, r.state}]--
	r.state, r.attempts, r.error, r.repeated = p.GetState(), p.GetAttempts(), b.words.of(p.GetError()), p.GetMaybeRepeated()
	r.updated, r.next, r.read = p.GetUpdateTime().AsTime().UnixMilli(), 0, p.GetReadTime() != nil
	if p.GetNextAttemptTime() != nil {
		r.next = p.GetNextAttemptTime().AsTime().UnixMilli()
	}
	b.counts[Count{r.method, r.state}]++
	b.shown(r)
}

// prune lets go of what is older than a moment.
func (b *Box) prune(before time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, _ := slices.BinarySearchFunc(b.order, before.UnixMilli(), func(r *row, at int64) int { return cmp.Compare(r.created, at) })
	for _, r := range b.order[:n] {
		delete(b.rows, r.id)
		b.counts[Count{r.method, r.state}]--
		b.hidden(r)
	}
	b.order = slices.Clone(b.order[n:])
	for key, at := range b.plans {
		if at.Before(before) {
			delete(b.plans, key)
		}
	}
	clear(b.early)
	b.pruneAlerts()
}

// Counts are how many deliveries there are, by method and state, and how long the one has waited that waits
// longest.
func (b *Box) Counts() (by map[Count]int, oldest time.Duration) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	by = map[Count]int{}
	waiting := 0
	for c, n := range b.counts {
		if n > 0 {
			by[c] = n
		}
		if c.State == notificationv1.Delivery_QUEUED {
			waiting += n
		}
	}
	for i := 0; i < len(b.order) && waiting > 0; i++ {
		if b.order[i].state == notificationv1.Delivery_QUEUED {
			return by, b.config.Now().Sub(time.UnixMilli(b.order[i].created))
		}
	}
	return by, 0
}

// delivery is a row as a list shows it.
func (b *Box) delivery(r *row) *notificationv1.Delivery {
	w := b.words.all
	d := &notificationv1.Delivery{
		Id: r.id.String(), Method: r.method, State: r.state, Event: w[r.event], Type: w[r.typ], Contact: w[r.contact], Recipient: w[r.recipient],
		Account: w[r.account], Language: w[r.language], Subject: w[r.subject], Attempts: r.attempts, Error: w[r.error], MaybeRepeated: r.repeated,
		CreateTime: timestamppb.New(time.UnixMilli(r.created)), UpdateTime: timestamppb.New(time.UnixMilli(r.updated)),
	}
	if r.next != 0 && r.state == notificationv1.Delivery_QUEUED {
		d.NextAttemptTime = timestamppb.New(time.UnixMilli(r.next))
	}
	return d
}
