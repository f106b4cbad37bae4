package hook

import (
	"strings"
	"time"
	"unicode"

	"portcullis.dev/services/notifier/message"
)

// plain is a text with its line breaks, and without what is not seen but changes how the rest is read.
func plain(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r != '\n' && unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text))
}

// title is what a message is about, on one line.
func title(m *message.Message) string {
	return strings.Join(strings.Fields(plain(m.Subject)), " ")
}

// said is what a message says to a chat.
func said(m *message.Message) string {
	if text := plain(m.Short); text != "" {
		return text
	}
	return plain(m.Body)
}

// origin is the small print below a message.
func origin(product string, m *message.Message, at time.Time) string {
	return strings.Join([]string{product, typeOf(m), at.Format("2006-01-02 15:04:05 UTC")}, " · ")
}

// cut keeps as many characters of a text as fit into a limit, each as wide as width says.
func cut(text string, limit int, width func(rune) int) string {
	used, fits := 0, 0
	for at, r := range text {
		if used+1 <= limit {
			fits = at
		}
		if used += width(r); used > limit {
			return strings.TrimSpace(text[:fits]) + "…"
		}
	}
	return text
}

func one(rune) int { return 1 }
