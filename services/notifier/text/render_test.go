package text_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

func started(subject, body, short string) *notificationv1.Template {
	return &notificationv1.Template{Type: "emergency.freeze.started", Language: "en", Subject: subject, Body: body, Short: short}
}

func TestALineWhoseFactsAreAllMissingIsLeftOut(t *testing.T) {
	r := rendered(t, started("{{id}}{{ticket}}", "\n{{ticket}}\n\nA\n\n{{ticket}}\n\n{{ id }} {{ticket}}\nWhy: {{justification}}\nTicket: {{ticket}}\n\n", "One\n{{ticket}}\n{{id}}\nTwo!\n"), map[string]string{"id": "F-1", "justification": "x"})
	if want := "A\n\nF-1\nWhy: x\n"; r.Body != want {
		t.Errorf("%q, not %q", r.Body, want)
	}
	if want := "One. F-1. Two!"; r.Short != want || r.Subject != "F-1" {
		t.Errorf("%q, not %q; %q", r.Short, want, r.Subject)
	}
}

func TestASubjectIsOneLineOf200CharactersAndNeverEmpty(t *testing.T) {
	r := rendered(t, started("{{justification}}", "x", "x"), map[string]string{"justification": "a\r\nBcc: x@example.com\x00" + strings.Repeat("é", 300)})
	if !strings.HasPrefix(r.Subject, "a Bcc: x@example.com éé") || utf8.RuneCountInString(r.Subject) != 200 || !strings.HasSuffix(r.Subject, "é…") {
		t.Errorf("%q", r.Subject)
	}
	if r := rendered(t, started("{{justification}}", "x", "x"), nil); r.Subject != "A freeze started" {
		t.Errorf("%q", r.Subject)
	}
	noSummary := rendered(t, text.BuiltIn("certificate.expiring", "en"), nil)
	if noSummary.Subject != "A certificate expires soon" || noSummary.Body != "A certificate expires soon.\n" {
		t.Errorf("%q %q", noSummary.Subject, noSummary.Body)
	}
}

func TestAFactIsTextWhateverStandsInIt(t *testing.T) {
	hostile := "{{id}}\n\nTicket: fake</dd><script>alert(1)</script>\u202etxt.exe\u2066\u200b \U000e0041&amp;"
	r := rendered(t, started("S {{justification}}", "Why: {{justification}}\nEmergency: {{id}}", "{{justification}}"), map[string]string{"justification": hostile, "id": "F-1"})
	if want := "Why: {{id}} Ticket: fake</dd><script>alert(1)</script>txt.exe &amp;\nEmergency: F-1\n"; r.Body != want {
		t.Errorf("%q", r.Body)
	}
	if strings.Contains(r.HTML, "<script") || !strings.Contains(r.HTML, "&lt;script&gt;alert(1)&lt;/script&gt;txt.exe &amp;amp;</dd>") {
		t.Error(r.HTML)
	}
}

func TestLettersFromRightToLeftTurnNothingElseAround(t *testing.T) {
	r := rendered(t, started("S", "Why: {{justification}}\nBy {{actor}} ({{id}})", "S"), map[string]string{"justification": "שלום", "actor": "علي", "id": "F-1"})
	if !strings.Contains(r.HTML, "<bdi>שלום</bdi>") || !strings.Contains(r.HTML, "By <bdi>علي</bdi> (F-1)") {
		t.Error(r.HTML)
	}
}

