package rpc

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// metrics count a server's calls.
type metrics struct {
	answers *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	streams prometheus.Gauge
}

// meter counts one method's calls.
type meter struct {
	method  string
	answers *prometheus.CounterVec
	good    prometheus.Counter
	seconds prometheus.Observer
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	answers, err1 := register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portcullis_rpc_answers_total", Help: "Answers by method and gRPC code."}, []string{"method", "code"}))
	seconds, err2 := register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "portcullis_rpc_answer_seconds", Help: "How long answers took; streams count to their end.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)}, []string{"method"}))
	streams, err3 := register(r, prometheus.Gauge(prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "portcullis_rpc_streams", Help: "Streams that are open."})))
	return &metrics{answers, seconds, streams}, errors.Join(err1, err2, err3)
}

// register answers the collector that counts already, when a service starts again.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	err := r.Register(c)
	var again prometheus.AlreadyRegisteredError
	if errors.As(err, &again) {
		if before, ok := again.ExistingCollector.(C); ok {
			return before, nil
		}
	}
	return c, err
}

func (m *metrics) of(method string) *meter {
	return &meter{method: method, answers: m.answers, good: m.answers.WithLabelValues(method, codes.OK.String()), seconds: m.seconds.WithLabelValues(method)}
}

func (m *meter) answered(code codes.Code, took time.Duration) {
	if code == codes.OK {
		m.good.Inc()
	} else {
		m.answers.WithLabelValues(m.method, code.String()).Inc()
	}
	m.seconds.Observe(took.Seconds())
}
