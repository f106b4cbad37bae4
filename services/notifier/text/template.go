package text

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// BuiltIn is the text that there is to begin with for a type; nil if there is no such type.
func BuiltIn(typeName, language string) *notificationv1.Template {
	t, ok := TypeNamed(typeName)
	if !ok {
		return nil
	}
	written, ok := english[typeName]
	if LanguageOf(language) == Portuguese {
		written, ok = portuguese[typeName]
	}
	if !ok {
		written = generic(t, speech{language: LanguageOf(language)})
	}
	return &notificationv1.Template{
		Type: typeName, Language: LanguageOf(language), Subject: written.subject,
		Body: strings.TrimSpace(written.body), Short: strings.TrimSpace(written.short),
	}
}

// wording is a text as it is written here.
type wording struct{ subject, body, short string }

// generic says what other services publish: in their own sentence, with the facts that the type has names for.
func generic(t Type, s speech) wording {
	title := t.Description(s.language)
	var rows strings.Builder
	for _, name := range slices.Concat(t.own, strings.Fields("devices users actor time details id")) {
		fmt.Fprintf(&rows, "%s: {{%s}}\n", s.either(label[name][0], label[name][1]), name)
	}
	return wording{
		subject: title + ": {{summary}}",
		body:    title + ".\n{{summary}}\n\n" + rows.String(),
		short:   "{{product}}: " + title + ".\n{{summary}}",
	}
}

// part is a piece of a template: plain text, or the name of a fact.
type part struct {
	text string
	fact bool
}

// factName is what may stand in double braces.
var factName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

var errBraces = errors.New(`double braces hold the name of a fact and nothing else, as in "{{until}}"`)

// parse takes one line apart. There is no other syntax than a fact's name in double braces.
func parse(line string) ([]part, error) {
	var parts []part
	for {
		before, rest, found := strings.Cut(line, "{{")
		if strings.Contains(before, "}}") {
			return nil, errBraces
		}
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !found {
			return parts, nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if name = strings.TrimSpace(name); !closed || !factName.MatchString(name) {
			return nil, errBraces
		}
		parts, line = append(parts, part{text: name, fact: true}), after
	}
}

// Check refuses a text that could not be rendered, and says in which field, why, and which facts there are.
func Check(t *notificationv1.Template) error {
	of, ok := TypeNamed(t.GetType())
	if !ok {
		return fault.New(fault.InvalidArgument, "There is no type %q. List the notification types to see which there are", t.GetType()).With("field", "type")
	}
	if !slices.Contains(Languages(), t.GetLanguage()) {
		return fault.New(fault.InvalidArgument, "There are texts in %s, not in %q", strings.Join(Languages(), " and "), t.GetLanguage()).With("field", "language")
	}
	if strings.ContainsAny(t.GetSubject(), "\r\n") {
		return fault.New(fault.InvalidArgument, "A subject has one line").With("field", "subject")
	}
	for _, field := range fieldsOf(t) {
		if err := checkField(of, field.name, field.text); err != nil {
			return err
		}
	}
	return nil
}

type field struct{ name, text string }

func fieldsOf(t *notificationv1.Template) []field {
	return []field{{"subject", t.GetSubject()}, {"body", t.GetBody()}, {"short", t.GetShort()}}
}

func checkField(of Type, name, text string) error {
	if strings.TrimSpace(text) == "" {
		return fault.New(fault.InvalidArgument, "The %s is empty. Write it, or delete the template to go back to the text there was to begin with", name).With("field", name)
	}
	for i, line := range strings.Split(text, "\n") {
		parts, err := parse(line)
		if err != nil {
			return fault.New(fault.InvalidArgument, "Line %d of the %s: %s", i+1, name, err).With("field", name)
		}
		for _, p := range parts {
			if p.fact && !of.knows(p.text) {
				return fault.New(fault.InvalidArgument, "Line %d of the %s: %s has no fact {{%s}}. It has %s", i+1, name, of.Name, p.text, of.shown()).With("field", name)
			}
		}
	}
	return nil
}

// shown are the type's facts for whoever writes a text.
func (t Type) shown() string {
	known := "{{" + strings.Join(t.Facts(), "}}, {{") + "}}"
	if t.OfEmergency() {
		return known
	}
	return known + ", and {{event.NAME}} for what its publisher names itself"
}
