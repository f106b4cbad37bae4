package mail

import (
	"crypto/ed25519"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	gomessage "github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/audit"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testID = "mzxw6ytboi2dgnjqge3dkmzr"

func testMessage() *message.Message {
	return &message.Message{
		ID: testID, Host: "portcullis.example.com", To: "ana@example.com", Name: `Ana "Nina" Conceição`, Language: "pt-BR",
		Subject: "Bloqueio geral iniciado por João: todas as sessões foram encerradas até nova ordem da operação",
		Body:    "Olá,\n\n.um ponto no começo\nFrom the start\n--=_" + testID + "\n",
		HTML:    "<html><body><p>Olá &amp; até já</p></body></html>",
	}
}

func testAccount() Account {
	return Account{
		Settings: &notificationv1.SmtpAccount{
			Host: "mail.example.com", Sender: `"Portcullis, \"the brake\"" <brake@example.com>`,
			ReplyTo: "help@example.com", ReturnPath: "bounces@example.com",
			ConfirmationAddress: "receipts@example.com", SendReadReceipt: true, Footnote: true,
		},
		Footnotes: map[string]string{"en": "Sent by Portcullis.", "pt-BR": "Enviado pelo Portcullis <não responda>."},
		Product:   "Portcullis",
		Now:       func() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) },
	}
}

func composed(t *testing.T, a Account, m *message.Message) (from string, e *gomessage.Entity, raw string) {
	t.Helper()
	from, to, bytes, err := Compose(a, m)
	if err != nil {
		t.Fatal(err)
	}
	if to != m.To {
		t.Errorf("it goes to %q", to)
	}
	e, err = gomessage.Read(strings.NewReader(string(bytes)))
	if err != nil {
		t.Fatal(err)
	}
	return from, e, string(bytes)
}

func TestAMailIsWrittenAsTheGoldenFileHasIt(t *testing.T) {
	from, _, raw := composed(t, testAccount(), testMessage())
	if from != "bounces+"+testID+"@example.com" {
		t.Errorf("the envelope is from %q", from)
	}
	const golden = "testdata/mail.eml"
	if *update {
		if err := os.WriteFile(golden, []byte(raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), raw); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, line := range strings.Split(raw, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("no server takes the line %q", line)
		}
	}
}

