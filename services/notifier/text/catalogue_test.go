package text_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

func TestTheCategoriesAreThoseOfTheRequirements(t *testing.T) {
	want := []string{"Emergency panel", "Access requests", "Access behaviour", "Workstation alerts", "Certificate expiration", "Remote sessions", "Password operations",
		"Password backup", "Command audit", "Device connectivity", "Protected information", "Credential operations", "Monitoring"}
	var got []string
	for _, c := range text.Categories() {
		got = append(got, c.English)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryTypeIsFoundByItsOwnName(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z]+(\.[a-z]+){1,2}$`)
	seen, perCategory := map[string]bool{}, map[string]int{}
	for _, one := range text.Types() {
		found, ok := text.TypeNamed(one.Name)
		if diff := cmp.Diff(one.Facts(), found.Facts()); !ok || found.Name != one.Name || diff != "" {
			t.Errorf("%s is not found: %v %s", one.Name, found, diff)
		}
		if !shape.MatchString(one.Name) || seen[one.Name] {
			t.Errorf("%s is misnamed, or there twice", one.Name)
		}
		if facts := slices.Sorted(slices.Values(one.Facts())); len(slices.Compact(facts)) != len(one.Facts()) {
			t.Errorf("%s has a fact twice: %v", one.Name, one.Facts())
		}
		seen[one.Name] = true
		perCategory[one.Category.English]++
	}
	for category, n := range perCategory {
		if category != text.EmergencyPanel && (n < 3 || n > 6) {
			t.Errorf("%s has %d types", category, n)
		}
	}
	if _, ok := text.TypeNamed("gardening"); ok {
		t.Error("there is gardening")
	}
}

func TestACategoryIsFoundByItsNameInBothLanguagesInAnyCase(t *testing.T) {
	for pattern, want := range map[string][]string{
		"Emergency panel": {"Emergency panel"}, "emergency PANEL": {"Emergency panel"}, " Painel de Emergência ": {"Emergency panel"},
		"emerg*": {"Emergency panel"}, "*emergência": {"Emergency panel"}, "pass*op*": {"Password operations"}, "*senha*": {"Password operations", "Password backup"},
		"sess*rem*tas": {"Remote sessions"}, "Emergency": nil, "panel": nil, "": nil, "monitor": nil, "monitoring*": {"Monitoring"}, "moni*moni*": nil, "aa*a": nil,
	} {
		var got []string
		for _, c := range text.Categories() {
			if c.Matches(pattern) {
				got = append(got, c.English)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", pattern, diff)
		}
	}
	all := 0
	for _, c := range text.Categories() {
		if c.Matches("*") {
			all++
		}
	}
	if all != len(text.Categories()) {
		t.Errorf("* finds %d", all)
	}
}

func TestTheElevenCategoriesGoBySMSAsWellAndAccessRequestsByEmailAndScreenOnly(t *testing.T) {
	for _, one := range text.Types() {
		methods := one.Methods()
		switch one.Category.English {
		case "Access requests":
			if diff := cmp.Diff([]notificationv1.Method{notificationv1.Method_EMAIL, notificationv1.Method_SCREEN}, methods); diff != "" {
				t.Errorf("%s:\n%s", one.Name, diff)
			}
		default:
			if len(methods) != len(notificationv1.Method_name)-1 || !slices.Contains(methods, notificationv1.Method_SMS) {
				t.Errorf("%s goes by %v", one.Name, methods)
			}
		}
	}
}

func TestWhoeverReadsNeitherLanguageReadsEnglish(t *testing.T) {
	for tag, want := range map[string]string{"": "en", "en": "en", "en-GB": "en", "de": "en", "pt": "pt-BR", "pt-BR": "pt-BR", "PT-br": "pt-BR", "pt-PT": "pt-BR", "ptx": "en"} {
		if got := text.LanguageOf(tag); got != want {
			t.Errorf("%q is written to in %s, not %s", tag, got, want)
		}
	}
}
