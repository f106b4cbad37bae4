package notifier

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/settings"
)

func slackHook() *notificationv1.Webhook {
	return &notificationv1.Webhook{Name: "ops", Enabled: true, Method: notificationv1.Method_SLACK, Url: proto.String("https://hooks.slack.com/services/T0/B0/s3cr3tpath")}
}

func signedHook() *notificationv1.Webhook {
	return &notificationv1.Webhook{Name: "signed", Enabled: true, Method: notificationv1.Method_WEBHOOK, Url: proto.String("https://siem.example.com/in/s3cr3tpath")}
}

func (o *office) webhook(d *opened, w *notificationv1.Webhook) *notificationv1.Webhook {
	o.t.Helper()
	return must(d.CreateWebhook(o.admin(), &notificationv1.CreateWebhookRequest{Webhook: w}))
}

func (o *office) changeWebhook(d *opened, w *notificationv1.Webhook, paths ...string) (*notificationv1.Webhook, error) {
	return d.UpdateWebhook(o.admin(), &notificationv1.UpdateWebhookRequest{Webhook: w, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

func TestASigningKeyIsMadeAndAnsweredOnce(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	in := signedHook()
	in.RequestId = proto.String(uuid.NewString())
	made := o.webhook(d, in)
	if hook.CheckSecret(made.GetMadeSecret()) != nil || !made.GetSecretSet() || made.Secret != nil || made.Url != nil {
		t.Fatalf("made %v", made)
	}
	if kept := o.secrets(d, settings.Webhooks, made.GetId()); kept.GetSecret() != made.GetMadeSecret() || kept.GetUrl() != in.GetUrl() {
		t.Errorf("kept %v", kept)
	}
	again := o.webhook(d, in)
	shown := must(d.GetWebhook(o.admin(), &notificationv1.GetWebhookRequest{Id: made.GetId()}))
	renamed := must(o.changeWebhook(d, &notificationv1.Webhook{Id: made.GetId(), Name: "other"}, "name"))
	for _, w := range []*notificationv1.Webhook{again, shown, renamed} {
		if w.GetMadeSecret() != "" || w.GetId() != made.GetId() || !w.GetSecretSet() {
			t.Errorf("answered again: %v", w)
		}
	}
	anew := must(o.changeWebhook(d, &notificationv1.Webhook{Id: made.GetId()}, "secret"))
	if anew.GetMadeSecret() == "" || anew.GetMadeSecret() == made.GetMadeSecret() {
		t.Errorf("a key that was cleared is made anew: %v", anew)
	}
	own := hook.NewSecret()
	if w := must(o.changeWebhook(d, &notificationv1.Webhook{Id: made.GetId(), Secret: &own}, "secret")); w.GetMadeSecret() != "" {
		t.Error("a key of one's own is answered")
	}
	if bytes.Contains(o.stored(), []byte("s3cr3tpath")) || bytes.Contains(o.stored(), []byte("whsec_")) {
		t.Error("the journal has secrets in clear")
	}
}

func TestAnAddressShowsWhereItLeadsAndNothingSecret(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	w := o.webhook(d, slackHook())
	if w.GetUrlShown() != "https://hooks.slack.com/…" || strings.Contains(w.String(), "s3cr3t") || w.GetLanguage() != "en" {
		t.Errorf("shown %v", w)
	}
}

func TestAFormThatCannotBeAWebhookIsRefusedAtItsField(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	pager := &notificationv1.Webhook{Name: "pager", Method: notificationv1.Method_PAGERDUTY, Secret: proto.String("0123456789abcdef0123456789abcdef")}
	for _, c := range []struct {
		field  string
		of     *notificationv1.Webhook
		change func(*notificationv1.Webhook)
	}{
		{"method", slackHook(), func(w *notificationv1.Webhook) { w.Method = notificationv1.Method_EMAIL }},
		{"url", slackHook(), func(w *notificationv1.Webhook) { w.Url = nil }},
		{"url", slackHook(), func(w *notificationv1.Webhook) { w.Url = proto.String("ftp://hooks.slack.com/x") }},
		{"url", signedHook(), func(w *notificationv1.Webhook) { w.Url = proto.String("https://127.0.0.1/x") }},
		{"url", signedHook(), func(w *notificationv1.Webhook) { w.Url = proto.String("https://169.254.169.254/latest") }},
		{"url", pager, func(w *notificationv1.Webhook) { w.Url = proto.String("https://events.pagerduty.com/") }},
		{"secret", slackHook(), func(w *notificationv1.Webhook) { w.Secret = proto.String("x") }},
		{"secret", signedHook(), func(w *notificationv1.Webhook) { w.Secret = proto.String("whsec_short") }},
		{"secret", pager, func(w *notificationv1.Webhook) { w.Secret = nil }},
		{"language", slackHook(), func(w *notificationv1.Webhook) { w.Language = "fr" }},
	} {
		w := proto.CloneOf(c.of)
		c.change(w)
		_, err := d.CreateWebhook(o.admin(), &notificationv1.CreateWebhookRequest{Webhook: w})
		wantRefused(t, err, fault.InvalidArgument, c.field)
	}
	private := signedHook()
	private.Url = proto.String("http://10.1.2.3:8080/in")
	o.webhook(d, private) // the configuration allows it
	_, err := o.changeWebhook(d, &notificationv1.Webhook{Id: o.webhook(d, pager).GetId(), Method: notificationv1.Method_WEBHOOK}, "method")
	wantRefused(t, err, fault.InvalidArgument, "method")
}
