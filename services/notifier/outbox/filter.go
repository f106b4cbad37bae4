package outbox

import (
	"strings"
	"time"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/listing"
)

// filter is what a list is narrowed by.
type filter struct {
	state         notificationv1.Delivery_State
	method        notificationv1.Method
	since, before int64
	words         map[string]string // the keys that ask for a text
}

func filterOf(text string) (filter, error) {
	f := filter{words: map[string]string{}}
	terms, err := listing.Filter(text, "state", "method", "contact", "account", "type", "event", "emergency", "text", "since", "before")
	for key, value := range terms {
		if err := f.term(key, value); err != nil {
			return f, err
		}
	}
	return f, err
}

func (f *filter) term(key, value string) error {
	switch key {
	case "state":
		if f.state = notificationv1.Delivery_State(notificationv1.Delivery_State_value[value]); f.state == 0 {
			return bad("state is QUEUED, SENT, DELIVERED, READ, BOUNCED or FAILED")
		}
	case "method":
		if f.method = notificationv1.Method(notificationv1.Method_value[value]); f.method == 0 {
			return bad("method is EMAIL, SCREEN, SMS, SLACK, TEAMS, PAGERDUTY or WEBHOOK")
		}
	case "since", "before":
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return bad(key + " is a time such as 2026-11-25T00:00:00Z")
		}
		*map[string]*int64{"since": &f.since, "before": &f.before}[key] = at.UnixMilli()
	default:
		f.words[key] = value
	}
	return nil
}

func bad(says string) error {
	return fault.New(fault.InvalidArgument, "%s", says).With("field", "filter")
}

// on answers the filter over rows with these words. Each word is looked at once, however many rows have it.
func (f filter) on(w *words) func(*row) bool {
	of := map[string]func(*row) word{
		"contact": func(r *row) word { return r.contact }, "account": func(r *row) word { return r.account },
		"event": func(r *row) word { return r.event }, "emergency": func(r *row) word { return r.emergency }, "type": func(r *row) word { return r.typ },
	}
	var all []func(*row) bool
	for key, value := range f.words {
		if key == "text" {
			continue
		}
		fits, field := once(w, func(s string) bool { return listing.Matches(value, s) }), of[key]
		all = append(all, func(r *row) bool { return fits(field(r)) })
	}
	if text := strings.ToLower(f.words["text"]); text != "" {
		fits := once(w, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
		all = append(all, func(r *row) bool { return fits(r.recipient) || fits(r.contact) || fits(r.subject) })
	}
	return func(r *row) bool {
		if f.state != 0 && r.state != f.state || f.method != 0 && r.method != f.method ||
			r.created < f.since || f.before != 0 && r.created >= f.before {
			return false
		}
		for _, keep := range all {
			if !keep(r) {
				return false
			}
		}
		return true
	}
}

// once asks about each word at most once.
func once(w *words, ask func(string) bool) func(word) bool {
	const unknown, yes, no = 0, 1, 2
	answers := make([]byte, len(w.all))
	return func(n word) bool {
		if answers[n] == unknown {
			answers[n] = no
			if ask(w.all[n]) {
				answers[n] = yes
			}
		}
		return answers[n] == yes
	}
}
