package sms

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The default alphabet of GSM 03.38 without its carriage return and escape, and its extension, whose characters take
// two places.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "^{}\\[~]|€"
)

// gsmPlaces is how many places of an SMS a character takes; 0: it isn't in the alphabet.
func gsmPlaces(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	}
	return 0
}

func isGSM(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return gsmPlaces(r) == 0 })
}

// fold writes a text with the alphabet of GSM; false: it has characters of which nothing there is like.
func fold(text string) (string, bool) {
	var out strings.Builder
	for _, r := range norm.NFC.String(text) {
		near, ok := near(r)
		if !ok {
			return "", false
		}
		out.WriteString(near)
	}
	return out.String(), true
}

// near is what stands for a character: itself, what people write in its place, or its letters without their marks.
func near(r rune) (string, bool) {
	if gsmPlaces(r) > 0 {
		return string(r), true
	}
	if text, ok := instead(r); ok {
		return text, true
	}
	var out strings.Builder
	for _, part := range norm.NFKD.String(string(r)) {
		text, ok := instead(part)
		switch {
		case ok:
			out.WriteString(text)
		case gsmPlaces(part) > 0:
			out.WriteRune(part)
		case !unicode.Is(unicode.Mn, part) && !unicode.Is(unicode.Me, part) && !unicode.Is(unicode.Cf, part):
			return "", false
		}
	}
	return out.String(), true
}

// instead are the characters that Unicode doesn't take apart the way people would.
func instead(r rune) (string, bool) {
	switch r {
	case '“', '”', '„', '‟', '«', '»', '″', '〝', '〞':
		return `"`, true
	case '‘', '’', '‚', '‛', '‹', '›', '′', '`', '´', 'ʹ', 'ʼ', 'ˈ':
		return "'", true
	case '‐', '‑', '‒', '–', '—', '―', '−', '⁃':
		return "-", true
	case '•', '·', '∙', '‧', '●', '▪', '◦':
		return "*", true
	case '→', '⇒', '➜':
		return "->", true
	case '←', '⇐':
		return "<-", true
	case '…':
		return "...", true
	case '⁄', '∕', '÷':
		return "/", true
	case '×', '✕', '✖':
		return "x", true
	case '±':
		return "+-", true
	case '≤':
		return "<=", true
	case '≥':
		return ">=", true
	case '≠':
		return "!=", true
	case '¦':
		return "|", true
	case '©':
		return "(c)", true
	case '®':
		return "(r)", true
	case '°', 'º':
		return "o", true
	case '¢':
		return "c", true
	case 'µ', 'μ':
		return "u", true
	case '\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff':
		return "", true
	case '\u2028', '\u2029':
		return "\n", true
	}
	return insteadOfLetter(r)
}

func insteadOfLetter(r rune) (string, bool) {
	switch r {
	case 'Œ':
		return "OE", true
	case 'œ':
		return "oe", true
	case 'ẞ':
		return "SS", true
	case 'Ł':
		return "L", true
	case 'ł':
		return "l", true
	case 'Đ', 'Ð':
		return "D", true
	case 'đ', 'ð':
		return "d", true
	case 'Þ':
		return "Th", true
	case 'þ':
		return "th", true
	case 'Ħ':
		return "H", true
	case 'ħ':
		return "h", true
	case 'Ŧ':
		return "T", true
	case 'ŧ':
		return "t", true
	case 'ı':
		return "i", true
	case 'Ŋ':
		return "N", true
	case 'ŋ':
		return "n", true
	}
	return "", false
}
