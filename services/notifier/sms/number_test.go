package sms_test

import (
	"testing"

	"portcullis.dev/services/notifier/sms"
)

func TestNumbersBecomeE164(t *testing.T) {
	for _, c := range []struct{ text, region, want string }{
		{"(11) 98765-4321", "BR", "+5511987654321"}, {"11987654321", "br", "+5511987654321"}, {"011 98765 4321", "BR", "+5511987654321"},
		{"+55 11 98765-4321", "", "+5511987654321"}, {"+5511987654321", "US", "+5511987654321"}, {" +55 (11) 98765.4321 ", "", "+5511987654321"},
		{"00 55 11 98765 4321", "PT", "+5511987654321"}, {"912 345 678", "PT", "+351912345678"}, {"07911 123456", "GB", "+447911123456"},
		{"+1 415 867 5309", "", "+14158675309"}, {"98765–4321", "", ""},
	} {
		got, err := sms.Number(c.text, c.region)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q in %q: %q, %v", c.text, c.region, got, err)
		}
	}
}

func TestWhatIsNoMobileNumberIsRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "11", "abc", "(11) 3456-7890", "0800 123 4567", "+5511987654321 abc", "+5511987654321;ext=5", "tel:+5511987654321", "1-800-FLOWERS",
		"+55 11 8765-4321", "+999123456789", "+", "+5511987654321\r\nX: y", "+5511987654321,+5511987654322", "１１９８７６５４３２１\x00",
	} {
		if got, err := sms.Number(text, "BR"); err == nil || got != "" {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"+5511987654321", "(11) 98765-4321", "0800", "+1 (415) 867-5309", "++1", "00", "+39 06 1234"} {
		f.Add(seed, "BR")
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		got, err := sms.Number(text, region)
		if err != nil {
			return
		}
		if again, err := sms.Number(got, ""); err != nil || again != got {
			t.Errorf("%q in %q became %q, and that %q, %v", text, region, got, again, err)
		}
	})
}
