package notifier

import (
	"context"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/mail"
	"portcullis.dev/services/notifier/mailbox"
	"portcullis.dev/services/notifier/message"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/sms"
	"portcullis.dev/services/notifier/text"
	"portcullis.dev/services/notifier/witness"
)

type opener = func(context.Context) (outbox.Sender, error)

// locked is what an account does whose secrets can't be read any more.
func locked(context.Context) (outbox.Sender, error) {
	return nil, &message.Failure{Reason: "Its password can't be read any more. Enter it again", Server: true}
}

// single is what says each thing by itself, over no connection of its own.
type single func(context.Context, *message.Message) (string, error)

func (s single) Send(ctx context.Context, m *message.Message) (string, error) { return s(ctx, m) }
func (single) Close() error                                                   { return nil }

func always(s single) opener {
	return func(context.Context) (outbox.Sender, error) { return s, nil }
}

func (n *Notifier) mailer(s *settings.Snapshot, a *notificationv1.SmtpAccount) opener {
	secrets, err := s.Secrets(settings.SmtpAccounts, a.GetId())
	if err != nil {
		return locked
	}
	product := n.config.Texts.Product
	account := mail.Account{
		Settings: a, Password: secrets.GetPassword(), Product: product, Now: n.deps.Now,
		Footnotes: map[string]string{
			"en":    "Sent by " + product + ". An administrator has named you as a contact.",
			"pt-BR": "Enviado pelo " + product + ". Um administrador indicou você como contato.",
		},
	}
	return func(ctx context.Context) (outbox.Sender, error) {
		c, err := mail.Open(ctx, account)
		if err != nil {
			return nil, err
		}
		return witnessing{c, n.newest}, nil
	}
}

// witnessing adds the newest checkpoint of the audit log to what the emergency panel says.
type witnessing struct {
	outbox.Sender
	newest *witness.Witness
}

func (w witnessing) Send(ctx context.Context, m *message.Message) (string, error) {
	if of, known := text.TypeNamed(m.Type); known && of.OfEmergency() {
		with := *m
		with.Checkpoint = w.newest.Note(ctx)
		m = &with
	}
	return w.Sender.Send(ctx, m)
}

func (n *Notifier) poster(s *settings.Snapshot, w *notificationv1.Webhook) opener {
	secrets, err := s.Secrets(settings.Webhooks, w.GetId())
	if err != nil {
		return locked
	}
	to := hook.Endpoint{Method: w.GetMethod(), URL: secrets.GetUrl(), Secret: secrets.GetSecret()}
	return always(func(ctx context.Context, m *message.Message) (string, error) {
		if w.GetMethod() == notificationv1.Method_PAGERDUTY && m.Emergency != "" {
			if err := inOrder(m, n.open.Load().box.Alert(plan.HookLane(w.GetId()), m.Emergency)); err != nil {
				return "", err
			}
		}
		return n.deps.Hooks.Send(ctx, to, m)
	})
}

// inOrder holds back what would leave an alert open for good: what closes it waits until nothing is under way that
// opens it, and what opens it is not sent any more once it was closed, as after a resend.
func inOrder(m *message.Message, others []*notificationv1.Delivery) error {
	for _, d := range others {
		switch {
		case hook.Closes(m.Type) && hook.Opens(d.GetType()) && d.GetState() == notificationv1.Delivery_QUEUED:
			return &message.Failure{Reason: "It waits until PagerDuty has what opens the alert that this closes: " + d.GetSubject()}
		case hook.Opens(m.Type) && hook.Closes(d.GetType()) && d.GetState() == notificationv1.Delivery_SENT:
			return &message.Failure{Reason: "It was overtaken: PagerDuty knows already that the emergency is over, and would keep an alert open for good", Permanent: true}
		}
	}
	return nil
}

func (n *Notifier) texter(s *settings.Snapshot) opener {
	secrets, err := s.Secrets(settings.Sms, settings.SmsID)
	if err != nil {
		return locked
	}
	of := s.Sms()
	broker := sms.New(sms.Settings{
		Provider: of.GetProvider(), Sender: of.GetSender(), Username: of.GetUsername(), Password: secrets.GetPassword(),
		KeepAccents: of.GetKeepAccents(), Endpoint: of.GetEndpoint(), StatusURL: n.twilioURL(), Clock: n.deps.Now,
	}, nil)
	return always(func(ctx context.Context, m *message.Message) (string, error) {
		number, err := sms.Number(m.To, of.GetDefaultRegion())
		if err != nil {
			return "", &message.Failure{Reason: err.Error(), Permanent: true}
		}
		to := *m
		to.To = number
		return broker.Send(ctx, &to)
	})
}

// heardMail puts on record what a mail says of deliveries; it reports whether it was about one.
func heardMail(ctx context.Context, box *outbox.Box, m mailbox.Mail) (bool, error) {
	heard, ok := heardOf(m)
	if !ok {
		return false, nil
	}
	for _, id := range m.IDs {
		if known, err := box.Hear(ctx, id, heard); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

func heardOf(m mailbox.Mail) (outbox.Heard, bool) {
	switch {
	case m.Kind == mailbox.Bounce && m.Report.Action == "failed":
		return outbox.Heard{State: notificationv1.Delivery_BOUNCED, Why: whyOf(m.Report)}, true
	case m.Kind == mailbox.Bounce && m.Report.Action == "delivered":
		return outbox.Heard{State: notificationv1.Delivery_DELIVERED}, true
	case m.Kind == mailbox.Receipt && m.Report.Action == "displayed":
		return outbox.Heard{State: notificationv1.Delivery_READ}, true
	case m.Kind == mailbox.Reply:
		return outbox.Heard{Reply: replyOf(m)}, true
	}
	// No read receipt never means that it wasn't delivered, and a delay is none of our business.
	return outbox.Heard{}, false
}

func whyOf(r mailbox.Report) string {
	switch {
	case r.Diagnostic != "":
		return r.Diagnostic
	case r.Status != "":
		return "The receiving server refused it with " + r.Status
	}
	return "The receiving server refused it"
}
