package service_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestEverythingRefused holds for each refusal that a portal answers everything with: for
// as long as it lasts, no run is parked, and after it all is worked without a command, in at most
// 1.2 times the time that the rate allows.
func TestEverythingRefused(t *testing.T) {
	m := newModel(t)
	refuse := func(code string, status int) emulator.Fault {
		return emulator.Fault{Kind: emulator.FaultRefuse, Code: code, Status: status}
	}
	const deals = 40
	for _, tt := range []struct {
		name   string
		fault  emulator.Fault
		lasts  time.Duration
		within time.Duration // of its end, until the first run starts
		only   string        // the method that is refused; "" means all
		link   error         // what happens to the network, instead of a fault of the portal
	}{
		{"a page of the provider", emulator.Fault{Kind: emulator.FaultHTML, Status: 502}, 10 * time.Minute, 65 * time.Second, "", nil},
		{"a page of the provider, for a night", emulator.Fault{Kind: emulator.FaultHTML, Status: 502}, 8 * time.Hour, 65 * time.Second, "", nil},
		{"connections are reset", emulator.Fault{Kind: emulator.FaultReset}, 10 * time.Minute, 65 * time.Second, "", nil},
		{"server faults", refuse("INTERNAL_SERVER_ERROR", 500), 2 * time.Hour, 65 * time.Second, "", nil},
		{"a revoked webhook", refuse("INVALID_CREDENTIALS", 401), 2 * time.Hour, 16 * time.Minute, "", nil},
		{"no authorization", refuse("NO_AUTH_FOUND", 401), 10 * time.Minute, 16 * time.Minute, "", nil},
		{"an unpaid plan", refuse("PAYMENT_REQUIRED", 402), 10 * time.Minute, 16 * time.Minute, "", nil},
		{"a deleted portal", refuse("PORTAL_DELETED", 500), 10 * time.Minute, 16 * time.Minute, "", nil},
		{"a renamed portal", emulator.Fault{Kind: emulator.FaultMoved, Location: "https://new.bitrix24.com"}, 10 * time.Minute, 16 * time.Minute, "", nil},
		{"a login page", emulator.Fault{Kind: emulator.FaultHTML, Status: 403}, 10 * time.Minute, 16 * time.Minute, "", nil},
		{"overload", refuse("OVERLOAD_LIMIT", 429), 2 * time.Hour, 16 * time.Minute, "", nil},
		{"no scope for anything", refuse("insufficient_scope", 403), 2 * time.Hour, time.Hour + time.Minute, "", nil},
		{"no right to the list", refuse("ACCESS_DENIED", 400), 2 * time.Hour, 6 * time.Minute, "lists.element.add", nil},
		{"a page for one method", emulator.Fault{Kind: emulator.FaultHTML, Status: 502}, 2 * time.Hour, 6 * time.Minute, "lists.element.add", nil},
		{"one method fails", refuse("INTERNAL_SERVER_ERROR", 500), 10 * time.Minute, 6 * time.Minute, "lists.element.get", nil},
		{"no answer in time", emulator.Fault{Kind: emulator.FaultTimeout}, 10 * time.Minute, 2 * time.Minute, "", nil},
		{"answers are cut off", emulator.Fault{Kind: emulator.FaultTruncate}, 10 * time.Minute, 65 * time.Second, "", nil},
		{"no network", emulator.Fault{}, 2 * time.Hour, 65 * time.Second, "", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}},
		{"connections are refused", emulator.Fault{}, 10 * time.Minute, 65 * time.Second, "", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}},
		{"the name is unknown", emulator.Fault{}, 2 * time.Hour, 65 * time.Second, "", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "main.bitrix24.com", IsNotFound: true}}},
		{"the certificate is not valid", emulator.Fault{}, 2 * time.Hour, 65 * time.Second, "", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
		// Those of the limiter are no hold: the next try is part of the time that all takes.
		{"the rate limit refuses all", refuse("QUERY_LIMIT_EXCEEDED", 503), 10 * time.Minute, 2 * time.Minute, "", nil},
		{"a method has no working time left", refuse("OPERATION_TIME_LIMIT", 429), 10 * time.Minute, 40 * time.Second, "lists.element.add", nil},
	} {
		if testing.Short() {
			tt.lasts = min(tt.lasts, 10*time.Minute) // a longer fault takes more time, and does nothing else
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "b24rules-refused-")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.RemoveAll(dir) }()
			synctest.Test(t, func(t *testing.T) {
				w, err := newWorld(scenario{world: worldKind{plan: emulator.PlanStandard, many: true, latency: 20 * time.Millisecond, grace: time.Second}}, m.rules, dir, m.empty)
				if err != nil {
					t.Fatal(err)
				}
				defer w.close()
				w.start()
				ctx, stop := context.WithCancel(context.Background())
				defer func() { stop(); synctest.Wait() }()
				go w.engine.service.KeepHolds(ctx)
				for range deals {
					w.do(step{op: opAddDeal, rows: []modelRow{{name: "Bolt", cents: 110, tenths: 25}}})
				}
				methods := ofTheEngine
				switch {
				case tt.only != "":
					methods = []string{tt.only}
				case tt.link != nil:
					methods = nil
				}
				w.link.Store(&tt.link)
				for _, method := range methods {
					f := tt.fault
					f.Method = method
					w.faults = append(w.faults, f)
				}
				w.arm()
				w.deliverAll()
				time.Sleep(tt.lasts)
				if n := w.states(t)[journal.Parked]; n > 0 {
					t.Errorf("%d runs are parked under the fault", n)
				}
				w.faults = nil
				w.arm()
				w.link.Store(nil)
				ended := time.Now()
				for len(w.holds(t)) > 0 && time.Since(ended) < 24*time.Hour {
					time.Sleep(time.Second)
				}
				if took := time.Since(ended); took > tt.within {
					t.Errorf("held %v after the end of the fault, want at most %v", took, tt.within)
				}
				free := time.Now()
				slack := 5 * time.Second
				if free.Equal(ended) {
					slack = tt.within
				}
				client := w.engine.service.Portal(demo.PortalName).Client
				before := client.Stats().Requests
				w.finish()
				requests := client.Stats().Requests - before
				if took, rate := time.Since(free), time.Duration(requests)*time.Second/2; took > rate*12/10+slack {
					t.Errorf("%d requests took %v after the hold, and the rate allows them in %v", requests, took, rate)
				}
				if s := w.states(t); s[journal.Parked] > 0 || s[journal.Waiting] > 0 {
					t.Errorf("states after the fault: %v", s)
				}
				w.judge()
				for _, wrong := range w.wrong {
					t.Error(wrong)
				}
				if t.Failed() {
					t.Log(w.logText())
				}
			})
		})
	}
}

// states counts the runs of the engine.
func (w *world) states(t *testing.T) map[journal.State]int {
	t.Helper()
	all, err := journal.Backlogs(t.Context(), w.engine.service.Queue().Database())
	if err != nil {
		t.Fatal(err)
	}
	counts := map[journal.State]int{}
	for _, b := range all {
		counts[b.State] += b.Runs
	}
	return counts
}

// holds are the stored holds of the engine.
func (w *world) holds(t *testing.T) []queue.Hold {
	t.Helper()
	all, err := w.engine.service.Queue().HoldList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
