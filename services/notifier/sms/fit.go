package sms

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// most is how many SMS one message takes at most.
	most = 6
	// longest is how many characters of a text are looked at: more than any six SMS hold.
	longest = 4000
)

// alphabet is how characters are put into SMS: how many places one of them has, alone and as a part of several.
type alphabet struct {
	alone, part int
	ellipsis    string
	places      func(rune) int
}

func gsm() alphabet { return alphabet{160, 153, "...", gsmPlaces} }

func ucs2() alphabet {
	return alphabet{70, 67, "…", func(r rune) int { return max(utf16.RuneLen(r), 1) }}
}

// Fit answers a text as it is sent, and how many SMS it takes: none if nothing is left of it, and six at most, the
// last of which then ends in dots. Without keepAccents it is written with the alphabet of GSM, as far as that has
// anything like its characters: 160 to an SMS, or 153 where there are several. Other scripts make it 70, or 67.
func Fit(text string, keepAccents bool) (sent string, segments int) {
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest])
	}
	text = seen(text)
	if !keepAccents {
		if folded, ok := fold(text); ok {
			text = strings.TrimSpace(folded)
		}
	}
	if isGSM(text) {
		return gsm().fit(text)
	}
	return ucs2().fit(text)
}

// seen is a text without what nobody sees: control characters but line breaks, and those that turn its direction.
func seen(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\r':
			return '\n'
		case r != '\n' && unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text))
}

func (a alphabet) fit(text string) (string, int) {
	if n := a.segments(text); n <= most {
		return text, n
	}
	end, s := 0, segment{1, 0}
	for at, r := range text {
		if s.n > most {
			break
		}
		if a.dotted(s).n <= most && !joined(text, at) {
			end = at
		}
		s = a.add(s, r)
	}
	short := strings.TrimSpace(text[:end]) + a.ellipsis
	return short, a.segments(short)
}

// segment is the number of an SMS, and how many of its places are taken.
type segment struct{ n, used int }

// add puts a character into this SMS or the next: none is split between two.
func (a alphabet) add(s segment, r rune) segment {
	places := a.places(r)
	if s.used+places > a.part {
		return segment{s.n + 1, places}
	}
	return segment{s.n, s.used + places}
}

func (a alphabet) dotted(s segment) segment {
	for _, r := range a.ellipsis {
		s = a.add(s, r)
	}
	return s
}

// joined tells whether a cut there would be inside of what is seen as one character.
func joined(text string, at int) bool {
	const joiner = '\u200d'
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return before == joiner || after == joiner || unicode.Is(unicode.M, after)
}

// segments counts SMS.
func (a alphabet) segments(text string) int {
	total, s := 0, segment{1, 0}
	for _, r := range text {
		total += a.places(r)
		s = a.add(s, r)
	}
	if total <= a.alone {
		return min(total, 1)
	}
	return s.n
}
