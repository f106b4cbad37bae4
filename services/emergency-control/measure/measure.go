// Package measure tells Prometheus how fast emergencies are enforced, and who lags behind.
package measure

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds are the services that enforce, as they call themselves. No other makes a series of its own.
func Kinds() []string { return []string{"access-gate", "connector", "identity", "session-broker"} }

// Whys are why an enforcer counts as stale: it is heard and holds an older revision, or can't tell whether what it holds is
// all there is; or it is not heard.
func Whys() []string { return []string{Behind, Old, Silent} }

// Why an enforcer is stale.
const (
	Behind = "behind"
	Old    = "old"
	Silent = "silent"
)

// other is the kind of whoever is none of Kinds.
const other = "other"

// guard is who makes no series of their own but where they are missed: a token makes up any number.
const guard = "guard"

// Stale is one enforcer that is.
type Stale struct{ Kind, Why string }

// Age is how old an enforcer's view is.
type Age struct {
	Kind, Enforcer string
	Age            time.Duration
}

// Measure takes what control observes. A nil one forgets it.
type Measure struct {
	seconds *prometheus.HistogramVec
	count   *prometheus.Desc
	age     *prometheus.Desc
	missing *prometheus.Desc
	stale   func() []Stale
	ages    func() []Age
	absent  func() map[string]int
}

// New answers a measure that r serves, in the place of one of an earlier life of the service; stale, ages and missing,
// which counts by kind, are asked each time that somebody looks.
func New(r prometheus.Registerer, stale func() []Stale, ages func() []Age, missing func() map[string]int) (*Measure, error) {
	m := &Measure{stale: stale, ages: ages, absent: missing,
		missing: prometheus.NewDesc("portcullis_enforcers_missing", "Enforcers that fell silent without a word, or that the policy expects and nobody has seen, by kind.", []string{"kind"}, nil),
		count:   prometheus.NewDesc("portcullis_enforcers_stale", "Enforcers that are silent, hold an older revision than the journal, or can't tell, by kind.", []string{"kind", "why"}, nil),
		age:     prometheus.NewDesc("portcullis_enforcer_age_seconds", "How long ago an enforcer that is heard is certain to have known all that was on record.", []string{"kind", "enforcer"}, nil),
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
	to <- m.age
	to <- m.missing
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
	missing := map[string]int{}
	for kind, n := range m.absent() {
		if kind != guard {
			kind = known(kind)
		}
		missing[kind] += n
	}
	for _, kind := range append(Kinds(), guard, other) {
		to <- prometheus.MustNewConstMetric(m.missing, prometheus.GaugeValue, float64(missing[kind]), kind)
	}
	for _, a := range m.ages() {
		seconds := a.Age.Seconds()
		if a.Age == Never {
			seconds = math.Inf(1)
		}
		to <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, seconds, a.Kind, a.Enforcer)
	}
}
