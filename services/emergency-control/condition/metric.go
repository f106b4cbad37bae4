package condition

import (
	"github.com/prometheus/client_golang/prometheus"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// refuses is what the metric is.
func refuses() *prometheus.Desc {
	return prometheus.NewDesc("portcullis_journal_refuses", "1 while the record takes nothing new, by why.", []string{"why"}, nil)
}

// Describe and Collect make it a metric.
func (c *Condition) Describe(to chan<- *prometheus.Desc) { to <- refuses() }

// Collect tells what is known now.
func (c *Condition) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	health := c.health
	c.mu.Unlock()
	tell := func(why string, state emergencyv1.JournalHealth_State) {
		is := 0.0
		if health == state {
			is = 1
		}
		to <- prometheus.MustNewConstMetric(refuses(), prometheus.GaugeValue, is, why)
	}
	tell("full", emergencyv1.JournalHealth_FULL)
	tell("unreachable", emergencyv1.JournalHealth_UNREACHABLE)
	tell("broken", emergencyv1.JournalHealth_BROKEN)
}
