// Package text is what notifications say: the catalogue of what they can fire on, the facts that an event
// has, and the texts in English and Brazilian Portuguese that make a message out of them. It knows no
// journal and no server, and its tables never change.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"portcullis.dev/pkg/emergency"
)

// The languages that there are texts in.
const (
	English    = "en"
	Portuguese = "pt-BR"
)

// Languages are those that there are texts in.
func Languages() []string { return []string{English, Portuguese} }

// LanguageOf is the language to write in to somebody who asks for this one: every Portuguese is Brazilian,
// and whatever else there is no text in is English.
func LanguageOf(tag string) string {
	if l, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); l == "pt" {
		return Portuguese
	}
	return English
}

// maxNames is how many names a list spells out.
const maxNames = 20

// List is a list of names as people read it: the first 20, and how many more there are.
func List(names []string, language string) string {
	more := len(names) - maxNames
	if more <= 0 {
		return strings.Join(names, ", ")
	}
	first := strings.Join(names[:maxNames], ", ")
	return speech{language: language}.either(first+" and "+strconv.Itoa(more)+" more", first+" e mais "+strconv.Itoa(more))
}

// Counted is a list of which only the first names are known: those, how many more there are, and how many in all.
func Counted(names []string, total int, language string) string {
	s := speech{language: language}
	first, more := strings.Join(names, ", "), s.number(int64(total-len(names)))
	switch {
	case total <= len(names):
		return first
	case len(names) == 0:
		return s.number(int64(total))
	}
	return s.either(first+" and "+more+" more, "+s.number(int64(total))+" in all", first+" e mais "+more+", "+s.number(int64(total))+" ao todo")
}

// speech is how facts are said to one reader.
type speech struct {
	texts    emergency.Texts
	language string
}

func (s speech) either(english, portuguese string) string {
	if s.language == Portuguese {
		return portuguese
	}
	return english
}

func (s speech) product() string {
	if s.texts.Product == "" {
		return "Portcullis"
	}
	return s.texts.Product
}

// moment is a moment to the minute, in the zone of the configuration, which it names; nothing for no moment.
func (s speech) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	zone := s.texts.Zone
	if zone == nil {
		zone = time.UTC
	}
	at = at.In(zone)
	return at.Format(s.either("2 Jan 2006 15:04", "02/01/2006 15:04")) + " " + zoneName(at)
}

// zoneName is what people call the zone, or how far it is from UTC where they have no name for it.
func zoneName(at time.Time) string {
	name, offset := at.Zone()
	if strings.ContainsFunc(name, unicode.IsLetter) {
		return name
	}
	sign, offset := '+', offset/60
	if offset < 0 {
		sign, offset = '-', -offset
	}
	name = fmt.Sprintf("UTC%c%02d", sign, offset/60)
	if offset%60 == 0 {
		return name
	}
	return fmt.Sprintf("%s:%02d", name, offset%60)
}

// end is the moment from which something is over, rounded up to a second: who comes back then is never too early.
func (s speech) end(at time.Time) string {
	if whole := at.Truncate(time.Second); whole.Before(at) {
		at = whole.Add(time.Second)
	}
	text := s.moment(at)
	if at.Second() == 0 {
		return text
	}
	i := strings.LastIndex(text, " ")
	return text[:i] + at.Format(":05") + text[i:]
}

// span is a length of time in its two biggest units; nothing for none.
func (s speech) span(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	var parts []string
	for _, unit := range []struct {
		seconds             int64
		english, portuguese string
	}{{86400, "day", "dia"}, {3600, "hour", "hora"}, {60, "minute", "minuto"}, {1, "second", "segundo"}} {
		n := seconds / unit.seconds
		seconds -= n * unit.seconds
		if n > 0 {
			parts = append(parts, s.counted(n, s.either(unit.english, unit.portuguese)))
		} else if len(parts) > 0 {
			break
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, s.either(" ", " e "))
}

func (s speech) counted(n int64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return s.number(n) + " " + unit
}

// number groups digits by three.
func (s speech) number(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return s.number(n/1000) + s.either(",", ".") + fmt.Sprintf("%03d", n%1000)
}

// value is a fact of a program as people read it: a moment in RFC 3339 becomes one of theirs.
func (s speech) value(v string) string {
	if at, err := time.Parse(time.RFC3339, strings.TrimSpace(v)); err == nil {
		return s.moment(at)
	}
	return v
}
