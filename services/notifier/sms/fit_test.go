package sms

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTheAlphabetIsThatOfGSM(t *testing.T) {
	if n := utf8.RuneCountInString(gsmBasic); n != 126 { // 128 without carriage return and escape
		t.Errorf("the basic alphabet has %d characters", n)
	}
	if n := utf8.RuneCountInString(gsmExtension); n != 9 {
		t.Errorf("the extension has %d characters", n)
	}
	for _, r := range gsmBasic + gsmExtension {
		if strings.Count(gsmBasic+gsmExtension, string(r)) != 1 {
			t.Errorf("%q stands there twice", r)
		}
	}
}

func TestAccentsAreFoldedAsFarAsGSMHasNone(t *testing.T) {
	for text, want := range map[string]string{
		"Ação não concluída: “lockdown” até às 23h — fim…":      `Acao nao concluida: "lockdown" até às 23h - fim...`,
		"São João, coração, pêssego, Ângela, vovô, ô, Ç ç":      "Sao Joao, coracao, pessego, Angela, vovo, o, Ç c",
		"é è à ù ì ò Å å Ä Ö Ñ Ü ä ö ñ ü ß Æ æ Ø ø É £ ¥ § ¡ ¿": "é è à ù ì ò Å å Ä Ö Ñ Ü ä ö ñ ü ß Æ æ Ø ø É £ ¥ § ¡ ¿",
		"e\u0301 a\u0303 m\u0303":               "é a m",
		"1º 2ª 20°C ½ ² ™ ﬁ Ａ № € ^{}[]~|\\":    "1o 2a 20oC 1/2 2 TM fi A No € ^{}[]~|\\",
		"a\u00a0b\tc\r\nd\re\x00\x1b[31m\u202e": "a b c\nd\ne[31m",
		"‘a’ `b` « c » → d ← x × y ± z ≤ ≥ ≠":   `'a' 'b' " c " -> d <- x x y +- z <= >= !=`,
		"Łódź Đorđe Œuvre Þór Šárka İı Ğ":       "Lodz Dorde OEuvre Thor Sarka Ii G",
		"1\ufe0f\u20e3": "1",
		"\xff\xfe":      "?",
	} {
		if got, n := Fit(text, false); got != want || n != 1 {
			t.Errorf("%q became %q, %d", text, got, n)
		}
	}
}

func TestOtherScriptsAndWhatIsKeptStayAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		text string
		keep bool
	}{{"Замок закрыт", false}, {"封鎖が始まりました", false}, {"Não há acesso 🔒", false}, {"Não há acesso", true}, {"“é”", true}, {"नमस्ते", false}} {
		if got, n := Fit(c.text, c.keep); got != c.text || n != 1 {
			t.Errorf("%q became %q, %d", c.text, got, n)
		}
	}
}

func TestSMSAreCountedAsNetworksDo(t *testing.T) {
	a, e, u, s := "a", "€", "ж", "😀"
	for _, c := range []struct {
		one  string
		n    int
		want int
	}{
		{a, 0, 0}, {a, 1, 1}, {a, 160, 1}, {a, 161, 2}, {a, 306, 2}, {a, 307, 3}, {a, 918, 6},
		{e, 80, 1}, {e, 81, 2}, {e, 152, 2}, {e, 153, 3}, // 76 to a part, for none is split: 152 of 153 places
		{u, 70, 1}, {u, 71, 2}, {u, 134, 2}, {u, 135, 3}, {u, 402, 6},
		{s, 35, 1}, {s, 36, 2}, {s, 66, 2}, {s, 67, 3}, // 33 to a part
	} {
		text := strings.Repeat(c.one, c.n)
		if got, n := Fit(text, false); n != c.want || got != text {
			t.Errorf("%d of %q are %d SMS, want %d", c.n, c.one, n, c.want)
		}
	}
}

func TestWhatIsTooLongEndsInDotsAfterSixSMS(t *testing.T) {
	got, n := Fit(strings.Repeat("a", 919), false)
	if n != 6 || got != strings.Repeat("a", 915)+"..." {
		t.Errorf("%d, %d characters", n, len(got))
	}
	got, n = Fit(strings.Repeat("ж", 403), false)
	if n != 6 || got != strings.Repeat("ж", 401)+"…" {
		t.Errorf("%d, %d characters", n, utf8.RuneCountInString(got))
	}
	family := "👩\u200d👩\u200d👧" // 8 places; it is not cut apart
	got, n = Fit(strings.Repeat(family, 100), false)
	if n > 6 || strings.Repeat(family, strings.Count(got, family))+"…" != got {
		t.Errorf("%d, %q", n, got)
	}
}

// count is a model: it fills one SMS after the other with whole characters.
func count(text string) int {
	places, sum, gsm := []int(nil), 0, isGSM(text)
	for _, r := range text {
		size := len(utf16.Encode([]rune{r}))
		if gsm {
			size = 1 + strings.Count(gsmExtension, string(r))
		}
		places, sum = append(places, size), sum+size
	}
	whole, part := 70, 67
	if gsm {
		whole, part = 160, 153
	}
	if sum <= whole {
		return min(sum, 1)
	}
	n := 0
	for ; len(places) > 0; n++ {
		for room := part; len(places) > 0 && places[0] <= room; places = places[1:] {
			room -= places[0]
		}
	}
	return n
}

func TestWhateverIsSaidFitsAndIsCountedRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringN(0, 1200, -1), rapid.StringMatching(`[a-zãé€{}\n "“]{0,1000}`), rapid.StringMatching(`[a-zа-я😀\x{200d}\x{301}]{0,600}`),
		).Draw(t, "text")
		checkFit(t, text, rapid.Bool().Draw(t, "keep"))
	})
}

func checkFit(t interface{ Fatalf(string, ...any) }, text string, keep bool) {
	got, n := Fit(text, keep)
	if n != count(got) || n > most || (n == 0) != (got == "") {
		t.Fatalf("%q became %q: %d SMS, want %d", text, got, n, count(got))
	}
	if !utf8.ValidString(got) || strings.TrimSpace(got) != got || strings.ContainsAny(got, "\x00\x1b\r\u202e") {
		t.Fatalf("%q became %q", text, got)
	}
	if again, m := Fit(got, true); again != got || m != n {
		t.Fatalf("%q became %q, and that %q", text, got, again)
	}
	if !keep && isGSM(seen(text)) && n < most && got != seen(text) {
		t.Fatalf("%q became %q without need", text, got)
	}
}

func FuzzFit(f *testing.F) {
	for _, seed := range []string{"Não", strings.Repeat("€", 500), strings.Repeat("😀\u200d", 300), "\xff\r\n\t", "１ﬁ½", strings.Repeat("a\u0301", 900)} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, keep bool) { checkFit(t, text, keep) })
}