func TestForcedSettingsStandAgainstANotificationsOwn(t *testing.T) {
	type addresses struct{ Envelope, ReplyTo, Receipt string }
	for name, c := range map[string]struct {
		change func(*notificationv1.SmtpAccount, *message.Message)
		want   addresses
	}{
		"the account's own": {
			func(*notificationv1.SmtpAccount, *message.Message) {},
			addresses{"bounces+" + testID + "@example.com", "<help@example.com>", "<receipts@example.com>"},
		},
		"the notification's": {
			func(_ *notificationv1.SmtpAccount, m *message.Message) {
				m.ReplyTo, m.ReturnPath, m.Confirmation = "r@n.example", "p@n.example", "c@n.example"
			},
			addresses{"p+" + testID + "@n.example", "<r@n.example>", "<c@n.example>"},
		},
		"forced": {
			func(s *notificationv1.SmtpAccount, m *message.Message) {
				m.ReplyTo, m.ReturnPath, m.Confirmation = "r@n.example", "p@n.example", "c@n.example"
				s.ForceSettings = true
			},
			addresses{"bounces+" + testID + "@example.com", "<help@example.com>", "<receipts@example.com>"},
		},
		"forced to be without": {
			func(s *notificationv1.SmtpAccount, m *message.Message) {
				m.ReplyTo, m.ReturnPath, m.Confirmation = "r@n.example", "p@n.example", "c@n.example"
				s.ForceSettings, s.ReplyTo, s.ReturnPath, s.ConfirmationAddress = true, "", "", ""
			},
			addresses{"brake+" + testID + "@example.com", "", `"Portcullis, \"the brake\"" <brake@example.com>`},
		},
		"a plain return path": {
			func(s *notificationv1.SmtpAccount, _ *message.Message) { s.PlainReturnPath = true },
			addresses{"bounces@example.com", "<help@example.com>", "<receipts@example.com>"},
		},
		"no receipt": {
			func(s *notificationv1.SmtpAccount, m *message.Message) {
				s.SendReadReceipt, m.Confirmation = false, "c@n.example"
			},
			addresses{"bounces+" + testID + "@example.com", "<help@example.com>", ""},
		},
		"a receipt to where replies go": {
			func(s *notificationv1.SmtpAccount, _ *message.Message) { s.ConfirmationAddress = "" },
			addresses{"bounces+" + testID + "@example.com", "<help@example.com>", "<help@example.com>"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, m := testAccount(), testMessage()
			c.change(a.Settings, m)
			from, e, _ := composed(t, a, m)
			got := addresses{from, e.Header.Get("Reply-To"), e.Header.Get("Disposition-Notification-To")}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheFootnoteIsThereWhenAskedForInTheMailsLanguage(t *testing.T) {
	for _, c := range []struct {
		language, html string
		on             bool
		text, markup   string
	}{
		{"pt-BR", "<p>x</p>", true, "x\n\n-- \nEnviado pelo Portcullis <não responda>.\n",
			"<p>x</p>\n<hr>\n<p><small>Enviado pelo Portcullis &lt;não responda&gt;.</small></p>\n"},
		{"fr", "", true, "x\n\n-- \nSent by Portcullis.\n", ""},
		{"en", "<p>x</p>", false, "x", "<p>x</p>"},
	} {
		a := testAccount()
		a.Settings.Footnote = c.on
		text, markup := bodies(a, &message.Message{Language: c.language, Body: "x", HTML: c.html})
		if text != c.text || markup != c.markup {
			t.Errorf("%s, %t: got %q and %q", c.language, c.on, text, markup)
		}
	}
}

func TestACheckpointIsTheLastOfAMailAsItWasSigned(t *testing.T) {
	_, sign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	note, err := audit.Checkpoint{Sequence: 44, Epoch: 7, Hash: make([]byte, 32), Time: time.Now()}.Sign(sign)
	if err != nil {
		t.Fatal(err)
	}
	for _, footnote := range []bool{true, false} {
		a, m := testAccount(), testMessage()
		a.Settings.Footnote, m.Checkpoint, m.Language = footnote, note, "pt-BR"
		_, mail, _ := composed(t, a, m)
		parts, err := mail.MultipartReader().NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(parts.Body)
		if err != nil {
			t.Fatal(err)
		}
		whole, _ := audit.SplitNotes(string(text))
		if len(whole) != 1 || whole[0] != note || !strings.Contains(string(text), "Guarde este e-mail") {
			t.Errorf("footnote %t: the text ends in %q", footnote, text)
		}
		if _, markup := bodies(a, m); !strings.Contains(markup, "<pre>"+audit.Origin+"\n44\n") || !strings.HasSuffix(markup, "</pre>\n</body></html>") {
			t.Errorf("footnote %t: the page is %s", footnote, markup)
		}
	}
}

func TestNoHeaderCanBeInjected(t *testing.T) {
	for _, end := range []string{"\r\nBcc: eve@example.com", "\nBcc: eve@example.com", "\rX: y", "\x00", "\xff"} {
		for field, set := range map[string]func(*notificationv1.SmtpAccount, *message.Message){
			"id":           func(_ *notificationv1.SmtpAccount, m *message.Message) { m.ID += end },
			"host":         func(_ *notificationv1.SmtpAccount, m *message.Message) { m.Host += end },
			"to":           func(_ *notificationv1.SmtpAccount, m *message.Message) { m.To += end },
			"name":         func(_ *notificationv1.SmtpAccount, m *message.Message) { m.Name += end },
			"subject":      func(_ *notificationv1.SmtpAccount, m *message.Message) { m.Subject += end },
			"language":     func(_ *notificationv1.SmtpAccount, m *message.Message) { m.Language += end },
			"reply-to":     func(_ *notificationv1.SmtpAccount, m *message.Message) { m.ReplyTo = "a@b.c" + end },
			"return path":  func(_ *notificationv1.SmtpAccount, m *message.Message) { m.ReturnPath = "a@b.c" + end },
			"confirmation": func(_ *notificationv1.SmtpAccount, m *message.Message) { m.Confirmation = "a@b.c" + end },
			"sender":       func(s *notificationv1.SmtpAccount, _ *message.Message) { s.Sender = "x" + end + s.Sender },
			"its reply-to": func(s *notificationv1.SmtpAccount, _ *message.Message) { s.ReplyTo += end },
			"its path":     func(s *notificationv1.SmtpAccount, _ *message.Message) { s.ReturnPath += end },
		} {
			a, m := testAccount(), testMessage()
			set(a.Settings, m)
			if _, _, raw, err := Compose(a, m); err == nil {
				t.Errorf("%s with %q becomes a mail:\n%s", field, end, raw)
			}
		}
	}
}

func FuzzAMailsTextsStayWhereTheyBelong(f *testing.F) {
	f.Add("subject", "name", "body", "<p>html</p>")
	f.Add("  two  spaces "+strings.Repeat("word ", 30)+" ", " ", "", "")
	f.Add("=?utf-8?q?=0D=0ABcc:_x?=", `"\`, ".\r\n.\r\n", "--=_"+testID+"--")
	f.Add(strings.Repeat("long ", 300), "ã", "\x00\r\r\n", "")
	f.Fuzz(func(t *testing.T, subject, name, body, html string) {
		m := testMessage()
		m.Subject, m.Name, m.Body, m.HTML = subject, name, body, html
		_, _, raw, err := Compose(testAccount(), m)
		if err != nil {
			return
		}
		e, err := gomessage.Read(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		for fields := e.Header.Fields(); fields.Next(); {
			switch fields.Key() {
			case "Auto-Submitted", "Content-Language", "Content-Transfer-Encoding", "Content-Type", "Date",
				"Disposition-Notification-To", "From", "Message-Id", "Mime-Version", "Reply-To", "Subject", "To",
				"X-Auto-Response-Suppress", "X-Mailer", "X-Portcullis-Delivery":
			default:
				t.Fatalf("%q: %q", fields.Key(), fields.Value())
			}
		}
		head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
		for _, line := range strings.Split(head, "\r\n") {
			if len(line) > 998 || strings.TrimSpace(line) == "" {
				t.Fatalf("a header line %q", line)
			}
		}
		if back, err := e.Header.Text("Subject"); err != nil || !strings.Contains(subject, "=?") && back != strings.TrimSpace(clip(subject, maxSubject)) {
			t.Fatalf("%q comes as %q, %v", subject, back, err)
		}
		parts := 0
		if err := e.Walk(func([]int, *gomessage.Entity, error) error { parts++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 3}[html == ""]; parts != want {
			t.Fatalf("%d parts in\n%s", parts, raw)
		}
	})
}
