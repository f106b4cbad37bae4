package text

import (
	"slices"
	"strings"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Category groups types. Its English name is the one that programs know it by.
type Category struct{ English, Portuguese string }

// Name is the category's name to a reader.
func (c Category) Name(language string) string {
	return speech{language: language}.either(c.English, c.Portuguese)
}

// Matches reports whether a pattern means this category: its name in one of the languages, in any case,
// where a "*" stands for anything.
func (c Category) Matches(pattern string) bool {
	return matches(pattern, c.English) || matches(pattern, c.Portuguese)
}

func matches(pattern, name string) bool {
	parts := strings.Split(strings.ToLower(strings.TrimSpace(pattern)), "*")
	rest, ok := strings.CutPrefix(strings.ToLower(name), parts[0])
	if last := len(parts) - 1; !ok || last == 0 {
		return ok && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// Type is something that a notification can fire on.
type Type struct {
	// Name is for instance "emergency.lockdown.started".
	Name     string
	Category Category

	english, portuguese string
	own                 []string
}

// Types are all of them, in the order in which people read them.
func Types() []Type {
	var all []Type
	for _, g := range listing {
		for _, row := range g.types {
			all = append(all, g.typeOf(row))
		}
	}
	return all
}

// TypeNamed finds one by its name.
func TypeNamed(name string) (Type, bool) {
	for _, g := range listing {
		for _, row := range g.types {
			if row.name == name {
				return g.typeOf(row), true
			}
		}
	}
	return Type{}, false
}

// Categories are all of them, in the order of Types.
func Categories() []Category {
	var all []Category
	for _, g := range listing {
		all = append(all, g.category)
	}
	return all
}

func (g group) typeOf(row row) Type {
	return Type{
		Name: row.name, Category: g.category, english: row.english, portuguese: row.portuguese,
		own: strings.Fields(g.facts + " " + row.facts),
	}
}

// Description says in a few words what has happened.
func (t Type) Description(language string) string {
	return speech{language: language}.either(t.english, t.portuguese)
}

// OfEmergency reports whether the emergency panel itself says it: nobody else may publish it.
func (t Type) OfEmergency() bool { return t.Category.English == EmergencyPanel }

// Methods are those that it can go by: all, but for access requests, which go by e-mail and screen alone.
func (t Type) Methods() []notificationv1.Method {
	if t.Category.English == accessRequests {
		return []notificationv1.Method{notificationv1.Method_EMAIL, notificationv1.Method_SCREEN}
	}
	return []notificationv1.Method{
		notificationv1.Method_EMAIL, notificationv1.Method_SCREEN, notificationv1.Method_SMS, notificationv1.Method_SLACK,
		notificationv1.Method_TEAMS, notificationv1.Method_PAGERDUTY, notificationv1.Method_WEBHOOK,
	}
}

// Facts are the names of what its texts may say, each in double braces. An event that lacks one is fine.
func (t Type) Facts() []string {
	if t.OfEmergency() {
		return slices.Concat(strings.Fields(everyEmergency), t.own)
	}
	return slices.Concat(strings.Fields(everyEvent), t.own)
}

// knows says whether a text of this type may name the fact. Publishers bring facts of their own along.
func (t Type) knows(fact string) bool {
	return !t.OfEmergency() && brought.MatchString(fact) || slices.Contains(t.Facts(), fact)
}
