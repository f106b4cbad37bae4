package notifier

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/sms"
)

const (
	// zenviaCallback is where Zenvia tells of deliveries; a secret follows it.
	zenviaCallback = "/v1/sms-callbacks/zenvia/"
	// twilioCallback is where Twilio does, below the public address.
	twilioCallback = "/v1/sms-callbacks/twilio"
)

var regions = regexp.MustCompile(`\A[A-Z]{2}\z`)

// GetSmsSettings answers the broker's settings, which are empty until somebody sets them.
func (d *desk) GetSmsSettings(ctx context.Context, _ *notificationv1.GetSmsSettingsRequest) (*notificationv1.SmsSettings, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	return d.shownSms(ctx, s), nil
}

func (d *desk) shownSms(ctx context.Context, s *settings.Snapshot) *notificationv1.SmsSettings {
	b := new(notificationv1.SmsSettings)
	if kept := s.Sms(); kept != nil {
		b = proto.CloneOf(kept)
	}
	lastError, at := d.Status(string(settings.Sms))
	if b.LastError = lastError; lastError != "" {
		b.LastErrorTime = timestamppb.New(at)
	}
	if b.GetEnabled() && !b.GetCredentialSet() {
		b.Warnings = append(b.Warnings, noPassword("the provider, its address or the user name"))
	}
	if b.GetEnabled() && b.GetProvider() == notificationv1.SmsSettings_TWILIO && d.Public == "" {
		b.Warnings = append(b.Warnings, "Nobody hears what becomes of an SMS: Twilio can tell of it only once the configuration's notifier-public says at which address the outside reaches this platform.")
	}
	if b.GetProvider() != notificationv1.SmsSettings_ZENVIA || !d.Holds(ctx, who.ManageNotifications) {
		return b
	}
	if secrets, err := s.Secrets(settings.Sms, settings.SmsID); err == nil && secrets.GetSecret() != "" {
		b.CallbackPath = zenviaCallback + secrets.GetSecret()
	}
	return b
}

// UpdateSmsSettings changes the broker's settings. Where they lead elsewhere they forget a password that
// doesn't come along.
func (d *desk) UpdateSmsSettings(ctx context.Context, r *notificationv1.UpdateSmsSettingsRequest) (*notificationv1.SmsSettings, error) {
	op, err := d.Book.Operation(who.FromContext(ctx).Actor(), r.GetSmsSettings().GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	_, err = d.Book.Edit(ctx, op, func(e *settings.Edit) error { return saveSms(e, r) })
	if err != nil {
		return nil, err
	}
	return d.shownSms(ctx, d.Book.Snapshot()), nil
}

func saveSms(e *settings.Edit, r *notificationv1.UpdateSmsSettingsRequest) error {
	w := &draft[*notificationv1.SmsSettings]{Edit: e, before: e.Sms(), after: new(notificationv1.SmsSettings)}
	if w.before != nil {
		w.after = proto.CloneOf(w.before)
	}
	var err error
	if w.secrets, err = e.Secrets(settings.Sms, settings.SmsID); err != nil {
		// Sealed with a key that is no longer there: it has to be entered again.
		w.secrets = new(notificationv1.Secrets)
	}
	if err := merge(w.after, r.GetSmsSettings(), r.GetUpdateMask()); err != nil {
		return err
	}
	w.take(r.GetSmsSettings(), r.GetUpdateMask())
	if err := checkSms(w.after); err != nil {
		return err
	}
	if smsElsewhere(w.before, w.after) && !w.given["password"] {
		w.secrets.Password = ""
	}
	w.after.CredentialSet = w.secrets.GetPassword() != ""
	if w.secrets.GetSecret() == "" {
		w.secrets.Secret = strings.ToLower(rand.Text())
	}
	record := &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_SmsSettings{SmsSettings: w.after}}
	return w.Put(settings.Sms, settings.SmsID, record, w.secrets)
}

// smsElsewhere reports whether a kept password could come to somebody else's eyes after a change.
func smsElsewhere(before, after *notificationv1.SmsSettings) bool {
	return before != nil && (before.GetProvider() != after.GetProvider() || before.GetEndpoint() != after.GetEndpoint() || before.GetUsername() != after.GetUsername())
}

