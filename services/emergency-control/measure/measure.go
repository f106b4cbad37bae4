// Package measure tells Prometheus how fast emergencies are enforced, and who lags behind.
package measure

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds are the services that enforce, as they call themselves. No other makes a series of its own.
func Kinds() []string { return []string{"access-gate", "connector", "identity", "session-broker"} }

// Whys are why an enforcer counts as stale: it is heard and holds an older revision, or it is not heard.
func Whys() []string { return []string{Behind, Silent} }

// Why an enforcer is stale.
const (
	Behind = "behind"
	Silent = "silent"
)

// other is the kind of whoever is none of Kinds.
const other = "other"

// Stale is one enforcer that is.
type Stale struct{ Kind, Why string }

// Measure takes what control observes. A nil one forgets it.
type Measure struct {
	seconds *prometheus.HistogramVec
	count   *prometheus.Desc
	stale   func() []Stale
}

// New answers a measure that r serves, in the place of one of an earlier life of the service; stale is asked each time
// that somebody looks.
func New(r prometheus.Registerer, stale func() []Stale) (*Measure, error) {
	m := &Measure{stale: stale,
		count: prometheus.NewDesc("portcullis_enforcers_stale", "Enforcers that are silent, or hold an older revision than the journal, by kind.", []string{"kind", "why"}, nil),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portcullis_enforce_seconds", Help: "From the moment of an emergency's record until an enforcer was heard to hold it, by kind.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"kind"}),
	}
	for _, kind := range Kinds() {
		m.seconds.WithLabelValues(kind)
	}
	r.Unregister(m)
	return m, r.Register(m)
}

// Held observes that an enforcer holds a record that is so old.
func (m *Measure) Held(kind string, after time.Duration) {
	if m != nil {
		m.seconds.WithLabelValues(known(kind)).Observe(max(0, after).Seconds()) // another control's clock may be ahead
	}
}

func known(kind string) string {
	if slices.Contains(Kinds(), kind) {
		return kind
	}
	return other
}

// Describe says what there is.
func (m *Measure) Describe(to chan<- *prometheus.Desc) {
	m.seconds.Describe(to)
	to <- m.count
}

// Collect answers how it stands.
func (m *Measure) Collect(to chan<- prometheus.Metric) {
	m.seconds.Collect(to)
	counts := map[Stale]float64{}
	for _, kind := range Kinds() {
		for _, why := range Whys() {
			counts[Stale{kind, why}] = 0
		}
	}
	for _, s := range m.stale() {
		counts[Stale{known(s.Kind), s.Why}]++
	}
	for s, n := range counts {
		to <- prometheus.MustNewConstMetric(m.count, prometheus.GaugeValue, n, s.Kind, s.Why)
	}
}
