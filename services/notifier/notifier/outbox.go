package notifier

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/mail"
	"portcullis.dev/services/notifier/mailbox"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/sms"
)

func replyOf(m mailbox.Mail) *notificationv1.Reply {
	r := &notificationv1.Reply{From: m.From, Subject: m.Subject, Text: m.Text}
	if !m.Time.IsZero() {
		r.Time = timestamppb.New(m.Time)
	}
	return r
}

// ListDeliveries lists the outbox, newest first.
func (n *Notifier) ListDeliveries(_ context.Context, r *notificationv1.ListDeliveriesRequest) (*notificationv1.ListDeliveriesResponse, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	return o.box.List(r)
}

// GetDelivery answers one with everything that is known of it.
func (n *Notifier) GetDelivery(ctx context.Context, r *notificationv1.GetDeliveryRequest) (*notificationv1.Delivery, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	return o.box.Get(ctx, r.GetId())
}

// ResendDelivery queues one again.
func (n *Notifier) ResendDelivery(ctx context.Context, r *notificationv1.ResendDeliveryRequest) (*notificationv1.Delivery, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	return o.box.Resend(ctx, r.GetId(), r.GetRequestId())
}

// mine is the person whose inbox is asked for: nobody reads another's.
func mine(ctx context.Context) (string, error) {
	if user := who.FromContext(ctx).User; user != "" {
		return user, nil
	}
	return "", fault.New(fault.PermissionDenied, "Only people have an inbox. Sign in as one")
}

// ListInbox lists what the caller was told on the screen.
func (n *Notifier) ListInbox(ctx context.Context, r *notificationv1.ListInboxRequest) (*notificationv1.ListInboxResponse, error) {
	user, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	if f := r.GetFilter(); f != "" && f != "unread=true" {
		return nil, bad("filter", "The filter is unread=true, or nothing")
	}
	return o.box.Inbox(ctx, user, r.GetFilter() != "", r.GetPageSize(), r.GetPageToken())
}

// WatchInbox tells the caller of each message as it comes.
func (n *Notifier) WatchInbox(_ *notificationv1.WatchInboxRequest, s notificationv1.Inbox_WatchInboxServer) error {
	user, err := mine(s.Context())
	if err != nil {
		return err
	}
	o, err := n.known()
	if err != nil {
		return err
	}
	return o.box.Watch(s.Context(), user, s.Send)
}

// ReadInboxMessage marks one as read.
func (n *Notifier) ReadInboxMessage(ctx context.Context, r *notificationv1.ReadInboxMessageRequest) (*notificationv1.InboxMessage, error) {
	user, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	return o.box.Read(ctx, user, r.GetId())
}

// ReadInbox marks all as read.
func (n *Notifier) ReadInbox(ctx context.Context, _ *notificationv1.ReadInboxRequest) (*notificationv1.ReadInboxResponse, error) {
	user, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	if err := o.box.ReadAll(ctx, user); err != nil {
		return nil, err
	}
	left, err := o.box.Inbox(ctx, user, true, 1, "")
	return &notificationv1.ReadInboxResponse{Unread: left.GetUnread()}, err
}

// TestSmtpAccount sends one mail by an account, whether or not that is switched on.
func (n *Notifier) TestSmtpAccount(ctx context.Context, r *notificationv1.TestSmtpAccountRequest) (*notificationv1.Delivery, error) {
	s, err := n.book.Opened()
	if err != nil {
		return nil, err
	}
	a := s.SmtpAccount(r.GetId())
	if a == nil {
		return nil, fault.New(fault.NotFound, "There is no SMTP account %.60q", r.GetId())
	}
	if err := mail.CheckAddress(r.GetRecipient()); err != nil {
		return nil, bad("recipient", "%s", err)
	}
	return n.test(ctx, r.GetRequestId(), a.GetId(), n.mailer(s, a), &notificationv1.Delivery{Method: notificationv1.Method_EMAIL, Recipient: r.GetRecipient(), Account: a.GetId()},
		&notificationv1.TextRecord{Subject: orUsual(r.GetSubject(), "Test mail of "+n.config.Texts.Product), Body: orUsual(r.GetBody(), "This mail was sent to test an account.")})
}

