package scenario

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portcullis.dev/services/notifier/mailtest"
)

// From an empty start: an account, a test mail, a rule, a lockdown, and everybody who is to know does.
func peopleAreTold(w *world) {
	servers := mailtest.Start(w.T)
	broker := newBroker(w)
	root := w.root()
	for name, mailbox := range map[string]string{"alice": mailtest.Alice, "bruno": mailtest.Bob, "olga": mailtest.Nobody} {
		language := map[string]string{"bruno": "pt-BR"}[name]
		w.must(root.Call(http.MethodPatch, "/v1/users/"+name, object{"email": mailbox, "mobile": "+5511987654321", "language": orEnglish(language)}))
	}
	w.must(root.Call(http.MethodPost, "/v1/users", object{"name": "stranger", "email": mailtest.Bob, "password": password, "requestId": requestID()}))
	account := w.must(root.Call(http.MethodPost, "/v1/smtp-accounts", object{
		"name": "Exim", "enabled": true, "sender": "Portcullis <" + mailtest.Alice + ">", "returnPath": mailtest.Bounces,
		"host": mailtest.Host, "port": servers.SMTP, "secureConnection": true, "secureConnectionType": "TLS", "ignoreCertificateErrors": true,
		"authentication": true, "username": mailtest.Alice, "password": mailtest.AlicePassword, "requestId": requestID(),
	}))
	if account.Text("password") != "" || account.Value("defaultAccount") != true || account.Value("credentialSet") != true {
		w.Errorf("the account: %s", account)
	}
	test := w.must(root.Call(http.MethodPost, "/v1/smtp-accounts/"+account.Text("id")+":test", object{
		"recipient": mailtest.Bob, "subject": "Ünder test", "body": "Can you read this?", "requestId": requestID(),
	}))
	if test.Text("state") != "SENT" {
		w.Fatalf("the test mail: %s", test)
	}
	w.arrives(servers, mailtest.Bob, "Ünder test")

	w.must(root.Call(http.MethodPost, "/v1/mailboxes", object{
		"name": "Bounces", "enabled": true, "automaticCheck": true, "address": mailtest.Host, "protocol": "IMAP", "port": servers.IMAPS,
		"secureConnection": true, "secureConnectionType": "SSL", "skipCertificateCheck": true, "username": mailtest.Bounces,
		"password": mailtest.BouncesPassword, "requestId": requestID(),
	}))
	w.must(root.Call(http.MethodPatch, "/v1/sms-settings", object{
		"enabled": true, "provider": "ZENVIA", "sender": "Brake", "username": "brake", "password": "sms-password", "endpoint": broker.URL,
	}))
	w.must(root.Call(http.MethodPost, "/v1/notifications", object{
		"name": "Lockdown started", "enabled": true, "methods": []string{"EMAIL", "SCREEN", "SMS"}, "types": []string{"emergency.lockdown.started"},
		"contacts": []string{"alice", "bruno", "olga"}, "requestId": requestID(),
	}))
	w.must(root.Call(http.MethodPost, "/v1/notifications", object{
		"name": "Freeze cancelled", "enabled": true, "methods": []string{"EMAIL"}, "types": []string{"emergency.freeze.cancelled"},
		"contacts": []string{"alice", "stranger"}, "onlyWithAccess": true, "requestId": requestID(),
	}))
	bruno := w.person("bruno")

	lockdown := w.lockdown(root, object{"duration": "90s"})
	end := w.moment(lockdown, "endTime").Add(time.Second - time.Nanosecond).Truncate(time.Second).UTC()
	whole := func(by, said string) { // who, why, until when
		w.Helper()
		for _, part := range []string{lockdown.Text("id"), "Suspected break-in", lockdown.Text("createdBy"), end.Format("15:04")} {
			if !strings.Contains(said, part) {
				w.Errorf("%s lacks %q:\n%s", by, part, said)
			}
		}
	}
	said := w.arrives(servers, mailtest.Alice, lockdown.Text("id"))
	whole("the mail", said)
	if !strings.Contains(said, "INC-4711") {
		w.Errorf("the mail lacks its ticket:\n%s", said)
	}
	if in := w.arrives(servers, mailtest.Bob, lockdown.Text("id")); !strings.Contains(in, "Lockdown") || strings.Contains(in, "Nobody but") {
		w.Errorf("not in bruno's language:\n%s", in)
	}
	for range 3 {
		if sms := broker.next(w); !strings.Contains(sms.Msg, lockdown.Text("id")) || sms.To != "5511987654321" || sms.From != "Brake" {
			w.Errorf("an SMS: %+v", sms)
		} else {
			whole("an SMS", sms.Msg)
		}
	}
	w.eventually(30*time.Second, "olga's mail has bounced", func() bool {
		return len(w.must(root.Call(http.MethodGet, "/v1/outbox?filter="+url.QueryEscape("state=BOUNCED AND contact=olga"), nil)).Objects("outbox")) == 1
	})
	w.cancel(root, "lockdowns", lockdown.Text("id"))
	w.must(bruno.SignIn())
	inbox := w.must(bruno.Call(http.MethodGet, "/v1/inbox", nil))
	if inbox.Number("unread") != 1 || !strings.Contains(inbox.Objects("inbox")[0]["text"].(string), lockdown.Text("id")) {
		w.Errorf("bruno's inbox: %s", inbox)
	} else {
		whole("the screen", inbox.Objects("inbox")[0]["text"].(string))
	}

	second, third := w.root(), w.root()
	w.must(second.SignIn())
	w.must(third.SignIn())
	freeze := w.freeze(second, nil)
	w.cancel(third, "freezes", freeze.Text("id"))
	w.arrives(servers, mailtest.Alice, freeze.Text("id"))
	w.eventually(10*time.Second, "the plan is known", func() bool {
		all := w.must(root.Call(http.MethodGet, "/v1/outbox?filter="+url.QueryEscape("type=emergency.freeze.cancelled"), nil)).Objects("outbox")
		return len(all) == 1 && all[0]["contact"] == "alice"
	})
}

