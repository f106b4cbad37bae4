package hook

import (
	"strings"
	"time"

	"portcullis.dev/services/notifier/message"
)

// pagerDuty is an event of its Events API v2. The start of an emergency, or its announcement, opens an alert that the
// end closes, and a shortening is told on it; whatever else there is to tell has an alert of its own, so that it can't open a closed one again.
func pagerDuty(product, key string, m *message.Message, at time.Time) object {
	if closes(m) {
		return object{"routing_key": key, "event_action": "resolve", "dedup_key": dedupKey(m)}
	}
	return object{
		"routing_key": key, "event_action": "trigger", "dedup_key": dedupKey(m), "client": cut(product, 255, one),
		"payload": object{
			"summary": cut(summary(m), 1024, one), "source": cut(product, 255, one), "severity": severity(m.Type),
			"timestamp": at.Format(time.RFC3339Nano), "class": typeOf(m),
			"custom_details": object{"text": cut(plain(m.Body), 10000, one), "facts": m.Facts},
		},
	}
}

// summary is one line, and never empty, which PagerDuty would refuse.
func summary(m *message.Message) string {
	for _, text := range []string{title(m), said(m)} {
		if text != "" {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return typeOf(m)
}

// Closes reports whether a type closes the alert of its emergency, Opens whether one is told on it, and opens it where
// it isn't open: nothing of the kind may reach PagerDuty after what closes it.
func Closes(kind string) bool {
	return strings.HasSuffix(kind, ".ended") || strings.HasSuffix(kind, ".cancelled")
}

// Opens is described at Closes.
func Opens(kind string) bool {
	return strings.HasSuffix(kind, ".started") || strings.HasSuffix(kind, ".scheduled") || strings.HasSuffix(kind, ".shortened")
}

func closes(m *message.Message) bool { return m.Emergency != "" && Closes(m.Type) }

func opens(m *message.Message) bool { return m.Emergency != "" && Opens(m.Type) }

func dedupKey(m *message.Message) string {
	switch {
	case opens(m), closes(m):
		return cut(m.Emergency, 254, one)
	case m.Event != "":
		return cut(m.Event, 254, one)
	}
	return cut(m.ID, 254, one)
}

func severity(kind string) string {
	switch {
	case kind == "emergency.lockdown.started":
		return "critical"
	case kind == "emergency.freeze.started", kind == "emergency.lock.started", kind == "emergency.session.terminated":
		return "error"
	case kind == "", strings.HasPrefix(kind, "emergency.approval."), strings.HasPrefix(kind, "emergency.drill."):
		return "info"
	}
	return "warning"
}