// TestSms sends one SMS, whether or not SMS are switched on.
func (n *Notifier) TestSms(ctx context.Context, r *notificationv1.TestSmsRequest) (*notificationv1.Delivery, error) {
	s, err := n.book.Opened()
	if err != nil {
		return nil, err
	}
	if s.Sms().GetProvider() == 0 {
		return nil, bad("provider", "Choose an SMS broker first")
	}
	number, err := sms.Number(r.GetRecipient(), s.Sms().GetDefaultRegion())
	if err != nil {
		return nil, bad("recipient", "%s", err)
	}
	said, segments := sms.Fit(orUsual(r.GetBody(), "Test of "+n.config.Texts.Product), s.Sms().GetKeepAccents())
	return n.test(ctx, r.GetRequestId(), settings.SmsID, n.texter(s), &notificationv1.Delivery{Method: notificationv1.Method_SMS, Recipient: number, SmsSegments: uint32(segments)},
		&notificationv1.TextRecord{Subject: "Test", Short: said})
}

// TestWebhook posts one message, whether or not the webhook is switched on.
func (n *Notifier) TestWebhook(ctx context.Context, r *notificationv1.TestWebhookRequest) (*notificationv1.Delivery, error) {
	s, err := n.book.Opened()
	if err != nil {
		return nil, err
	}
	w := s.Webhook(r.GetId())
	if w == nil {
		return nil, fault.New(fault.NotFound, "There is no webhook %.60q", r.GetId())
	}
	text := orUsual(r.GetBody(), "This message was sent to test a webhook of "+n.config.Texts.Product+".")
	return n.test(ctx, r.GetRequestId(), w.GetId(), n.poster(s, w), &notificationv1.Delivery{Method: w.GetMethod(), Recipient: w.GetName(), Account: w.GetId()},
		&notificationv1.TextRecord{Subject: "Test", Body: text, Short: text})
}

func orUsual(given, usual string) string {
	if given != "" {
		return given
	}
	return usual
}

// test makes one attempt and answers its row. The same request again is the same test.
func (n *Notifier) test(ctx context.Context, request, lane string, open opener, d *notificationv1.Delivery, said *notificationv1.TextRecord) (*notificationv1.Delivery, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	if request == "" {
		request = uuid.NewString()
	}
	now := timestamppb.New(n.deps.Now())
	said.Time = now
	d.Id, d.Subject, d.Language, d.CreateTime = outbox.ID("test", who.FromContext(ctx).Actor(), request), said.GetSubject(), "en", now
	return o.box.Test(ctx, lane, outbox.Draft{Record: &notificationv1.QueuedRecord{Delivery: d, Text: d.GetId() + "-test", QueueTime: now}}, said, open)
}

// CheckMailbox reads one now, whether or not it is switched on.
func (n *Notifier) CheckMailbox(ctx context.Context, r *notificationv1.CheckMailboxRequest) (*notificationv1.Mailbox, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	s := n.book.Snapshot()
	m := s.Mailbox(r.GetId())
	if m == nil {
		return nil, fault.New(fault.NotFound, "There is no mailbox %.60q", r.GetId())
	}
	secrets, err := s.Secrets(settings.Mailboxes, m.GetId())
	if err != nil {
		return nil, fmt.Errorf("reading the password of a mailbox: %w", err)
	}
	// How it went stands in the answer, also where it went wrong.
	_, _ = mailbox.Check(ctx, mailbox.Box{Settings: m, Password: secrets.GetPassword()}, n.boxDeps(o, m.GetId()))
	return n.GetMailbox(ctx, &notificationv1.GetMailboxRequest{Id: m.GetId()})
}

// meter tells how the outbox stands.
type meter struct{ n *Notifier }

var (
	deliveries = prometheus.NewDesc("portcullis_deliveries", "Deliveries in the outbox, by method and state.", []string{"method", "state"}, nil)
	queueAge   = prometheus.NewDesc("portcullis_outbox_oldest_seconds", "How long the delivery has waited that waits longest.", nil, nil)
)

func (meter) Describe(to chan<- *prometheus.Desc) { to <- deliveries; to <- queueAge }

func (m meter) Collect(to chan<- prometheus.Metric) {
	o, err := m.n.known()
	if err != nil {
		return
	}
	counts, oldest := o.box.Counts()
	for c, count := range counts {
		to <- prometheus.MustNewConstMetric(deliveries, prometheus.GaugeValue, float64(count), c.Method.String(), c.State.String())
	}
	to <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, oldest.Seconds())
}
