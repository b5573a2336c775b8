package service

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/app/logfile"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/shadow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the counters of a service. Labels hold the names of portals in the
// configuration, statuses, states and outcomes, but no secret and nothing that a
// stranger can choose.
type metrics struct {
	registry *prometheus.Registry

	events       *prometheus.CounterVec   // with the right token, by portal and status
	unproven     *prometheus.CounterVec   // other requests, by portal and status
	eventSeconds prometheus.Histogram     // until an event was answered
	storing      *prometheus.GaugeVec     // events that wait to be stored, by portal
	attempts     *prometheus.CounterVec   // of runs, by portal and outcome
	runSeconds   prometheus.Histogram     // of an attempt
	delaySeconds prometheus.Histogram     // from an event to the end of its run
	restSeconds  *prometheus.HistogramVec // of a request, by portal
	alerts       *prometheus.CounterVec   // messages of alerts, by receiver and result
	holds        *prometheus.GaugeVec     // 1 for each hold, by portal, rule and cause
	ticks        *prometheus.CounterVec   // of schedules, by portal, rule and result
	comparisons  *prometheus.CounterVec   // of the shadow mode, by portal, rule and result
}

func newMetrics() *metrics {
	m := &metrics{
		registry:     prometheus.NewRegistry(),
		events:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b24rules_events_total", Help: "Events with the right token, by the status of the answer."}, []string{"portal", "status"}),
		unproven:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b24rules_unproven_requests_total", Help: "Requests without the right token, which anybody can send, by the status of the answer; portal is empty for names that are not configured."}, []string{"portal", "status"}),
		eventSeconds: seconds("b24rules_event_seconds", "Time until an event was answered.", prometheus.ExponentialBuckets(0.0005, 2, 16)),
		storing:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "b24rules_events_storing", Help: "Events that wait to be stored."}, []string{"portal"}),
		attempts:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b24rules_run_attempts_total", Help: "Attempts of runs, by outcome."}, []string{"portal", "outcome"}),
		runSeconds:   seconds("b24rules_run_seconds", "Time that an attempt of a run took.", prometheus.ExponentialBuckets(0.001, 2, 18)),
		delaySeconds: seconds("b24rules_event_to_end_seconds", "Time from the first event of a run to its successful end.", prometheus.ExponentialBuckets(0.05, 2, 18)),
		restSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "b24rules_rest_request_seconds", Help: "Time until a portal answered a request.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}, []string{"portal"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b24rules_alert_messages_total", Help: "Attempts to send a message of an alert, by result: sent or failed."}, []string{"receiver", "result"}),
		holds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "b24rules_hold", Help: "1 while the runs of a portal, or of one of its rules, wait because of a fault.",
		}, []string{"portal", "rule", "cause"}),
		ticks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "b24rules_ticks_total", Help: "Ticks of schedules, by result: started, missed (too late after an absence) or busy (the runs of the last tick were still being stored).",
		}, []string{"portal", "rule", "result"}),
		comparisons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "b24rules_shadow_runs_total", Help: "Runs in shadow mode, by what the comparison with the portal showed.",
		}, []string{"portal", "rule", "result"}),
	}
	m.registry.MustRegister(m.events, m.unproven, m.eventSeconds, m.storing, m.attempts, m.runSeconds, m.delaySeconds, m.restSeconds, m.alerts, m.holds, m.ticks, m.comparisons,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// countLost registers the counter of lines that log files have not received.
func (m *metrics) countLost(files []*logfile.File) {
	for _, f := range files {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "b24rules_log_lost_lines_total", Help: "Lines that a log file did not receive, because it could not be written.", ConstLabels: prometheus.Labels{"file": f.Name()},
		}, func() float64 { return float64(f.Lost()) }))
	}
}

// compared counts a comparison of the shadow mode.
func (m *metrics) compared(c shadow.Comparison) {
	result := "differed"
	switch {
	case c.Error != "":
		result = "failed"
	case c.Agreed():
		result = "agreed"
	}
	m.comparisons.WithLabelValues(c.Portal, c.Rule, result).Inc()
}

// hold shows a hold; a hold without a cause has ended.
func (m *metrics) hold(h queue.Hold) {
	m.holds.DeletePartialMatch(prometheus.Labels{"portal": h.Portal, "rule": h.Rule})
	if h.Cause != "" {
		m.holds.WithLabelValues(h.Portal, h.Rule, h.Cause).Set(1)
	}
}

func seconds(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// forget ends the series of a removed portal, but not that of its hold.
func (m *metrics) forget(portal string) {
	labels := prometheus.Labels{"portal": portal}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.events, m.unproven, m.storing, m.attempts, m.restSeconds, m.ticks, m.comparisons} {
		v.DeletePartialMatch(labels)
	}
}

// event counts a request that ingest has answered. Strangers must not change the
// counters of events, because alerts use them.
func (m *metrics) event(r ingest.Result) {
	if !r.Proven {
		m.unproven.WithLabelValues(r.Portal, strconv.Itoa(r.Status)).Inc()
		return
	}
	m.events.WithLabelValues(r.Portal, strconv.Itoa(r.Status)).Inc()
	m.eventSeconds.Observe(r.Took.Seconds())
}

// timed measures the requests to a portal.
type timed struct {
	http.RoundTripper
	seconds prometheus.Observer
}

