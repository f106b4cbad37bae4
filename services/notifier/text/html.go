package text

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

//go:embed mail.tmpl
var mailSource string

var mail = template.Must(template.New("mail").Parse(mailSource))

// block is what stands together in a mail: a paragraph, or the facts under their labels.
type block struct {
	Lines []line
	Facts []line
}

// Label and Parts are for mail.tmpl.
func (l line) Label() string { return l.label }

// Parts are what the line is made of, for mail.tmpl.
func (l line) Parts() []part { return l.parts }

// Value is the fact behind the label, for mail.tmpl.
func (l line) Value() part { return l.value() }

// Text is what a reader sees, for mail.tmpl.
func (p part) Text() string { return p.text }

// Isolated says that its letters run from right to left, which must not turn around what stands beside it.
func (p part) Isolated() bool { return p.fact && strings.ContainsFunc(p.text, leftward) }

func leftward(r rune) bool {
	return r >= 0x0590 && r <= 0x08ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfefc ||
		r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
}

func page(t *notificationv1.Template, subject, product string, body []line) (string, error) {
	var b strings.Builder
	err := mail.Execute(&b, map[string]any{
		"Language": t.GetLanguage(), "Subject": subject, "Product": product, "Colour": template.CSS(colourOf(t.GetType())), "Blocks": blocks(body), // #nosec G203 -- one of our own colours
	})
	if err != nil {
		return "", fmt.Errorf("making the mail of %s: %w", t.GetType(), err)
	}
	return b.String(), nil
}

// colourOf is information, as in the console: red is closed, amber is frozen or to come, all the rest is neither.
func colourOf(typeName string) string {
	switch typeName {
	case "emergency.lockdown.started", "emergency.session.terminated", "emergency.attempt.refused":
		return "#c93a2f"
	case "emergency.freeze.scheduled", "emergency.freeze.started", "emergency.lock.scheduled", "emergency.lock.started", "emergency.lockdown.scheduled", "emergency.approval.requested":
		return "#cb8208"
	}
	return "#3b66d8"
}

// blocks are parted by empty lines, and where lines with a label begin and end.
func blocks(lines []line) []block {
	var all []block
	open := false
	for _, l := range lines {
		if l.String() == "" {
			open = false
			continue
		}
		labelled := l.label != ""
		if !open || labelled != (len(all[len(all)-1].Facts) > 0) {
			all = append(all, block{})
		}
		last := &all[len(all)-1]
		if labelled {
			last.Facts = append(last.Facts, l)
		} else {
			last.Lines = append(last.Lines, l)
		}
		open = true
	}
	return all
}
