package service

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/b24rules/b24rules/internal/ingest"
)

// seriesOf counts the series of the metrics as Prometheus stores them.
func seriesOf(t *testing.T, m *metrics) (n int) {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, one := range f.Metric {
			n++
			if h := one.GetHistogram(); h != nil {
				n += len(h.Bucket) + 2
			}
		}
	}
	return n
}

// TestSeriesOf500Portals: the number of series grows with the portals of the configuration, and
// with nothing that a stranger or a portal can choose. A removed portal leaves none.
func TestSeriesOf500Portals(t *testing.T) {
	m := newMetrics()
	empty := seriesOf(t, m)
	const portals, most = 500, 40
	name := func(i int) string { return fmt.Sprint("portal-", i) }
	for i := range portals {
		for _, status := range []int{200, 400, 503} {
			m.event(ingest.Result{Portal: name(i), Status: status, Proven: true})
		}
		for _, status := range []int{400, 403, 405, 413} {
			m.event(ingest.Result{Portal: name(i), Status: status})
			m.event(ingest.Result{Status: status}) // ingest names no unknown portal
		}
		for _, outcome := range []string{"done", "skipped", "failed", "parked", "postponed"} {
			m.attempts.WithLabelValues(name(i), outcome).Inc()
		}
		m.storing.WithLabelValues(name(i)).Set(1)
		m.restSeconds.WithLabelValues(name(i)).Observe(1)
	}
	if n := seriesOf(t, m) - empty; n > portals*most {
		t.Errorf("%d series of %d portals, want at most %d", n, portals, portals*most)
	}
	for i := range portals {
		m.forget(name(i))
	}
	if n := seriesOf(t, m) - empty; n > 10 {
		t.Errorf("%d series of removed portals", n)
	}
}

var (
	inQuery = regexp.MustCompile(`(b24rules_[a-z_]+)(?:\{([^}]*)\})?`)
	inDesc  = regexp.MustCompile(`fqName: "(b24rules_[a-z_]+)".*variableLabels: \{([^}]*)\}`)
	aLabel  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
)

// TestMonitoringFiles: the alert rules and the dashboard in docs/monitoring name metrics and labels
// that exist. promtool tests what the rules say.
func TestMonitoringFiles(t *testing.T) {
	m := newMetrics()
	m.registry.MustRegister(gauges{})
	descs := make(chan *prometheus.Desc, 1000)
	m.registry.Describe(descs)
	close(descs)
	known := map[string]string{"b24rules_log_lost_lines_total": "file"} // made for each file
	for d := range descs {
		if found := inDesc.FindStringSubmatch(d.String()); found != nil {
			known[found[1]] = found[2]
		}
	}
	if len(known) < 25 {
		t.Fatalf("only %d metrics: %v", len(known), known)
	}
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml", "grafana.json"} {
		text, err := os.ReadFile("../../../docs/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, found := range inQuery.FindAllStringSubmatch(strings.ReplaceAll(string(text), `\"`, `"`), -1) {
			name := found[1]
			for _, end := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, end)
			}
			labels, ok := known[name]
			if !ok {
				t.Errorf("%s: no metric %s", file, found[1])
			}
			for _, l := range aLabel.FindAllStringSubmatch(found[2], -1) {
				if l[1] != "instance" && l[1] != "job" && !strings.Contains(","+labels+",", ","+l[1]+",") {
					t.Errorf("%s: %s has no label %s, only %s", file, name, l[1], labels)
				}
			}
			n++
		}
		if n == 0 {
			t.Errorf("%s names no metric", file)
		}
	}
}
