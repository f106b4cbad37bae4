package settings

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/seal"
)

// Snapshot is the settings at one moment. It never changes, and nobody may change what it answers: what
// is needed at once, as an account and its password, is to be taken from one and the same.
type Snapshot struct {
	sequence uint64
	opener   seal.Opener
	records  map[Collection]map[string]*notificationv1.SettingRecord
}

func newSnapshot(opener seal.Opener) *Snapshot {
	return &Snapshot{opener: opener, records: map[Collection]map[string]*notificationv1.SettingRecord{}}
}

func (s *Snapshot) clone() *Snapshot {
	return &Snapshot{sequence: s.sequence, opener: s.opener, records: maps.Clone(s.records)}
}

// put replaces a collection, and never changes the one that is there: another snapshot may have it.
func (s *Snapshot) put(c Collection, id string, r *notificationv1.SettingRecord) {
	all := maps.Clone(s.records[c])
	if all == nil {
		all = map[string]*notificationv1.SettingRecord{}
	}
	all[id] = r
	s.records[c] = all
	if !r.GetDeleted() && r.GetSmtpAccount().GetDefaultAccount() {
		onlyDefault(all, id)
	}
}

// onlyDefault lets one account alone be the default. The new one stands in the stream right before the
// one that it takes over from, so that there never is none.
func onlyDefault(all map[string]*notificationv1.SettingRecord, id string) {
	for other, r := range all {
		if other != id && r.GetSmtpAccount().GetDefaultAccount() {
			r = proto.CloneOf(r)
			r.GetSmtpAccount().DefaultAccount = false
			all[other] = r
		}
	}
}

// Record is a setting with what is kept about it; nil if there is none, or no longer.
func (s *Snapshot) Record(c Collection, id string) *notificationv1.SettingRecord {
	if r := s.records[c][id]; !r.GetDeleted() {
		return r
	}
	return nil
}

// Records are those of a collection by their ids, in no order.
func (s *Snapshot) Records(c Collection) iter.Seq2[string, *notificationv1.SettingRecord] {
	return func(yield func(string, *notificationv1.SettingRecord) bool) {
		for id, r := range s.records[c] {
			if !r.GetDeleted() && !yield(id, r) {
				return
			}
		}
	}
}

// Secrets opens what a record keeps secret; it may be nothing.
func (s *Snapshot) Secrets(c Collection, id string) (*notificationv1.Secrets, error) {
	secrets := new(notificationv1.Secrets)
	sealed := s.Record(c, id).GetSealed()
	if len(sealed) == 0 {
		return secrets, nil
	}
	plain, err := s.opener.Open(sealed, c.subject(id))
	if err != nil {
		return nil, err
	}
	// Not the parser's words: they may quote a secret.
	if proto.Unmarshal(plain, secrets) != nil {
		return nil, fmt.Errorf("reading the secrets of %s: they are malformed", c.subject(id))
	}
	return secrets, nil
}

// Notification answers one by its id; nil if there is none. So do those that follow.
func (s *Snapshot) Notification(id string) *notificationv1.Notification {
	return s.Record(Notifications, id).GetNotification()
}

// SmtpAccount answers an account.
func (s *Snapshot) SmtpAccount(id string) *notificationv1.SmtpAccount {
	return s.Record(SmtpAccounts, id).GetSmtpAccount()
}

// Mailbox answers a mailbox.
func (s *Snapshot) Mailbox(id string) *notificationv1.Mailbox {
	return s.Record(Mailboxes, id).GetMailbox()
}

// Sms answers the settings of SMS.
func (s *Snapshot) Sms() *notificationv1.SmsSettings { return s.Record(Sms, SmsID).GetSmsSettings() }

// Webhook answers a webhook.
func (s *Snapshot) Webhook(id string) *notificationv1.Webhook {
	return s.Record(Webhooks, id).GetWebhook()
}

// Template answers the text that somebody has written for a type and language.
func (s *Snapshot) Template(kind, language string) *notificationv1.Template {
	return s.Record(Templates, TemplateID(kind, language)).GetTemplate()
}

// TemplateID is the id of the text for a type and language.
func TemplateID(kind, language string) string { return kind + "." + language }

// Notifications are all there are, by id.
func (s *Snapshot) Notifications() []*notificationv1.Notification {
	return sorted(s, Notifications, (*notificationv1.SettingRecord).GetNotification)
}

// SmtpAccounts are all there are, by id.
func (s *Snapshot) SmtpAccounts() []*notificationv1.SmtpAccount {
	return sorted(s, SmtpAccounts, (*notificationv1.SettingRecord).GetSmtpAccount)
}

// Mailboxes are all there are, by id.
func (s *Snapshot) Mailboxes() []*notificationv1.Mailbox {
	return sorted(s, Mailboxes, (*notificationv1.SettingRecord).GetMailbox)
}

// Webhooks are all there are, by id.
func (s *Snapshot) Webhooks() []*notificationv1.Webhook {
	return sorted(s, Webhooks, (*notificationv1.SettingRecord).GetWebhook)
}

func sorted[T any](s *Snapshot, c Collection, of func(*notificationv1.SettingRecord) T) []T {
	ids := make([]string, 0, len(s.records[c]))
	for id := range s.Records(c) {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	all := make([]T, len(ids))
	for i, id := range ids {
		all[i] = of(s.records[c][id])
	}
	return all
}

// DefaultAccount is the one that e-mail goes out by if nothing else is said; nil if there is no account.
func (s *Snapshot) DefaultAccount() *notificationv1.SmtpAccount {
	for _, r := range s.Records(SmtpAccounts) {
		if r.GetSmtpAccount().GetDefaultAccount() {
			return r.GetSmtpAccount()
		}
	}
	return nil
}

// AccountOf is what a notification's e-mail goes out by: its own account, or the default one if it names
// none that is there. It may be disabled.
func (s *Snapshot) AccountOf(n *notificationv1.Notification) *notificationv1.SmtpAccount {
	if own := s.SmtpAccount(n.GetSmtpAccount()); own != nil {
		return own
	}
	return s.DefaultAccount()
}