func TestAFormRefusesAFactThatItsTypeLacksAndSaysWhichThereAre(t *testing.T) {
	for _, c := range []struct {
		template           *notificationv1.Template
		field, says, known string
	}{
		{started("{{untli}}", "x", "x"), "subject", "{{untli}}", "{{until}}"},
		{started("x", "a\nb {{whom}}", "x"), "body", "Line 2 of the body", "{{live}}"},
		{started("x", "x", "{{event.serial}}"), "short", "{{event.serial}}", "{{until}}"},
		{started("x", "{{until", "x"), "body", "double braces", ""},
		{started("x", "until}}", "x"), "body", "double braces", ""},
		{started("x", "{{}}", "x"), "body", "double braces", ""},
		{started("x", "{{if until}}", "x"), "body", "double braces", ""},
		{started("x", "{{{until}}}", "x"), "body", "double braces", ""},
		{started("x", "{{un\ntil}}", "x"), "body", "double braces", ""},
		{started("x\ny", "x", "x"), "subject", "one line", ""},
		{started(" ", "x", "x"), "subject", "empty", ""},
		{started("x", "", "x"), "body", "empty", ""},
		{started("x", "x", ""), "short", "empty", ""},
		{&notificationv1.Template{Type: "gardening", Language: "en"}, "type", "gardening", ""},
		{&notificationv1.Template{Type: "emergency.freeze.started", Language: "de"}, "language", "pt-BR", ""},
		{&notificationv1.Template{Type: "certificate.expiring", Language: "en", Subject: "{{until}}", Body: "x", Short: "x"}, "subject", "{{expires}}", "{{event.NAME}}"},
	} {
		err := text.Check(c.template)
		if !fault.Is(err, fault.InvalidArgument) || fault.From(err).Details["field"] != c.field || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.known) {
			t.Errorf("%v: %v", c.template, err)
		}
		if r, err := text.Render(c.template, nil); err == nil {
			t.Errorf("%v becomes %v", c.template, r)
		}
	}
	fine := &notificationv1.Template{Type: "certificate.expiring", Language: "en", Subject: "{{ certificate }} {{event.serial-number}}", Body: "{ } } { %s {id}", Short: "x"}
	if err := text.Check(fine); err != nil {
		t.Error(err)
	}
	if r := rendered(t, fine, map[string]string{"event.serial-number": "7"}); r.Subject != "7" || r.Body != "{ } } { %s {id}\n" {
		t.Errorf("%+v", r)
	}
}

func TestATextHasALimitWhateverItRepeats(t *testing.T) {
	body := strings.Repeat(strings.Repeat("{{justification}}", 40)+"\n", 14)
	r := rendered(t, started("x", body, strings.Repeat("{{justification}}", 50)), map[string]string{"justification": strings.Repeat("y ", 1000)})
	if len(r.Body) > 60_000 || utf8.RuneCountInString(r.Short) > 1000 || len(r.HTML) > 70_000 {
		t.Errorf("%d %d %d", len(r.Body), len(r.Short), len(r.HTML))
	}
}

func TestTheSameFactsMakeTheSameMail(t *testing.T) {
	for range 20 {
		if a, b := example(t, "emergency.policy.changed", "en"), example(t, "emergency.policy.changed", "en"); a != b {
			t.Fatalf("%v\n%v", a, b)
		}
	}
}

// elements are the elements that a document begins, and how often.
func elements(document string) map[string]int {
	found := map[string]int{}
	for _, tag := range regexp.MustCompile(`<[^ >]*`).FindAllString(document, -1) {
		found[tag]++
	}
	return found
}

func FuzzRender(f *testing.F) {
	f.Add("ana", "{{id}} {{until}}", "<b>\r\nBcc: x")
	f.Add("\u202eana", "a\n\nTicket: b", "}}{{")
	f.Add("", "\x00\xff", "שלום\u2067")
	f.Fuzz(func(t *testing.T, actor, justification, id string) {
		template := text.BuiltIn("emergency.freeze.started", "en")
		facts := text.Example("emergency.freeze.started", emergency.Texts{}, "en")
		calm := rendered(t, template, facts)
		facts["actor"], facts["justification"], facts["id"] = actor, justification, id
		r := rendered(t, template, facts)
		if strings.Count(r.Body, "\n") > strings.Count(calm.Body, "\n") || strings.Contains(r.Subject+r.Short, "\n") || utf8.RuneCountInString(r.Subject) > 200 || r.Subject == "" {
			t.Errorf("%q\n%q\n%q", r.Subject, r.Body, r.Short)
		}
		for _, one := range []string{r.Subject, strings.ReplaceAll(r.Body, "\n", ""), r.Short, strings.ReplaceAll(r.HTML, "\n", "")} {
			if !utf8.ValidString(one) || strings.ContainsFunc(one, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
				t.Errorf("%q", one)
			}
		}
		was, is := elements(calm.HTML), elements(r.HTML)
		delete(is, "<bdi")
		delete(is, "</bdi")
		for name, n := range is {
			if n > was[name] {
				t.Errorf("a fact has made an element %s of its own: %s", name, r.HTML)
			}
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add("{{until}}", "a {{ id }}\nb", "{{")
	f.Add("}}", "{{{{id}}}}", "{{event.x}}")
	f.Fuzz(func(t *testing.T, subject, body, short string) {
		template := started(subject, body, short)
		_, err := text.Render(template, text.Example(template.GetType(), emergency.Texts{}, "en"))
		if checked := text.Check(template); (err == nil) != (checked == nil) {
			t.Errorf("the form says %v, the mail %v", checked, err)
		}
	})
}
