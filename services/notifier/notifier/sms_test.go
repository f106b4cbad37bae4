package notifier

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/settings"
)

func zenvia() *notificationv1.SmsSettings {
	return &notificationv1.SmsSettings{Enabled: true, Provider: notificationv1.SmsSettings_ZENVIA, Sender: "Portcullis", Username: "acme", Password: proto.String("sms-pw"), DefaultRegion: "br"}
}

func (o *office) changeSms(d *opened, b *notificationv1.SmsSettings, paths ...string) (*notificationv1.SmsSettings, error) {
	return d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: b, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

func TestTheSmsBrokerIsSetWithASealedPasswordAndASecretCallback(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	if empty := must(d.GetSmsSettings(o.admin(), nil)); empty.GetEnabled() || empty.GetCallbackPath() != "" {
		t.Errorf("at first it is %v", empty)
	}
	b := must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: zenvia()}))
	secret := strings.TrimPrefix(b.GetCallbackPath(), "/v1/sms-callbacks/zenvia/")
	if len(secret) < 26 || !b.GetCredentialSet() || b.Password != nil || b.GetDefaultRegion() != "BR" || len(b.GetWarnings()) > 0 {
		t.Errorf("set to %v", b)
	}
	if seen := must(d.GetSmsSettings(o.as("auditor"), nil)); seen.GetCallbackPath() != "" || seen.GetSender() != "Portcullis" {
		t.Errorf("somebody who only reads sees %v", seen)
	}
	if bytes.Contains(o.stored(), []byte("sms-pw")) || bytes.Contains(o.stored(), []byte(secret)) {
		t.Error("the journal has secrets in clear")
	}
	d.crash()
	d = o.desk()
	if again := must(d.GetSmsSettings(o.admin(), nil)); again.GetCallbackPath() != b.GetCallbackPath() {
		t.Errorf("after a restart: %v", again)
	}
}

func TestAnotherBrokerIsNotShownThePassword(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for path, change := range map[string]*notificationv1.SmsSettings{
		"endpoint": {Endpoint: "https://evil.example.com"},
		"provider": {Provider: notificationv1.SmsSettings_TWILIO},
		"username": {Username: "mallory"},
	} {
		must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: zenvia()}))
		b := must(o.changeSms(d, change, path))
		if b.GetCredentialSet() || o.secrets(d, settings.Sms, settings.SmsID).GetPassword() != "" || len(b.GetWarnings()) == 0 || !strings.HasPrefix(b.GetWarnings()[0], "It has no password") {
			t.Errorf("after %s changed: %v", path, b)
		}
		must(o.changeSms(d, &notificationv1.SmsSettings{}, "endpoint"))
	}
	must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: zenvia()}))
	if b := must(o.changeSms(d, &notificationv1.SmsSettings{KeepAccents: true}, "keep_accents")); !b.GetCredentialSet() {
		t.Error("a harmless change forgot the password")
	}
}

func TestAFormThatCannotBeABrokerIsRefusedAtItsField(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for _, c := range []struct {
		field  string
		change func(*notificationv1.SmsSettings)
	}{
		{"sender", func(b *notificationv1.SmsSettings) { b.Sender = "" }},
		{"sender", func(b *notificationv1.SmsSettings) { b.Sender = "a\nb" }},
		{"username", func(b *notificationv1.SmsSettings) { b.Username = "" }},
		{"username", func(b *notificationv1.SmsSettings) { b.Username = "a:b" }},
		{"defaultRegion", func(b *notificationv1.SmsSettings) { b.DefaultRegion = "55" }},
		{"endpoint", func(b *notificationv1.SmsSettings) { b.Endpoint = "http://api.example.com" }},
		{"endpoint", func(b *notificationv1.SmsSettings) { b.Endpoint = "https://u:p@api.example.com" }},
		{"endpoint", func(b *notificationv1.SmsSettings) { b.Endpoint = "api.example.com" }},
	} {
		b := zenvia()
		c.change(b)
		_, err := d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: b})
		wantRefused(t, err, fault.InvalidArgument, c.field)
	}
	b := zenvia()
	b.Endpoint = "http://127.0.0.1:8080"
	must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: b}))
	if b, err := o.changeSms(d, &notificationv1.SmsSettings{}, "enabled", "sender"); err != nil || b.GetEnabled() {
		t.Errorf("a disabled broker may lack something: %v", err)
	}
}
