package tracker

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
)

// metrics of the path of a ping. Labels are outcomes and kinds, never ids, so
// that ten missions and ten thousand give the same series.
type metrics struct {
	pings    [session.Unsealed + 1]prometheus.Counter // by verdict
	durable  prometheus.Histogram
	viewer   prometheus.Histogram
	batch    prometheus.Histogram
	queue    prometheus.Gauge
	agents   prometheus.Gauge
	viewers  prometheus.Gauge
	drops    *prometheus.CounterVec
	closes   *prometheus.CounterVec
	resyncs  prometheus.Counter
	degraded prometheus.Gauge
	// Children of drops that the path of a ping touches.
	coalesced, expired prometheus.Counter
	deadlines          prometheus.Counter
	reconciled         prometheus.Gauge
}

// outcomes names every verdict on the metrics page.
var outcomes = [session.Unsealed + 1]string{
	session.Undecided: "unavailable", session.Stored: "stored", session.Unchanged: "unchanged",
	session.NotActive: "not_active", session.OutsideWindow: "outside_window", session.Future: "future",
	session.Invalid: "invalid", session.TooFrequent: "too_frequent", session.NoticeMissing: "notice_missing",
	session.MissionPaused: "paused", session.MissionPausedOutside: "paused_outside",
	session.Locked: "locked", session.Unsealed: "unsealed",
}

func newMetrics(reg prometheus.Registerer) *metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m := &metrics{
		durable: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ronde_ping_durable_seconds", Buckets: buckets,
			Help: "Time from reading a frame of pings to its verdict being durable.",
		}),
		viewer: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ronde_ping_viewer_seconds", Buckets: buckets,
			Help: "Time from reading a frame of pings to its progress being handed to the viewers of this node.",
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ronde_recorder_batch_pings", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
			Help: "Pings judged in one transaction.",
		}),
		queue:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "ronde_recorder_queue_pings", Help: "Pings waiting for their verdict."}),
		agents:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "ronde_agent_sockets", Help: "Open sockets of agents."}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ronde_viewers", Help: "Open live sockets and event streams."}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ronde_progress_dropped_total", Help: "Progress that was not handed on, by reason.",
		}, []string{"reason"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ronde_socket_closes_total", Help: "Sockets that the server closed, by close code.",
		}, []string{"code"}),
		resyncs:  prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_resyncs_total", Help: "Rooms filled from the store because the bus had not delivered."}),
		degraded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ronde_degraded_rooms", Help: "Missions with local sockets whose viewers are told that they see less than there is."}),
	}
	m.coalesced, m.expired = m.drops.WithLabelValues("coalesced"), m.drops.WithLabelValues("lease")
	m.deadlines = prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_deadline_closings_total", Help: "Missions that this node ended at their deadline."})
	m.reconciled = prometheus.NewGauge(prometheus.GaugeOpts{Name: "ronde_reconcile_timestamp_seconds", Help: "When the rooms were last confirmed at the store, Unix time."})
	pings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ronde_pings_total", Help: "Pings judged, by outcome.",
	}, []string{"outcome"})
	for v, name := range outcomes {
		m.pings[v] = pings.WithLabelValues(name)
	}
	reg.MustRegister(pings, m.durable, m.viewer, m.batch, m.queue, m.agents, m.viewers, m.drops, m.closes, m.resyncs, m.degraded, m.deadlines, m.reconciled)
	return m
}

// closed counts a socket that the server closed.
func (m *metrics) closed(code closeCode) {
	if code == 0 {
		return // the connection was cut, and nobody told anything
	}
	m.closes.WithLabelValues(strconv.Itoa(int(code))).Inc()
}
