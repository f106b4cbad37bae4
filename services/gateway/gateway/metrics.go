package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the front has answered.
type metrics struct {
	answers *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portcullis_http_answers_total", Help: "HTTP answers by row, method and status.",
		}, []string{"path", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portcullis_http_answer_seconds", Help: "How long HTTP answers took; streams count to their end.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"path"}),
	}
	for _, one := range []prometheus.Collector{m.answers, m.took} {
		if err := r.Register(one); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) seen(path, method string, status int, took time.Duration) {
	m.answers.WithLabelValues(path, methodLabel(method), statusLabel(status)).Inc()
	m.took.WithLabelValues(path).Observe(took.Seconds())
}
