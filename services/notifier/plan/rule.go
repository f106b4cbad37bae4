package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/text"
)

// The lanes, by what goes out on them.
const (
	Sms    = "sms"
	Screen = outbox.Screen
	// Nobody is where mail waits for an account while there is none: it is given up soon.
	Nobody = "nobody"
)

// MailLane is an SMTP account's lane.
func MailLane(account string) string { return cmp.Or(account, Nobody) }

// HookLane is a webhook's lane.
func HookLane(webhook string) string { return webhook }

func fires(n *notificationv1.Notification, kind string) bool {
	return n.GetEnabled() && slices.Contains(n.GetTypes(), kind)
}

// follow adds what one notification asks for, by those of its methods that the type can go by.
func (t *telling) follow(ctx context.Context, n *notificationv1.Notification) error {
	kind, known := text.TypeNamed(t.happening.Event.GetType())
	if !known {
		return nil
	}
	methods := slices.DeleteFunc(slices.Clone(n.GetMethods()), func(m notificationv1.Method) bool { return !slices.Contains(kind.Methods(), m) })
	if err := t.hooks(ctx, n, methods); err != nil {
		return err
	}
	personal := slices.ContainsFunc(methods, func(m notificationv1.Method) bool { return m <= notificationv1.Method_SMS })
	if !personal {
		return nil
	}
	for names := range slices.Chunk(t.happening.people(n.GetContacts()), asked) {
		contacts, err := t.contacts(ctx, n, names)
		if err != nil {
			return err
		}
		closes, err := t.closes(ctx, n, contacts)
		if err != nil {
			return err
		}
		for _, c := range contacts {
			for _, m := range methods {
				t.contact(n, m, c, closes(c.GetName()))
			}
		}
	}
	return nil
}

// people are the contacts as this happening has them.
func (h Happening) people(contacts []string) []string {
	if len(contacts) == 0 {
		return nil
	}
	contacts = slices.DeleteFunc(slices.Clone(contacts), func(name string) bool { return h.Without != "" && name == h.Without })
	if h.With != "" && !slices.Contains(contacts, h.With) {
		contacts = append(contacts, h.With)
	}
	return contacts
}

// contacts are those of the named who are to be told, with how to reach them.
func (t *telling) contacts(ctx context.Context, n *notificationv1.Notification, names []string) ([]*identityv1.Contact, error) {
	if n.GetOnlyWithAccess() && t.happening.Concerns != nil {
		question := proto.CloneOf(t.happening.Concerns)
		question.Users = names
		answer, err := t.planner.Access.FilterUsers(ctx, question)
		if err != nil {
			return nil, fmt.Errorf("asking who has access: %w", err)
		}
		names = answer.GetUsers()
	}
	if len(names) == 0 {
		return nil, nil
	}
	answer, err := t.planner.People.ListContacts(ctx, &identityv1.ListContactsRequest{Names: names})
	if err != nil {
		return nil, fmt.Errorf("asking how to reach people: %w", err)
	}
	return slices.DeleteFunc(answer.GetContacts(), (*identityv1.Contact).GetDisabled), nil
}

// contact adds what one contact is told by one method. One who has no address or number any more has a row all
// the same, which says so when it is tried.
func (t *telling) contact(n *notificationv1.Notification, m notificationv1.Method, c *identityv1.Contact, closes *gatev1.Frozen) {
	d := &notificationv1.Delivery{Method: m, Contact: c.GetName(), Language: text.LanguageOf(c.GetLanguage())}
	lane := ""
	switch m {
	case notificationv1.Method_EMAIL:
		account := t.settings.AccountOf(n).GetId()
		lane, d.Recipient, d.Account = MailLane(account), c.GetEmail(), account
	case notificationv1.Method_SMS:
		lane, d.Recipient = Sms, c.GetMobile()
	case notificationv1.Method_SCREEN:
		lane = Screen
	default:
		return
	}
	t.draft(n, lane, d, c.GetDisplayName(), closes)
}

// hooks add what goes to webhooks; those that are switched off are left out. Only contacts can be narrowed to what
// they have access to: a webhook is told all.
func (t *telling) hooks(ctx context.Context, n *notificationv1.Notification, methods []notificationv1.Method) error {
	for _, id := range n.GetWebhooks() {
		w := t.settings.Webhook(id)
		if w == nil || !w.GetEnabled() || !slices.Contains(methods, w.GetMethod()) {
			continue
		}
		whole, err := t.closesAll(ctx)
		if err != nil {
			return err
		}
		t.draft(n, HookLane(id), &notificationv1.Delivery{Method: w.GetMethod(), Recipient: w.GetName(), Account: id, Language: text.LanguageOf(w.GetLanguage())}, "", whole)
	}
	return nil
}
