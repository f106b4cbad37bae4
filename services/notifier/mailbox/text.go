package mailbox

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// maxTextBytes holds maxText runes, and the spaces that are left out between them.
const maxTextBytes = 1 << 15

// plainText is the beginning of a text part. What can't be decoded is left out.
func plainText(r io.Reader) string {
	raw, _ := io.ReadAll(io.LimitReader(r, maxTextBytes))
	return clean(string(raw))
}

// markupText is the beginning of what a page of HTML says.
func markupText(r io.Reader) string {
	page := html.NewTokenizer(io.LimitReader(r, 8*maxTextBytes))
	page.SetMaxBuf(maxTextBytes)
	var text strings.Builder
	for hidden := ""; text.Len() < maxTextBytes; {
		kind := page.Next()
		if kind == html.ErrorToken {
			break
		}
		tag := ""
		if kind == html.StartTagToken || kind == html.EndTagToken || kind == html.SelfClosingTagToken {
			name, _ := page.TagName()
			tag = string(name)
		}
		switch {
		case kind == html.TextToken && hidden == "":
			text.WriteString(strings.Join(strings.Fields(string(page.Text())), " "))
			text.WriteByte(' ')
		case kind == html.StartTagToken && hidden == "" && (tag == "script" || tag == "style" || tag == "title"):
			hidden = tag
		case kind == html.EndTagToken && tag == hidden:
			hidden = ""
		}
		if hidden == "" && block(tag) {
			text.WriteByte('\n')
		}
	}
	return clean(text.String())
}

func block(tag string) bool {
	switch tag {
	case "br", "p", "div", "li", "tr", "blockquote", "h1", "h2", "h3":
		return true
	}
	return false
}

// clean keeps what can be shown, without empty lines in a row, cut where it gets long.
func clean(text string) string {
	var kept []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, "\uFFFD"), "\n") {
		line = strings.TrimRightFunc(visible(line), unicode.IsSpace)
		if line != "" || len(kept) > 0 && kept[len(kept)-1] != "" {
			kept = append(kept, line)
		}
	}
	return clipRunes(strings.TrimSpace(strings.Join(kept, "\n")), maxText)
}

// oneLine makes a header's value fit to be shown.
func oneLine(text string, runes int) string {
	return clipRunes(strings.Join(strings.Fields(visible(strings.ToValidUTF8(text, "\uFFFD"))), " "), runes)
}

func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}

func clipRunes(text string, runes int) string {
	if utf8.RuneCountInString(text) <= runes {
		return text
	}
	return string([]rune(text)[:runes-1]) + "…"
}

func clipBytes(text string, bytes int) string { return text[:min(len(text), bytes)] }
