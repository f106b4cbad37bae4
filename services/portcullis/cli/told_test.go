package cli_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// told is a call of the notifier: a collection, the one in it, and what is asked of that.
type told struct{ collection, id, verb string }

// toldOf reads a path of the notifier; nil for others.
func toldOf(path string) *told {
	path, verb, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), ":")
	collection, id, _ := strings.Cut(path, "/")
	if toldRow(collection) == nil {
		return nil
	}
	return &told{collection, id, verb}
}

// toldRow is the message that each row of a collection must be.
func toldRow(collection string) proto.Message {
	switch collection {
	case "notifications", "notification-types":
		return new(notificationv1.Notification)
	case "smtp-accounts":
		return new(notificationv1.SmtpAccount)
	case "mailboxes":
		return new(notificationv1.Mailbox)
	case "sms-settings":
		return new(notificationv1.SmsSettings)
	case "webhooks":
		return new(notificationv1.Webhook)
	case "templates":
		return new(notificationv1.Template)
	case "outbox":
		return new(notificationv1.Delivery)
	case "inbox":
		return new(notificationv1.InboxMessage)
	case "events":
		return new(notificationv1.Event)
	}
	return nil
}

func (f *fake) told(r *http.Request, of told, body []byte) ([]byte, *no) {
	rows := f.rows[of.collection]
	if rows == nil {
		rows = map[string]map[string]any{}
		f.rows[of.collection] = rows
	}
	switch {
	case of.verb != "":
		return f.toldVerb(of, body)
	case slices.Contains([]string{"templates", "notification-types"}, of.collection) && r.URL.Query().Has("page_size"):
		return nil, refuse(400, "INVALID_ARGUMENT", "This call takes no parameter page_size")
	case of.collection == "notification-types":
		return encode(&notificationv1.ListNotificationTypesResponse{NotificationTypes: []*notificationv1.NotificationType{{
			Type: "emergency.lockdown.started", Category: "Emergency panel", Description: "A lockdown started",
			Methods: []notificationv1.Method{notificationv1.Method_EMAIL, notificationv1.Method_SMS}}}}), nil
	case of.collection == "events":
		return body, strict(body, new(notificationv1.Event))
	case of.collection == "sms-settings" || of.collection == "templates" && of.id != "":
		return f.toldOne(r, of, rows, body)
	case of.id == "" && r.Method == http.MethodGet:
		return f.toldList(of.collection, rows), nil
	case of.id == "":
		return f.toldCreate(of.collection, rows, body)
	case rows[of.id] == nil:
		return nil, refuse(404, "NOT_FOUND", fmt.Sprintf("There is no %q in %s", of.id, of.collection))
	}
	return f.toldOne(r, of, rows, body)
}

// toldSecrets are input only: the fake keeps them to look at, and answers none.
var toldSecrets = []string{"password", "secret", "url", "requestId"}

func (f *fake) toldCreate(collection string, rows map[string]map[string]any, body []byte) ([]byte, *no) {
	if n := strict(body, toldRow(collection)); n != nil {
		return nil, n
	}
	row := map[string]any{}
	if err := json.Unmarshal(body, &row); err != nil {
		panic(err)
	}
	row["id"] = fmt.Sprintf("id%d", len(rows)+1)
	f.keep(row)
	switch {
	case collection == "notifications" && row["types"] == nil:
		row["warnings"] = []string{"It has no types, so that it fires on nothing."}
	case collection == "webhooks" && f.kept["secret"] == nil:
		row["madeSecret"] = "whsec_made"
	}
	rows[row["id"].(string)] = row
	return mustJSON(row), nil
}

// keep takes the secrets out of a row.
func (f *fake) keep(row map[string]any) {
	f.kept = map[string]any{}
	for _, name := range toldSecrets {
		if value, given := row[name]; given {
			f.kept[name] = value
			delete(row, name)
		}
	}
	delete(row, "madeSecret")
}

func (f *fake) toldOne(r *http.Request, of told, rows map[string]map[string]any, body []byte) ([]byte, *no) {
	row := rows[of.id]
	if row == nil {
		row = map[string]any{}
		if typ, language, found := strings.Cut(of.id, "/"); found {
			row = map[string]any{"type": typ, "language": language, "subject": "Lockdown", "body": "A lockdown.\nUntil {{until}}.", "short": "Lockdown"}
		}
		rows[of.id] = row
	}
	switch r.Method {
	case http.MethodDelete:
		delete(rows, of.id)
		return []byte("{}"), nil
	case http.MethodPatch:
		if n := strict(body, toldRow(of.collection)); n != nil {
			return nil, n
		}
		change := map[string]any{}
		if err := json.Unmarshal(body, &change); err != nil {
			panic(err)
		}
		f.keep(change)
		maps.Copy(row, change)
	}
	return mustJSON(row), nil
}

