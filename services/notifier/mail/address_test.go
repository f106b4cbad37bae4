package mail

import (
	netmail "net/mail"
	"strings"
	"testing"
)

func TestAnAddressIsOneAddressAndNothingElse(t *testing.T) {
	for _, good := range []string{
		"ana@example.com", "a.b+c@example.com", "müller@example.com", "ana@bücher.example", "root@localhost", "o'neil@x.io",
	} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ana", "@example.com", "ana@", "ana@example.com\r\nBcc: eve@example.com", "ana\n@example.com",
		"ana@example.com\x00", "Ana <ana@example.com>", "ana@example.com, eve@example.com", "a b@example.com",
		`"a b"@example.com`, "a@b@example.com", "<ana@example.com>", "ana@exam ple.com", "ana@-x.com", ".ana@x.com",
		"a..b@x.com", strings.Repeat("a", 65) + "@x.com", "ana@" + strings.Repeat("a.", 130) + "com", "ana@x.com\u2028",
		"ana@\xff.com", "ana@[127.0.0.1]", "ana@x_y.com", "a\u200bna\u2029@x.com", "ana@.", "ana@x.com.",
	} {
		if err := CheckAddress(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestASenderMayHaveADisplayNameWithQuotesAndUTF8(t *testing.T) {
	for text, want := range map[string]string{
		`"Portcullis, \"the brake\"" <brake@example.com>`: `"Portcullis, \"the brake\"" <brake@example.com>`,
		"Operações de TI <ti@example.com>":                "=?utf-8?q?Opera=C3=A7=C3=B5es_de_TI?= <ti@example.com>",
		"brake@example.com":                               "<brake@example.com>",
		"=?utf-8?q?Opera=C3=A7=C3=B5es?= <t@example.com>": "=?utf-8?q?Opera=C3=A7=C3=B5es?= <t@example.com>",
	} {
		a, err := namedAddress(text)
		if err != nil || a.header() != want {
			t.Errorf("%q: got %q, %v; want %q", text, a.header(), err, want)
		}
	}
	for _, bad := range []string{
		"Eve\r\nBcc: x@x.com <eve@example.com>", "=?utf-8?q?Eve=0D=0ABcc:_x?= <eve@example.com>", "Eve <eve@>",
		"Eve <eve@example.com", "Eve, Ana <eve@example.com>", "=?utf-8?q?=00?= <eve@example.com>",
	} {
		if err := CheckSender(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzNoAddressEndsALine(f *testing.F) {
	for _, seed := range []string{"ana@example.com", `"A" <a@b.c>`, "=?utf-8?q?=0D=0A?= <a@b.c>", "ü@ü.de", "\x00@x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := namedAddress(text)
		if err != nil {
			return
		}
		for _, line := range []string{a.header(), a.bare(), a.tokened("abcdefghijklmnopqrstuvwx").header()} {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("%q becomes %q", text, line)
			}
			if strings.Contains(line, "<") {
				if back, err := netmail.ParseAddress(line); err != nil || !strings.Contains(line, back.Address) {
					t.Fatalf("%q becomes %q, which reads as %v, %v", text, line, back, err)
				}
			}
		}
	})
}

func TestTheTokenOfAReturnPathIsReadBack(t *testing.T) {
	const id = "abcdefghijklmnopqrstuvwx"
	a, err := bareAddress("bounces@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		a.tokened(id).bare():                              id,
		"<" + strings.ToUpper(a.tokened(id).bare()) + ">": id,
		"a+b+" + id + "@example.com":                      id,
		"bounces@example.com":                             "",
		"bounces+short@example.com":                       "",
		"+" + id + "@example.com":                         "",
		"bounces+ABCDEFGHIJKLMNOPQRSTUVW1@example.com":    "",
	} {
		if got := TokenOf(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	long := address{local: strings.Repeat("a", 40), domain: "example.com"}
	if long.tokened(id) != long {
		t.Error("a return path grows longer than servers take")
	}
}
