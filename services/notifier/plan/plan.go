// Package plan decides who is told of what happened, and by what: rules, contacts, who has access to what it
// concerns, and what it says in each reader's language. It sends nothing: it fills the outbox.
package plan

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/text"
)

// asked is how many people one question to another service is about.
const asked = 1000

// People knows how to reach people: identity does.
type People interface {
	ListContacts(context.Context, *identityv1.ListContactsRequest, ...grpc.CallOption) (*identityv1.ListContactsResponse, error)
}

// Access knows who may reach what: the gate does.
type Access interface {
	FilterUsers(context.Context, *gatev1.FilterUsersRequest, ...grpc.CallOption) (*gatev1.FilterUsersResponse, error)
	ListFrozen(context.Context, *gatev1.ListFrozenRequest, ...grpc.CallOption) (*gatev1.ListFrozenResponse, error)
}

// Outbox is what is filled.
type Outbox interface {
	Planned(key string) bool
	Queue(context.Context, outbox.Plan) error
}

// Deps is what a planner works with.
type Deps struct {
	Settings func() *settings.Snapshot
	People   People
	Access   Access
	Outbox   Outbox
	Texts    emergency.Texts
	Now      func() time.Time
	Log      *slog.Logger
}

// Planner plans.
type Planner struct{ Deps }

// New answers a planner.
func New(d Deps) *Planner { return &Planner{d} }

// Happening is something that happened.
type Happening struct {
	// Key stands for it: the same one is told of once.
	Key string
	// Turn tells those that come one after the other apart.
	Turn  uint64
	Event *notificationv1.Event
	// Facts are what it says to a reader of a language.
	Facts func(language string) map[string]string
	// Emergency is the id of the emergency that it is about, if any.
	Emergency string
	// Without is a contact who is not told; With is somebody who is, where any contact is. Empty for nobody.
	Without, With string
	// Concerns are the devices that it is about, without users; nil if it is about none: then whoever has access
	// to nothing is told too.
	Concerns *gatev1.FilterUsersRequest
	// Freeze says that it is about a freeze: readers are told what that closes, as far as they may know.
	Freeze bool
}

// Tell puts into the outbox what is said of it, to everybody who is to be told. Once it has answered nil, all of
// that is on disk, and the same again changes nothing.
func (p *Planner) Tell(ctx context.Context, h Happening) error {
	if p.Outbox.Planned(h.Key) {
		return nil
	}
	t := &telling{planner: p, happening: h, settings: p.Settings(), told: map[string]*outbox.Draft{}, texts: map[string]*notificationv1.TextRecord{}}
	for _, n := range t.settings.Notifications() {
		if !fires(n, h.Event.GetType()) {
			continue
		}
		if err := t.follow(ctx, n); err != nil {
			return fmt.Errorf("planning %q: %w", n.GetName(), err)
		}
	}
	return p.Outbox.Queue(ctx, outbox.Plan{Key: h.Key, Turn: h.Turn, Event: h.Event, Texts: t.texts, Deliveries: t.drafts()})
}

// telling is one plan in the making.
type telling struct {
	planner   *Planner
	happening Happening
	settings  *settings.Snapshot
	order     []string
	told      map[string]*outbox.Draft // by the delivery's id
	texts     map[string]*notificationv1.TextRecord
	whole     *gatev1.Frozen // what the freeze closes, once it was asked for
}

func (t *telling) drafts() []outbox.Draft {
	all := make([]outbox.Draft, len(t.order))
	for i, id := range t.order {
		all[i] = *t.told[id]
	}
	return all
}

// say answers what the event says in a language to those who may know that much of what it closes, by its id. A text
// that can't be used any more gives way to the one that there was to begin with: nothing is lost over a template.
func (t *telling) say(language string, closes *gatev1.Frozen) (id string, said *notificationv1.TextRecord) {
	closed := closedFacts(closes, language)
	id = t.happening.Key + "-" + language
	if len(closed) > 0 {
		id += "-" + outbox.ID(closed["devices"], closed["groups"])
	}
	if said = t.texts[id]; said != nil {
		return id, said
	}
	kind, facts := t.happening.Event.GetType(), t.happening.Facts(language)
	maps.Copy(facts, closed)
	var rendered text.Rendered
	own := t.settings.Template(kind, language)
	err := error(nil)
	if own != nil {
		if rendered, err = text.Render(own, facts); err != nil {
			t.planner.Log.Error("a template can't be used; taking the one there was to begin with", "type", kind, "language", language, "error", err)
		}
	}
	if own == nil || err != nil {
		rendered, _ = text.Render(text.BuiltIn(kind, language), facts)
	}
	if t.happening.Emergency != "" {
		facts["emergency"] = t.happening.Emergency
	}
	said = &notificationv1.TextRecord{Subject: rendered.Subject, Body: rendered.Body, Html: rendered.HTML, Short: rendered.Short,
		Facts: facts, Time: t.happening.Event.GetTime()}
	t.texts[id] = said
	return id, said
}

// draft adds a delivery, or a notification to the one that there is: each event reaches each contact once by each
// method, whoever asked for it.
func (t *telling) draft(n *notificationv1.Notification, lane string, d *notificationv1.Delivery, name string, closes *gatev1.Frozen) {
	key := d.GetContact()
	if key == "" {
		key = d.GetAccount()
	}
	d.Id = outbox.ID(t.happening.Key, d.GetMethod().String(), key)
	textID, said := t.say(d.GetLanguage(), closes)
	if before := t.told[d.GetId()]; before != nil {
		before.Record.Delivery.Notifications = append(before.Record.Delivery.Notifications, n.GetId())
		if !n.GetOnlyWithAccess() { // who may know all by any of them does
			before.Record.Text, before.Record.Delivery.Subject = textID, said.GetSubject()
		}
		return
	}
	now := timestamppb.New(t.planner.Now())
	d.Event, d.Type, d.Subject, d.CreateTime = t.happening.Event.GetId(), t.happening.Event.GetType(), said.GetSubject(), now
	d.Notifications = []string{n.GetId()}
	t.order = append(t.order, d.GetId())
	t.told[d.GetId()] = &outbox.Draft{Lane: lane, Record: &notificationv1.QueuedRecord{
		Delivery: d, Text: textID, QueueTime: now, ContactName: name, Emergency: t.happening.Emergency,
		ReplyTo: n.GetReplyTo(), ReturnPath: n.GetReturnPath(), ConfirmationAddress: n.GetConfirmationAddress(),
	}}
}