// RoundTrip implements http.RoundTripper.
func (t timed) RoundTrip(r *http.Request) (*http.Response, error) {
	started := time.Now()
	resp, err := t.RoundTripper.RoundTrip(r)
	t.seconds.Observe(time.Since(started).Seconds())
	return resp, err
}

// gauges are metrics that are read for each request of the metrics.
type gauges struct {
	backlogs *backlogs
	conns    *ingest.Conns
	portals  *portals
	status   func(ctx context.Context) (report.Status, error)
	log      *slog.Logger
}

var (
	runsDesc    = prometheus.NewDesc("b24rules_runs", "Unfinished and parked runs, by state.", []string{"portal", "state"}, nil)
	overdueDesc = prometheus.NewDesc("b24rules_oldest_due_seconds", "Seconds since the longest overdue run became due.", []string{"portal"}, nil)
	stateDesc   = prometheus.NewDesc("b24rules_portal_state", "1 for the state in which a portal is, in the words of b24rules status and of the console.", []string{"portal", "state"}, nil)
	shadowDesc  = prometheus.NewDesc("b24rules_portal_shadow", "1 for a portal in shadow mode, whose rules write nothing.", []string{"portal"}, nil)
	driftDesc   = prometheus.NewDesc("b24rules_drift", "Entities that differed from what the rule would write, when serve compared them last.", []string{"portal", "rule"}, nil)
	driftAtDesc = prometheus.NewDesc("b24rules_drift_checked_seconds", "Unix time of the last comparison of a portal that has seen everything.", []string{"portal"}, nil)
	storedDesc  = prometheus.NewDesc("b24rules_database_up", "1 when the database answers.", nil, nil)

	openDesc    = prometheus.NewDesc("b24rules_connections", "Open connections to the event handler.", nil, nil)
	closedDesc  = prometheus.NewDesc("b24rules_connections_closed_total", "Connections closed to make room for others.", nil, nil)
	refusedDesc = prometheus.NewDesc("b24rules_connections_refused_total", "Connections refused because all others were busy.", nil, nil)

	restDesc = map[string]*prometheus.Desc{
		"requests": restCounter("requests", "Requests sent to the portal."),
		"batches":  restCounter("batches", "Requests that were batches."),
		"commands": restCounter("commands", "Calls in these requests."),
		"writes":   restCounter("writes", "Calls that were writes."),
		"refused":  restCounter("refused", "Requests refused by the portal's rate limit."),
		"repeated": restCounter("repeated", "Calls sent again."),
	}
	waitingDesc = prometheus.NewDesc("b24rules_rest_waiting", "Calls that wait for their turn.", []string{"portal"}, nil)
)

func restCounter(what, help string) *prometheus.Desc {
	return prometheus.NewDesc("b24rules_rest_"+what+"_total", help, []string{"portal"}, nil)
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsDesc, overdueDesc, storedDesc, openDesc, closedDesc, refusedDesc, waitingDesc, shadowDesc, stateDesc, driftDesc, driftAtDesc} {
		ch <- d
	}
	for _, d := range restDesc {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := g.backlogs.read(ctx)
	up := 1.0
	if err != nil {
		g.log.Warn("metrics: the database does not answer", slog.Any("error", err))
		up = 0
	}
	gauge(storedDesc, up)
	for _, b := range all {
		for state, n := range b.runs {
			gauge(runsDesc, float64(n), b.portal, string(state))
		}
		gauge(overdueDesc, b.overdue.Seconds(), b.portal)
	}
	status, err := g.status(ctx)
	if err != nil && up == 1 {
		g.log.Warn("metrics: cannot read how the portals are", slog.Any("error", err))
	}
	for _, p := range status.Portals {
		gauge(stateDesc, 1, p.Portal, string(p.Condition))
		if p.Drift == nil {
			continue
		}
		for _, r := range p.Drift.Rules {
			if r.NotCompared == "" {
				gauge(driftDesc, float64(r.Differing), p.Portal, r.Rule)
			}
		}
		if p.Drift.Complete() {
			gauge(driftAtDesc, float64(p.Drift.At.Unix()), p.Portal)
		}
	}
	conns := g.conns.Stats()
	gauge(openDesc, float64(conns.Open))
	counter(closedDesc, conns.Closed)
	counter(refusedDesc, conns.Refused)
	for _, p := range g.portals.all() {
		s := p.Client.Stats()
		for what, n := range map[string]int64{
			"requests": s.Requests, "batches": s.Batches, "commands": s.Commands,
			"writes": s.Writes, "refused": s.Refused, "repeated": s.Repeated,
		} {
			counter(restDesc[what], n, p.Name)
		}
		gauge(waitingDesc, float64(s.Waiting), p.Name)
		if p.Shadow() {
			gauge(shadowDesc, 1, p.Name)
		}
	}
}

// ServeMetrics answers GET /metrics at an address until end is called. The address
// for events is open to the internet, and metrics are private, so they have their
// own address.
func (s *Service) ServeMetrics(ctx context.Context, addr string) (end func(), err error) {
	ln, err := Listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}))
	server := NewServer(mux, s.log)
	s.log.Info("metrics", slog.String("url", "http://"+ln.Addr().String()+"/metrics"))
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(ln) }) // ends with Close
	return func() {
		_ = server.Close()
		served.Wait()
	}, nil
}
