package notifier

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/text"
)

func webhooks() kind[*notificationv1.Webhook] {
	return kind[*notificationv1.Webhook]{
		collection: settings.Webhooks, noun: "webhook", path: "webhooks",
		of: (*notificationv1.SettingRecord).GetWebhook,
		record: func(w *notificationv1.Webhook) *notificationv1.SettingRecord {
			return &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Webhook{Webhook: w}}
		},
	}
}

// byWebhook reports whether a method goes to webhooks and not to contacts.
func byWebhook(m notificationv1.Method) bool {
	return slices.Contains([]notificationv1.Method{
		notificationv1.Method_SLACK, notificationv1.Method_TEAMS, notificationv1.Method_PAGERDUTY, notificationv1.Method_WEBHOOK,
	}, m)
}

// CreateWebhook makes a webhook. A signing key that is made for it is answered this once: the same request
// again answers the webhook without it.
func (d *desk) CreateWebhook(ctx context.Context, r *notificationv1.CreateWebhookRequest) (*notificationv1.Webhook, error) {
	var made string
	id, err := webhooks().create(ctx, d, r, r.GetWebhook().GetRequestId(), r.GetWebhook(), d.saveWebhook(&made))
	if err != nil {
		return nil, err
	}
	return d.webhook(id, made)
}

// GetWebhook answers a webhook, with how its last attempt went.
func (d *desk) GetWebhook(_ context.Context, r *notificationv1.GetWebhookRequest) (*notificationv1.Webhook, error) {
	return d.webhook(r.GetId(), "")
}

// webhook answers one, with the key that was made for it, if that is the one that it has.
func (d *desk) webhook(id, made string) (*notificationv1.Webhook, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	w, err := webhooks().get(s, id)
	if err != nil {
		return nil, err
	}
	d.shownWebhook(w)
	if kept, err := s.Secrets(settings.Webhooks, id); err == nil && kept.GetSecret() == made {
		w.MadeSecret = made
	}
	return w, nil
}

func (d *desk) shownWebhook(w *notificationv1.Webhook) {
	lastError, at := d.Status(w.GetId())
	if w.LastError = lastError; lastError != "" {
		w.LastErrorTime = timestamppb.New(at)
	}
}

// ListWebhooks lists webhooks by name.
func (d *desk) ListWebhooks(_ context.Context, r *notificationv1.ListWebhooksRequest) (*notificationv1.ListWebhooksResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	page, next, err := webhooks().page(s, r.GetPageSize(), r.GetPageToken(), nil)
	for _, w := range page {
		d.shownWebhook(w)
	}
	return &notificationv1.ListWebhooksResponse{Webhooks: page, NextPageToken: next}, err
}

// UpdateWebhook changes a webhook. A signing key that is cleared is made anew.
func (d *desk) UpdateWebhook(ctx context.Context, r *notificationv1.UpdateWebhookRequest) (*notificationv1.Webhook, error) {
	var made string
	in := r.GetWebhook()
	if err := webhooks().update(ctx, d, r, in.GetRequestId(), in, r.GetUpdateMask(), d.saveWebhook(&made)); err != nil {
		return nil, err
	}
	return d.webhook(in.GetId(), made)
}

// DeleteWebhook forgets a webhook. Notifications that name it say so.
func (d *desk) DeleteWebhook(ctx context.Context, r *notificationv1.DeleteWebhookRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, webhooks().remove(ctx, d, r.GetId(), nil)
}

func (d *desk) saveWebhook(made *string) func(*draft[*notificationv1.Webhook]) error {
	return func(w *draft[*notificationv1.Webhook]) error {
		*made = ""
		if !byWebhook(w.after.GetMethod()) {
			return bad("method", "take SLACK, TEAMS, PAGERDUTY or WEBHOOK")
		}
		if !w.made && w.before.GetMethod() != w.after.GetMethod() {
			return bad("method", "it stays %s, for what is kept secret belongs to it. Make another webhook", w.before.GetMethod())
		}
		if err := language(&w.after.Language); err != nil {
			return err
		}
		if err := d.checkURL(w); err != nil {
			return err
		}
		if err := checkSecret(w, made); err != nil {
			return err
		}
		w.after.UrlShown, w.after.SecretSet = hook.Shown(w.secrets.GetUrl()), w.secrets.GetSecret() != ""
		return nil
	}
}

func language(tag *string) error {
	if *tag == "" {
		*tag = text.English
	}
	if !slices.Contains(text.Languages(), *tag) {
		return bad("language", "take %s", strings.Join(text.Languages(), " or "))
	}
	return nil
}

// checkURL looks at where it posts whenever something is changed: what is allowed may have changed too.
func (d *desk) checkURL(w *draft[*notificationv1.Webhook]) error {
	url := w.secrets.GetUrl()
	if w.after.GetMethod() == notificationv1.Method_PAGERDUTY {
		if url != "" {
			return bad("url", "PagerDuty has its own address. Leave it out")
		}
		return nil
	}
	if url == "" {
		return bad("url", "say where to post: the address that %s gave you", receiver(w.after.GetMethod()))
	}
	return because("url", d.Hooks.CheckURL(url))
}

func receiver(m notificationv1.Method) string {
	switch m {
	case notificationv1.Method_SLACK:
		return "Slack"
	case notificationv1.Method_TEAMS:
		return "Teams"
	}
	return "the receiver"
}

// checkSecret makes a signing key where there is none.
func checkSecret(w *draft[*notificationv1.Webhook], made *string) error {
	secret := w.secrets.GetSecret()
	switch w.after.GetMethod() {
	case notificationv1.Method_PAGERDUTY:
		if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return bad("secret", "take the integration key that PagerDuty shows for the service")
		}
	case notificationv1.Method_WEBHOOK:
		if secret == "" {
			*made = hook.NewSecret()
			w.secrets.Secret = *made
			return nil
		}
		return because("secret", hook.CheckSecret(secret))
	default:
		if secret != "" {
			return bad("secret", "%s needs none: its address is the secret. Leave it out", receiver(w.after.GetMethod()))
		}
	}
	return nil
}