func (f *fake) toldList(collection string, rows map[string]map[string]any) []byte {
	field := map[string]string{"smtp-accounts": "smtpAccounts"}[collection]
	if field == "" {
		field = collection
	}
	switch collection {
	case "outbox":
		return encode(&notificationv1.ListDeliveriesResponse{Outbox: []*notificationv1.Delivery{f.delivery("del1", notificationv1.Delivery_FAILED)}})
	case "inbox":
		return encode(&notificationv1.ListInboxResponse{Inbox: []*notificationv1.InboxMessage{{Id: "m1", Text: "Lockdown L-0001 is on", Emergency: "L-0001"}}, Unread: 1})
	}
	all := []any{}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, rows[id])
	}
	return mustJSON(map[string]any{field: all})
}

func (f *fake) delivery(id string, state notificationv1.Delivery_State) *notificationv1.Delivery {
	at := timestamppb.New(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	d := &notificationv1.Delivery{Id: id, Method: notificationv1.Method_EMAIL, State: state, Contact: "alice", Recipient: "alice@example.com", Subject: "Lockdown",
		CreateTime: at, Attempts: 1, LatestAttempts: []*notificationv1.Attempt{{Time: at, Answer: "250 taken"}}, Body: "Line one\nLine two"}
	if state == notificationv1.Delivery_FAILED {
		d.Error, d.LatestAttempts[0].Answer, d.LatestAttempts[0].Error = "550 nobody there", "", "550 nobody there"
	}
	return d
}

// toldVerb does what a colon asks for.
func (f *fake) toldVerb(of told, body []byte) ([]byte, *no) {
	switch of.collection + ":" + of.verb {
	case "smtp-accounts:test":
		request := new(notificationv1.TestSmtpAccountRequest)
		n := strict(body, request)
		state := map[string]notificationv1.Delivery_State{"nobody@example.com": notificationv1.Delivery_FAILED, "slow@example.com": notificationv1.Delivery_QUEUED}[request.GetRecipient()]
		if state == 0 {
			state = notificationv1.Delivery_SENT
		}
		return encode(f.delivery("del1", state)), n
	case "sms-settings:test":
		return encode(f.delivery("del2", notificationv1.Delivery_SENT)), strict(body, new(notificationv1.TestSmsRequest))
	case "webhooks:test":
		return encode(f.delivery("del3", notificationv1.Delivery_SENT)), strict(body, new(notificationv1.TestWebhookRequest))
	case "mailboxes:check":
		row := &notificationv1.Mailbox{Id: of.id, Name: "Bounces"}
		if f.partial {
			row.LastError = "The server refuses the password"
		}
		return encode(row), strict(body, new(notificationv1.CheckMailboxRequest))
	case "outbox:resend":
		return encode(f.delivery(of.id, notificationv1.Delivery_QUEUED)), strict(body, new(notificationv1.ResendDeliveryRequest))
	case "templates:preview":
		request := new(notificationv1.PreviewTemplateRequest)
		n := strict(body, request)
		return encode(&notificationv1.PreviewTemplateResponse{Subject: request.GetTemplate().GetSubject(), Text: request.GetTemplate().GetBody(), Html: "<p>", SmsSegments: 1,
			Facts: map[string]string{"until": "22:30"}}), n
	case "inbox:read":
		if of.id == "" {
			return encode(new(notificationv1.ReadInboxResponse)), strict(body, new(notificationv1.ReadInboxRequest))
		}
		return encode(&notificationv1.InboxMessage{Id: of.id, Text: "Lockdown L-0001 is on"}), strict(body, new(notificationv1.ReadInboxMessageRequest))
	case "inbox:watch":
		return []byte(`{"result":{"unread":1}}` + "\n" + `{"result":{"unread":2,"message":{"id":"m2","text":"Freeze F-0002 is on"}}}` + "\n"), nil
	}
	return nil, refuse(404, "NOT_FOUND", "There is no such path")
}
