package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"portcullis.dev/services/notifier/message"
)

const (
	twilioEndpoint = "https://api.twilio.com"
	// delivery is the parameter of a status address that holds the delivery's id, for Twilio keeps none of ours.
	delivery = "delivery"
)

type twilioAnswer struct {
	SID     string `json:"sid"`
	Status  any    `json:"status"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (b *Broker) twilio(ctx context.Context, m *message.Message, text string) (string, error) {
	form := url.Values{"To": {m.To}, "Body": {text}}
	form.Set(senderField(b.settings.Sender), b.settings.Sender)
	if b.settings.StatusURL != "" {
		form.Set("StatusCallback", CallbackURL(b.settings.StatusURL, m.ID))
	}
	to := []string{cmp.Or(b.settings.Endpoint, twilioEndpoint), "2010-04-01", "Accounts", url.PathEscape(b.settings.Username), "Messages.json"}
	a, err := b.post(ctx, to, "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return "", err
	}
	var said twilioAnswer
	bad := json.Unmarshal(a.body, &said)
	f := b.byStatus("Twilio", a)
	switch {
	case f == nil && bad == nil && said.SID != "":
		return b.line("%v %s", said.Status, said.SID), nil
	case f == nil:
		return "", &message.Failure{Reason: b.line("Twilio's answer can't be read: %d %s", a.status, a.body), Server: true}
	case bad == nil && said.Code != 0:
		f.Reason = b.line("Twilio refused it: %d %s", said.Code, said.Message)
		f.Server = twilioAccount(said.Code) || a.status == http.StatusUnauthorized || a.status == http.StatusTooManyRequests || a.status >= 500
		f.Permanent = !f.Server
	}
	return "", f
}

// twilioAccount tells an error that is about the account, its sender or its limits, and not about one message. The
// status of HTTP doesn't: 403 stands for a number's country as well.
func twilioAccount(code int) bool {
	if code >= 20000 && code < 21000 { // credentials, account, address
		return true
	}
	switch code {
	case 14107, // rate
		21212, 21603, 21606, 21607, 21611, 21659, 21660, 21661, 21701, 21703, 21704, 21705, // sender, its queue, messaging service
		30001, 30002, 63038: // queue, suspended, limit of a day
		return true
	}
	return false
}

// senderField is what Twilio calls a sender: the id of a messaging service, or a number or name.
func senderField(sender string) string {
	if len(sender) == 34 && strings.HasPrefix(sender, "MG") {
		return "MessagingServiceSid"
	}
	return "From"
}

// CallbackURL is the address at which Twilio tells of one delivery, as it signs it.
func CallbackURL(to, id string) string {
	mark := "?"
	if strings.Contains(to, "?") {
		mark = "&"
	}
	return to + mark + delivery + "=" + url.QueryEscape(id)
}
