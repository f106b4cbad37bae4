package guard

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are what a guard counts.
type counters struct {
	allowed, refused, cut atomic.Uint64
	entered               atomic.Uint32
}

// Describe names the guard's metrics: portcullis_guard_checks_total by decision, portcullis_guard_cut_total, portcullis_guard_live and
// portcullis_guard_view_age_seconds. A Guard is a prometheus.Collector.
func (g *Guard) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{checks, cuts, goingOn, viewAge} {
		out <- d
	}
}

// Collect reads them.
func (g *Guard) Collect(out chan<- prometheus.Metric) {
	live, _ := g.oldest()
	out <- prometheus.MustNewConstMetric(checks, prometheus.CounterValue, float64(g.count.allowed.Load()), "allowed")
	out <- prometheus.MustNewConstMetric(checks, prometheus.CounterValue, float64(g.count.refused.Load()), "refused")
	out <- prometheus.MustNewConstMetric(cuts, prometheus.CounterValue, float64(g.count.cut.Load()))
	out <- prometheus.MustNewConstMetric(goingOn, prometheus.GaugeValue, float64(live))
	if v := g.view.Load(); v != nil && v.heard.Load() != nil {
		out <- prometheus.MustNewConstMetric(viewAge, prometheus.GaugeValue, g.age(v).Seconds())
	}
}

var (
	checks  = prometheus.NewDesc("portcullis_guard_checks_total", "Decisions of the guard.", []string{"decision"}, nil)
	cuts    = prometheus.NewDesc("portcullis_guard_cut_total", "Streams, WebSockets and downloads that an emergency ended.", nil, nil)
	goingOn = prometheus.NewDesc("portcullis_guard_live", "Streams, WebSockets and downloads that go on.", nil, nil)
	viewAge = prometheus.NewDesc("portcullis_guard_view_age_seconds", "How long ago the guard is certain to have known all that was on record.", nil, nil)
)
