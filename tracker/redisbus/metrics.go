package redisbus

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the bus. Labels are reasons, never ids.
type metrics struct {
	published, received, remakes prometheus.Counter
	dropped                      map[reason]prometheus.Counter
}

// newMetrics registers the metrics of a bus. open and down count its partitions.
func newMetrics(reg prometheus.Registerer, open, down func() float64) *metrics {
	m := &metrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_bus_published_total", Help: "Messages that Redis took."}),
		received:  prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_bus_received_total", Help: "Messages that came from other nodes."}),
		remakes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_bus_remakes_total", Help: "Subscribing connections that broke or went silent and were replaced."}),
		dropped:   map[reason]prometheus.Counter{},
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ronde_bus_dropped_total", Help: "Messages of the bus that were not handed on, by reason.",
	}, []string{"reason"})
	for _, r := range reasons {
		m.dropped[r] = dropped.WithLabelValues(string(r))
	}
	reg.MustRegister(m.published, m.received, m.remakes, dropped,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ronde_bus_partitions_open", Help: "Partitions that this node subscribes to missions of."}, open),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ronde_bus_partitions_down", Help: "Partitions that could not be reached when last tried."}, down))
	return m
}
