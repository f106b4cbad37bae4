package outbox

import (
	"slices"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// alert is what PagerDuty is told of one emergency: by which lane, and of which.
type alert struct{ lane, emergency word }

// alerted keeps together what is to be told in order.
func (b *Box) alerted(r *row, emergency string) {
	if r.method != notificationv1.Method_PAGERDUTY || emergency == "" {
		return
	}
	a := alert{r.lane, b.words.of(emergency)}
	if !slices.Contains(b.alerts[a], r) {
		b.alerts[a] = append(b.alerts[a], r)
	}
}

// Alert answers all that PagerDuty is told, or was, of an emergency in a lane.
func (b *Box) Alert(lane, emergency string) []*notificationv1.Delivery {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []*notificationv1.Delivery
	for _, r := range b.alerts[alert{b.words.number[lane], b.words.number[emergency]}] {
		all = append(all, b.delivery(r))
	}
	return all
}

// pruneAlerts lets go of the rows that are no longer there.
func (b *Box) pruneAlerts() {
	for a, rows := range b.alerts {
		rows = slices.DeleteFunc(rows, func(r *row) bool { return b.rows[r.id] != r })
		if b.alerts[a] = rows; len(rows) == 0 {
			delete(b.alerts, a)
		}
	}
}