// One who tries three times is one notice that says so; the doors are told apart.
func refusedAreTold(w *world) {
	root := w.root()
	w.must(root.Call(http.MethodPost, "/v1/notifications", object{
		"name": "Refused", "enabled": true, "methods": []string{"SCREEN"}, "types": []string{"emergency.attempt.refused"},
		"contacts": []string{root.Name}, "requestId": requestID(),
	}))
	inbox := func() []string {
		var texts []string
		for _, m := range w.must(root.Call(http.MethodGet, "/v1/inbox", nil)).Objects("inbox") {
			texts = append(texts, m["text"].(string))
		}
		return texts
	}
	lockdown := w.lockdown(root, nil)
	w.everyDoorHolds(root, lockdown.Text("id"))
	end := w.moment(lockdown, "endTime")
	for range 3 {
		a, err := w.stranger("alice").SignIn()
		w.isD3("alice, who signs in", end, a, err)
	}
	w.eventually(30*time.Second, "the administrator reads that alice was refused", func() bool { return len(inbox()) == 1 })
	for _, part := range []string{"alice tried", "lockdown " + lockdown.Text("id"), "Attempts: 3", "From: 127.0.0.1"} {
		if text := inbox()[0]; !strings.Contains(text, part) {
			w.Errorf("the notice %q lacks %q", text, part)
		}
	}
	a, err := w.stranger("alice").SignIn() // is known already
	w.isD3("alice, who signs in again", end, a, err)
	w.shut("alice", "web-1")
	w.eventually(30*time.Second, "the administrator reads of the session, too", func() bool { return len(inbox()) > 1 })
	if all := inbox(); len(all) != 2 || !strings.Contains(all[0], "Devices: web-1") || !strings.Contains(all[0], "From: 127.0.0.1") {
		w.Errorf("the administrator was told %q", all)
	}
}

func orEnglish(language string) string {
	if language == "" {
		return "en"
	}
	return language
}

// arrives waits until a mail with that in it is in somebody's mailbox, and answers its text.
func (w *world) arrives(s *mailtest.Servers, whose, with string) string {
	w.Helper()
	found := ""
	w.eventually(20*time.Second, "a mail to "+whose+" with "+with, func() bool {
		for _, raw := range mailsOf(s, whose) {
			if text := readable(raw); strings.Contains(text, with) {
				found = text
				return true
			}
		}
		return false
	})
	return found
}

// mailsOf reads the mails in a mailbox where Dovecot keeps them.
func mailsOf(s *mailtest.Servers, whose string) [][]byte {
	var all [][]byte
	_ = filepath.WalkDir(filepath.Join(s.Dir, "home", whose), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (strings.Contains(path, "/new/") || strings.Contains(path, "/cur/")) {
			if raw, err := os.ReadFile(path); err == nil {
				all = append(all, raw)
			}
		}
		return nil
	})
	return all
}

// readable is a mail's subject and its parts as a person reads them.
func readable(raw []byte) string {
	m, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return ""
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	return subject + "\n" + partsOf(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
}

// partsOf are the texts of a mail's parts, one after the other.
func partsOf(kind, encoding string, body io.Reader) string {
	media, parameters, _ := mime.ParseMediaType(kind)
	if !strings.HasPrefix(media, "multipart/") {
		switch strings.ToLower(encoding) {
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		}
		text, _ := io.ReadAll(body)
		return string(text)
	}
	all := ""
	for parts := multipart.NewReader(body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			return all
		}
		all += partsOf(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part) + "\n"
	}
}

// smsBroker is Zenvia, as far as it is documented.
type smsBroker struct {
	*httptest.Server
	all chan sms
}

type sms struct{ From, To, Msg, ID string }

func newBroker(w *world) *smsBroker {
	b := &smsBroker{all: make(chan sms, 100)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		user, pass, _ := in.BasicAuth()
		body, _ := io.ReadAll(in.Body)
		var request struct{ SendSmsRequest sms }
		if user != "brake" || pass != "sms-password" || json.Unmarshal(body, &request) != nil {
			fmt.Fprint(out, `{"sendSmsResponse":{"statusCode":"10","detailCode":"900","detailDescription":"Wrong credentials"}}`)
			return
		}
		b.all <- request.SendSmsRequest
		fmt.Fprint(out, `{"sendSmsResponse":{"statusCode":"00","statusDescription":"Ok","detailCode":"000","detailDescription":"Message Sent"}}`)
	}))
	w.Cleanup(b.Close)
	return b
}

func (b *smsBroker) next(w *world) sms {
	w.Helper()
	select {
	case one := <-b.all:
		return one
	case <-time.After(20 * time.Second):
		w.Fatal("no SMS comes")
		return sms{}
	}
}
