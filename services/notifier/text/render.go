package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Rendered is a text with its facts in place.
type Rendered struct {
	// Subject is one line of 200 characters at most, and never empty.
	Subject string
	// Body is plain text, in lines that end with a line feed. HTML says the same as a whole document.
	Body, HTML string
	// Short is one line, of 1000 characters at most.
	Short string
}

const (
	maxSubject = 200
	maxBody    = 50_000
	maxShort   = 1000
)

// Render puts facts into a text. A line whose facts are all missing is left out. Nothing in a fact is
// taken for syntax, and none adds a line. Where a text names what its type no longer has, or isn't well
// formed, the error is that of Check: BuiltIn never fails.
func Render(t *notificationv1.Template, facts map[string]string) (Rendered, error) {
	if err := Check(t); err != nil {
		return Rendered{}, err
	}
	subject, err1 := linesOf(t.GetSubject(), facts, nil)
	body, err2 := linesOf(t.GetBody(), facts, nil)
	short, err3 := linesOf(t.GetShort(), facts, shortest)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Rendered{}, fmt.Errorf("reading the text of %s: %w", t.GetType(), err)
	}
	r := Rendered{Subject: subjectOf(t, subject), Body: plain(body), Short: clip(sentences(short), maxShort, "...")}
	var err error
	r.HTML, err = page(t, r.Subject, clean(facts["product"]), body)
	return r, err
}

// line is a line of a text, in parts. It has a label if it is of the form "Label: {{fact}}".
type line struct {
	label string
	parts []part
}

func (l line) String() string {
	var b strings.Builder
	for _, p := range l.parts {
		b.WriteString(p.text)
	}
	return strings.TrimSpace(b.String())
}

// value is what stands behind the label.
func (l line) value() part { return l.parts[len(l.parts)-1] }

// linesOf reads the lines that are left of a text: no two empty ones in a row, and none at the ends.
func linesOf(text string, facts map[string]string, limit func(fact string) int) ([]line, error) {
	var all []line
	size := 0
	for _, one := range strings.Split(text, "\n") {
		parts, err := parse(one)
		if err != nil {
			return nil, err
		}
		l, kept := fill(parts, facts, limit)
		blank := l.String() == ""
		if !kept || blank && (len(all) == 0 || all[len(all)-1].String() == "") {
			continue
		}
		if size += len(l.String()); size > maxBody {
			break
		}
		all = append(all, l)
	}
	for len(all) > 0 && all[len(all)-1].String() == "" {
		all = all[:len(all)-1]
	}
	return all, nil
}

// fill puts the facts into a line. It is not kept if it has facts and all of them are missing.
func fill(parts []part, facts map[string]string, limit func(fact string) int) (line, bool) {
	l := line{label: labelOf(parts)}
	named, found := 0, 0
	for _, p := range parts {
		name := p.text
		if !p.fact {
			l.parts = append(l.parts, part{text: harmless(name)})
			continue
		}
		p.text = clean(facts[name])
		if limit != nil {
			p.text = clip(p.text, limit(name), "...")
		}
		named++
		if p.text != "" {
			found++
		}
		l.parts = append(l.parts, p)
	}
	return l, named == 0 || found > 0
}

// labelOf is decided by the text: no fact makes a line look like another kind of line.
func labelOf(parts []part) string {
	if len(parts) != 2 || parts[0].fact || !parts[1].fact {
		return ""
	}
	label, ok := strings.CutSuffix(clean(parts[0].text), ":")
	if !ok {
		return ""
	}
	return label
}

func plain(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

// subjectOf is never empty, and ends in no colon that nothing came after.
func subjectOf(t *notificationv1.Template, lines []line) string {
	var subject string
	if len(lines) > 0 {
		subject = strings.TrimRight(clean(lines[0].String()), " :,;")
	}
	if subject == "" {
		of, _ := TypeNamed(t.GetType())
		subject = of.Description(t.GetLanguage())
	}
	return clip(subject, maxSubject, "…")
}

// sentences joins lines to one, and ends each but the last with a full stop where it has no end.
func sentences(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		one := clean(l.String())
		if one == "" {
			continue
		}
		b.WriteString(one)
		if !strings.ContainsAny(one[len(one)-1:], ".!?:;,") {
			b.WriteString(".")
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

// shortest is how many characters a fact has in a short text, so that a text of ours fits two SMS.
func shortest(fact string) int {
	switch fact {
	case "summary":
		return 160
	case "justification":
		return 90
	case "act", "action":
		return 64
	}
	return 32
}

func clip(s string, n int, mark string) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimRight(string(runes[:n-len([]rune(mark))]), " ") + mark
}

// clean makes one line of a fact: no control characters, nothing invisible, nothing that turns the
// direction of reading around.
func clean(s string) string { return strings.Join(strings.Fields(harmless(s)), " ") }

func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case r == '\u200c', r == '\u200d': // joins letters and emoji
			return r
		case unicode.Is(unicode.Cf, r), r == '\u034f', r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
