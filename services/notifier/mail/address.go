package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// address is one that was checked: nothing in it can end a line or open another field.
type address struct {
	name, local string
	// domain is in its ASCII form.
	domain string
}

func (a address) bare() string { return a.local + "@" + a.domain }

func (a address) header() string {
	return (&netmail.Address{Name: a.name, Address: a.bare()}).String()
}

// international says that only servers with SMTPUTF8 take it.
func (a address) international() bool { return !ascii(a.local) }

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// CheckAddress says what is wrong with a text that should be one address and nothing else. Letters outside ASCII are
// taken; before the @ they need a server that has SMTPUTF8, which shows when it is sent to.
func CheckAddress(text string) error {
	_, err := bareAddress(text)
	return err
}

// CheckSender is CheckAddress for an address that may have a display name: `"Portcullis, Inc." <brake@example.com>`.
func CheckSender(text string) error {
	_, err := namedAddress(text)
	return err
}

func namedAddress(text string) (address, error) {
	if err := checkLine("the address", text); err != nil {
		return address{}, err
	}
	if !strings.ContainsAny(text, "<>") {
		return bareAddress(text)
	}
	parsed, err := netmail.ParseAddress(text)
	if err != nil {
		return address{}, fmt.Errorf("%s is no address with a display name; write it as \"Name\" <name@example.com>", shown(text))
	}
	if err := checkLine("the display name", parsed.Name); err != nil {
		return address{}, err
	}
	a, err := bareAddress(parsed.Address)
	a.name = parsed.Name
	return a, err
}

func bareAddress(text string) (address, error) {
	if err := checkLine("the address", text); err != nil {
		return address{}, err
	}
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 {
		return address{}, fmt.Errorf("%s is no e-mail address; one looks like name@example.com", shown(text))
	}
	local := text[:at]
	if len(local) > maxLocal {
		return address{}, fmt.Errorf("%s has more than %d bytes before the @, which no server takes", shown(text), maxLocal)
	}
	if !dotAtom(local) {
		return address{}, fmt.Errorf("%s has characters before the @ that no address needs; "+
			"letters, digits, single dots and !#$%%&'*+-/=?^_`{|}~ are taken", shown(text))
	}
	domain, err := idna.Lookup.ToASCII(text[at+1:])
	if err != nil || domain == "" || len(domain) > 253 || !dotAtom(domain) {
		return address{}, fmt.Errorf("%s has no valid domain behind the @", shown(text))
	}
	return address{local: local, domain: domain}, nil
}

func dotAtom(local string) bool {
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	return !strings.ContainsFunc(local, func(r rune) bool {
		return !unicode.IsPrint(r) || strings.ContainsRune(" ()<>[]:;,\\\"@", r)
	})
}

// checkLine refuses what would end a header line or a command.
func checkLine(what, text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s holds a line break or another control character; take it out", what)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not valid UTF-8; write it anew", what)
	}
	return nil
}

func shown(text string) string { return fmt.Sprintf("%q", clip(text, 80)) }

// clip keeps the first runes of a text.
func clip(text string, runes int) string {
	n := 0
	for i := range text {
		if n == runes {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
