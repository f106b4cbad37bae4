package text_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/pkg/emergency"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s has changed; if it is meant, go test -update:\n%s", name, diff)
	}
}

func rendered(t *testing.T, template *notificationv1.Template, facts map[string]string) text.Rendered {
	t.Helper()
	r, err := text.Render(template, facts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func example(t *testing.T, typeName, language string) text.Rendered {
	t.Helper()
	return rendered(t, text.BuiltIn(typeName, language), text.Example(typeName, emergency.Texts{}, language))
}

func emergencies() []string {
	var names []string
	for _, one := range text.Types() {
		if one.OfEmergency() {
			names = append(names, one.Name)
		}
	}
	return names
}

func TestWhatPeopleReadInTheirLanguage(t *testing.T) {
	for _, language := range text.Languages() {
		for _, name := range append(emergencies(), "certificate.expiring", "request.denied") {
			r := example(t, name, language)
			golden(t, language+"/"+name+".txt", r.Subject+"\n\n"+r.Body+"\n"+r.Short+"\n")
			golden(t, language+"/"+name+".html", r.HTML)
		}
	}
}

func TestEveryTypeHasItsTextsInBothLanguages(t *testing.T) {
	for _, one := range text.Types() {
		for _, language := range text.Languages() {
			template := text.BuiltIn(one.Name, language)
			if err := text.Check(template); err != nil {
				t.Errorf("%s in %s: %v", one.Name, language, err)
				continue
			}
			if one.Description(language) == "" || one.Category.Name(language) == "" {
				t.Errorf("%s is not described in %s", one.Name, language)
			}
			r := example(t, one.Name, language)
			if text := r.Subject + r.Body + r.Short; strings.ContainsAny(text, "{}%") && !strings.Contains(text, "97 %") || strings.Contains(text, "  ") || strings.Contains(r.Body, ": \n") {
				t.Errorf("%s in %s says\n%s", one.Name, language, text)
			}
			if template.GetLanguage() != language || !strings.HasSuffix(r.Body, "\n") || strings.Contains(r.Body, "\n\n\n") {
				t.Errorf("%s in %s: %q", one.Name, language, r.Body)
			}
		}
		if text.BuiltIn(one.Name, "en").GetBody() == text.BuiltIn(one.Name, "pt-BR").GetBody() || one.Description("en") == one.Description("pt-BR") {
			t.Errorf("%s says the same in both languages", one.Name)
		}
	}
	if text.BuiltIn("gardening", "en") != nil {
		t.Error("there is a text of a type that there isn't")
	}
}

func TestAnEmergencyTellsWhoWhyUntilWhenAndByWhichTicket(t *testing.T) {
	for _, language := range text.Languages() {
		for _, name := range emergencies() {
			facts := text.Example(name, emergency.Texts{}, language)
			r := example(t, name, language)
			for _, fact := range []string{"actor", "justification", "ticket", "until", "ended", "id"} {
				if value := facts[fact]; value != "" && !strings.Contains(r.Body, value) && (fact != "until" || facts["ended"] == "") {
					t.Errorf("the body of %s in %s doesn't say %s, %q", name, language, fact, value)
				}
			}
			for _, fact := range []string{"actor", "justification"} {
				if value := facts[fact]; !strings.Contains(r.Short, value) && name != "emergency.attempt.refused" {
					t.Errorf("the short text of %s in %s doesn't say %s, %q: %s", name, language, fact, value, r.Short)
				}
			}
		}
		for _, name := range []string{"emergency.freeze.started", "emergency.lockdown.started"} {
			r, until := example(t, name, language), text.Example(name, emergency.Texts{}, language)["until"]
			if !strings.Contains(r.Short, until) || !strings.Contains(r.Subject, until) {
				t.Errorf("%s in %s doesn't say until when: %s / %s", name, language, r.Subject, r.Short)
			}
		}
	}
}

func TestAnExampleHasOnlyFactsOfItsType(t *testing.T) {
	for _, one := range text.Types() {
		for _, language := range text.Languages() {
			facts := text.Example(one.Name, emergency.Texts{Product: "Acme Gate", Zone: time.FixedZone("", -3*3600)}, language)
			for name, value := range facts {
				if !slices.Contains(one.Facts(), name) || value == "" {
					t.Errorf("the example of %s has %s = %q", one.Name, name, value)
				}
			}
			if facts["product"] != "Acme Gate" || !strings.HasSuffix(facts["time"], "17:30 UTC-03") {
				t.Errorf("product and zone aren't those of the configuration: %v", facts)
			}
		}
	}
	if got := text.Example("gardening", emergency.Texts{}, "en"); len(got) != 0 {
		t.Errorf("a type that there isn't has %v", got)
	}
}

// gsm is the number of septets that a text takes, -1 if it has other characters once its accents are folded,
// as an SMS has them by default.
func gsm(s string) int {
	const basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	folded := strings.NewReplacer("ã", "a", "á", "a", "â", "a", "ç", "c", "ê", "e", "í", "i", "ó", "o", "ô", "o", "õ", "o", "ú", "u").Replace(s)
	n := 0
	for _, r := range folded {
		switch {
		case strings.ContainsRune(basic, r):
			n++
		case strings.ContainsRune("^{}\\[~]|€", r):
			n += 2
		default:
			return -1
		}
	}
	return n
}

func TestTheShortTextOfAnEmergencyFitsTwoSMS(t *testing.T) {
	const two = 2 * 153
	for _, name := range emergencies() {
		for _, language := range text.Languages() {
			if n := gsm(example(t, name, language).Short); n < 0 || n > two {
				t.Errorf("%s in %s takes %d septets", name, language, n)
			}
			facts := text.Example(name, emergency.Texts{}, language)
			for _, long := range []string{"actor", "justification", "ticket", "whom", "devices", "act", "action", "requester", "address"} {
				if facts[long] != "" {
					facts[long] = strings.Repeat("x", 2000)
				}
			}
			r := rendered(t, text.BuiltIn(name, language), facts)
			if n := gsm(r.Short); n < 0 || n > two {
				t.Errorf("%s in %s, with long facts, takes %d septets: %s", name, language, n, r.Short)
			}
		}
	}
}