// checkSms refuses what can't be a broker, and brings it to its one form.
func checkSms(b *notificationv1.SmsSettings) error {
	if b.GetProvider() == notificationv1.SmsSettings_PROVIDER_UNSPECIFIED {
		b.Provider = notificationv1.SmsSettings_ZENVIA
	}
	if err := line("sender", b.GetSender(), 64); err != nil {
		return err
	}
	if err := line("username", b.GetUsername(), 128); err != nil {
		return err
	}
	if strings.Contains(b.GetUsername(), ":") {
		return bad("username", "it can't hold a colon")
	}
	if b.DefaultRegion = strings.ToUpper(b.GetDefaultRegion()); b.GetDefaultRegion() != "" && !regions.MatchString(b.GetDefaultRegion()) {
		return bad("defaultRegion", "take the two letters of a country, such as BR")
	}
	if err := sms.CheckEndpoint(b.GetEndpoint()); err != nil {
		return because("endpoint", err)
	}
	if !b.GetEnabled() {
		return nil
	}
	for field, value := range map[string]string{"sender": b.GetSender(), "username": b.GetUsername()} {
		if value == "" {
			return bad(field, "SMS can't go out without it. Enter what the provider gave you, or disable SMS")
		}
	}
	return nil
}

// ReceiveZenviaStatus takes what Zenvia says became of an SMS.
func (n *Notifier) ReceiveZenviaStatus(ctx context.Context, r *notificationv1.ReceiveZenviaStatusRequest) (*notificationv1.ReceiveSmsStatusResponse, error) {
	secrets, err := n.book.Snapshot().Secrets(settings.Sms, settings.SmsID)
	if err != nil || secrets.GetSecret() == "" || subtle.ConstantTimeCompare([]byte(secrets.GetSecret()), []byte(r.GetSecret())) != 1 {
		return nil, fault.New(fault.NotFound, "There is nothing here")
	}
	status, err := sms.ZenviaStatus(r.GetBody().AsMap())
	if err != nil {
		return nil, bad("body", "%s", err)
	}
	return n.heardSms(ctx, status)
}

// ReceiveTwilioStatus takes what Twilio says became of an SMS. What it signs is the address that we gave it, and not
// the one that a proxy makes of it.
func (n *Notifier) ReceiveTwilioStatus(ctx context.Context, r *notificationv1.ReceiveTwilioStatusRequest) (*notificationv1.ReceiveSmsStatusResponse, error) {
	s := n.book.Snapshot()
	secrets, err := s.Secrets(settings.Sms, settings.SmsID)
	if err != nil || s.Sms().GetProvider() != notificationv1.SmsSettings_TWILIO || n.config.Public == "" {
		return nil, fault.New(fault.NotFound, "There is nothing here")
	}
	form, err := url.ParseQuery(r.GetForm())
	if err != nil {
		return nil, bad("form", "it can't be read")
	}
	status, err := sms.TwilioStatus(sms.CallbackURL(n.twilioURL(), r.GetDelivery()), form, r.GetSignature(), secrets.GetPassword())
	if err != nil {
		return nil, bad("form", "%s", err)
	}
	return n.heardSms(ctx, status)
}

// twilioURL is where Twilio is to tell of deliveries; empty if it can't reach us.
func (n *Notifier) twilioURL() string {
	if n.config.Public == "" {
		return ""
	}
	return n.config.Public + twilioCallback
}

func (n *Notifier) heardSms(ctx context.Context, s sms.Status) (*notificationv1.ReceiveSmsStatusResponse, error) {
	o, err := n.known()
	if err != nil {
		return nil, err
	}
	state := map[sms.State]notificationv1.Delivery_State{
		sms.Delivered: notificationv1.Delivery_DELIVERED, sms.Failed: notificationv1.Delivery_BOUNCED,
	}[s.State]
	d, err := o.box.Get(ctx, s.DeliveryID)
	if err != nil || d.GetMethod() != notificationv1.Method_SMS { // whoever asks can't mend it
		return &notificationv1.ReceiveSmsStatusResponse{}, nil
	}
	if _, err := o.box.Hear(ctx, s.DeliveryID, outbox.Heard{State: state, Why: s.Reason}); err != nil {
		return nil, err
	}
	return &notificationv1.ReceiveSmsStatusResponse{}, nil
}
