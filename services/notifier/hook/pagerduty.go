package hook

import (
	"strings"
	"time"

	"portcullis.dev/services/notifier/message"
)

// pagerDuty is an event of its Events API v2. The start of an emergency, or its announcement, opens an alert that the
// end closes; whatever else there is to tell has an alert of its own, so that it can't open a closed one again.
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

func closes(m *message.Message) bool {
	return m.Emergency != "" && (strings.HasSuffix(m.Type, ".ended") || strings.HasSuffix(m.Type, ".cancelled"))
}

func opens(m *message.Message) bool {
	return m.Emergency != "" && (strings.HasSuffix(m.Type, ".started") || strings.HasSuffix(m.Type, ".scheduled"))
}

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
	case kind == "emergency.freeze.started", kind == "emergency.session.terminated":
		return "error"
	case kind == "", strings.HasPrefix(kind, "emergency.approval."):
		return "info"
	}
	return "warning"
}
