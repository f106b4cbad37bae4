package condition

import (
	"github.com/prometheus/client_golang/prometheus"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// states are those in which the record takes nothing, by the word that the metric has for each.
var states = map[string]emergencyv1.JournalHealth_State{"full": emergencyv1.JournalHealth_FULL, "unreachable": emergencyv1.JournalHealth_UNREACHABLE}

var refuses = prometheus.NewDesc("portcullis_journal_refuses", "1 while the record takes nothing new, by why.", []string{"why"}, nil)

// Describe and Collect make it a metric.
func (c *Condition) Describe(to chan<- *prometheus.Desc) { to <- refuses }

// Collect tells what is known now.
func (c *Condition) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	health := c.health
	c.mu.Unlock()
	for why, state := range states {
		is := 0.0
		if health == state {
			is = 1
		}
		to <- prometheus.MustNewConstMetric(refuses, prometheus.GaugeValue, is, why)
	}
}
