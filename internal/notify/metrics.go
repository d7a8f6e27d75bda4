package notify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what is delivered, by endpoint (its id).
type Metrics struct {
	tries   *prometheus.CounterVec
	took    *prometheus.HistogramVec
	age     *prometheus.HistogramVec
	open    *prometheus.GaugeVec
	dead    *prometheus.CounterVec
	written *prometheus.CounterVec
}

// NewMetrics declares the metrics; Register makes them visible.
func NewMetrics() *Metrics {
	buckets := []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600, 24 * 3600}
	by := []string{"endpoint"}
	return &Metrics{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_webhook_attempts_total", Help: "Requests to webhook endpoints, by HTTP status, 590 timeout, 591 DNS, 592 certificate, or error.",
		}, []string{"endpoint", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tapedeck_webhook_attempt_seconds", Help: "Time of one request to a webhook endpoint.", Buckets: buckets[:10],
		}, by),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tapedeck_webhook_delivery_seconds", Help: "Time from the outbox to the endpoint's 200.", Buckets: buckets,
		}, by),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tapedeck_webhook_waiting", Help: "Events that this node holds for a webhook endpoint.",
		}, by),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_webhook_dead_total", Help: "Events that were given up.",
		}, by),
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_events_total", Help: "Events written to the outbox, by type.",
		}, []string{"type"}),
	}
}

// Register makes the metrics visible.
func (m *Metrics) Register(r prometheus.Registerer) {
	r.MustRegister(m.tries, m.took, m.age, m.open, m.dead, m.written)
}

// Written counts an event that was put into the outbox.
func (m *Metrics) Written(t Type) { m.written.WithLabelValues(t.Name()).Inc() }

func (m *Metrics) attempt(endpoint, result string, took time.Duration) {
	m.tries.WithLabelValues(endpoint, result).Inc()
	m.took.WithLabelValues(endpoint).Observe(took.Seconds())
}

func (m *Metrics) delivered(endpoint string, age time.Duration) {
	m.age.WithLabelValues(endpoint).Observe(age.Seconds())
}

func (m *Metrics) waiting(endpoint string, n int) { m.open.WithLabelValues(endpoint).Set(float64(n)) }

func (m *Metrics) died(endpoint string) { m.dead.WithLabelValues(endpoint).Inc() }

func (m *Metrics) forget(endpoint string) { m.open.DeleteLabelValues(endpoint) }
