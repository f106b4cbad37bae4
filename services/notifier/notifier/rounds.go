package notifier

import (
	"context"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/mailbox"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/settings"
)

const sweepEvery = 30 * time.Second

// rounds are what goes on for each account and mailbox that is switched on: it begins, ends and begins anew as the
// settings change.
type rounds struct {
	mu       sync.Mutex // guards all below
	status   map[string]mailbox.Status
	memories map[string]*mailbox.Memory
}

func newRounds() *rounds {
	return &rounds{status: map[string]mailbox.Status{}, memories: map[string]*mailbox.Memory{}}
}

// round is one of them.
type round struct {
	made proto.Message // the record that it was made of
	stop func()
}

// keepRounds keeps a round for each record that asks for one.
func (n *Notifier) keepRounds(ctx context.Context, o *parts) error {
	changed, unsubscribe := n.book.Subscribe()
	defer unsubscribe()
	going := map[string]round{}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		wanted := n.wanted(o, n.book.Snapshot())
		for key, r := range going {
			if w, ok := wanted[key]; !ok || !proto.Equal(w.made, r.made) {
				r.stop()
				delete(going, key)
			}
		}
		for key, w := range wanted {
			if _, ok := going[key]; ok {
				continue
			}
			running, stop := context.WithCancel(ctx)
			going[key] = round{w.made, stop}
			all.Go(func() { w.run(running) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, r := range maps.All(going) {
				r.stop()
			}
			return nil
		}
	}
}

type wish struct {
	made proto.Message
	run  func(context.Context)
}

// wanted are the rounds that the settings ask for, each with its secrets out of the same snapshot.
func (n *Notifier) wanted(o *parts, s *settings.Snapshot) map[string]wish {
	all := map[string]wish{}
	lane := func(c settings.Collection, id string, perMinute uint32, open func(context.Context) (outbox.Sender, error), gone func()) {
		all[string(c)+id] = wish{s.Record(c, id), func(ctx context.Context) {
			name := id
			if c == settings.Sms {
				name = plan.Sms
			}
			if err := o.box.Work(ctx, outbox.LaneConfig{Name: name, Open: open, PerMinute: int(perMinute), Gone: gone}); err != nil {
				n.deps.Log.ErrorContext(ctx, "nothing goes out by an account any more", "account", id, "error", err)
			}
		}}
	}
	for _, a := range s.SmtpAccounts() {
		if a.GetEnabled() {
			lane(settings.SmtpAccounts, a.GetId(), a.GetRatePerMinute(), n.mailer(s, a), nil)
		}
	}
	for _, w := range s.Webhooks() {
		if w.GetEnabled() {
			lane(settings.Webhooks, w.GetId(), w.GetRatePerMinute(), n.poster(s, w), func() { n.goneHook(w.GetId()) })
		}
	}
	if s.Sms().GetEnabled() {
		lane(settings.Sms, settings.SmsID, s.Sms().GetRatePerMinute(), n.texter(s), nil)
	}
	for _, m := range s.Mailboxes() {
		if m.GetEnabled() && m.GetAutomaticCheck() {
			all["box"+m.GetId()] = wish{s.Record(settings.Mailboxes, m.GetId()), func(ctx context.Context) { n.followBox(ctx, o, s, m) }}
		}
	}
	return all
}

// exists reports whether what waits in a lane may still go out one day: its account is there, on or off.
func exists(s *settings.Snapshot, lane string) bool {
	return lane == plan.Screen || s.SmtpAccount(lane) != nil || s.Webhook(lane) != nil || lane == plan.Sms && s.Sms().GetProvider() != 0
}

// sweep gives up what nobody will try any more.
func (n *Notifier) sweep(ctx context.Context, o *parts) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		s := n.book.Snapshot()
		if err := o.box.Sweep(ctx, func(lane string) bool { return exists(s, lane) }); err != nil && ctx.Err() == nil {
			n.deps.Log.WarnContext(ctx, "what nobody will try any more can't be given up now", "error", err)
		}
	}
}

// status is how the server of an account or webhook, or of SMS, was met last.
func (n *Notifier) status(lane string) (string, time.Time) {
	o := n.open.Load()
	if o == nil {
		return "", time.Time{}
	}
	return o.box.Status(lane)
}

func (n *Notifier) followBox(ctx context.Context, o *parts, s *settings.Snapshot, m *notificationv1.Mailbox) {
	secrets, err := s.Secrets(settings.Mailboxes, m.GetId())
	if err != nil {
		n.rounds.tell(m.GetId(), mailbox.Status{Time: n.deps.Now(), Error: "its password can't be read any more; enter it again"})
		return
	}
	mailbox.Follow(ctx, mailbox.Box{Settings: m, Password: secrets.GetPassword()}, n.boxDeps(o, m.GetId()))
}

func (n *Notifier) boxDeps(o *parts, id string) mailbox.Deps {
	return mailbox.Deps{
		Handle: func(ctx context.Context, m mailbox.Mail) (bool, error) { return heardMail(ctx, o.box, m) },
		Tell:   func(s mailbox.Status) { n.rounds.tell(id, s) },
		Memory: n.rounds.memory(id),
	}
}

func (r *rounds) tell(id string, s mailbox.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status[id] = s
}

func (r *rounds) memory(id string) *mailbox.Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memories[id] == nil {
		r.memories[id] = mailbox.NewMemory()
	}
	return r.memories[id]
}

func (r *rounds) reading(id string) reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status[id]
	return reading{checked: s.Time, lastError: s.Error, read: s.Read, matched: s.Matched}
}

// goneHook switches a webhook off whose receiver wants nothing any more.
func (n *Notifier) goneHook(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), sweepEvery)
	defer cancel()
	_, err := n.UpdateWebhook(ctx, &notificationv1.UpdateWebhookRequest{
		Webhook: &notificationv1.Webhook{Id: id}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enabled"}},
	})
	if err != nil {
		n.deps.Log.Error("a webhook whose receiver is gone can't be switched off", "webhook", id, "error", err)
	}
}
