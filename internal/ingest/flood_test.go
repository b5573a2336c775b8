package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
)

// site is a handler behind a real socket, with a bound on its connections.
type site struct {
	t     *testing.T
	addr  string
	conns *ingest.Conns
	log   *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serve(t *testing.T, most int, c ingest.Config) *site {
	t.Helper()
	log := &syncBuffer{}
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	c.Portal = func(name string) (ingest.Digest, bool) {
		return ingest.DigestOf(token), name == "acme" || name == "other"
	}
	if c.Push == nil {
		c.Push = func(context.Context, string, bitrix.Event) error { return nil }
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, addr: ln.Addr().String(), conns: &ingest.Conns{Most: most, Log: c.Log}, log: log}
	server := &http.Server{Handler: ingest.New(c), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ended := make(chan error)
	guarded := s.conns.Guard(server, ln)
	go func() { ended <- server.Serve(guarded) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return s
}

// dial opens a connection and writes the beginning of a request.
func (s *site) dial(beginning string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, beginning); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// request is a whole event for a portal.
func request(portal string) string {
	return fmt.Sprintf("POST /hooks/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", portal, formURL, len(body), body)
}

// status reads an answer; 0 is a connection that was closed without one.
func status(conn net.Conn) int {
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Minute))
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return r.StatusCode
}

// open waits until the server has so many connections.
func (s *site) open(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); s.conns.Stats().Open != n; runtime.Gosched() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d connections are open, want %d", s.conns.Stats().Open, n)
		}
	}
}

// TestAFloodOfConnections: strangers who send nothing, half a header or half a
// body hold every connection there is, and an event is stored all the same.
func TestAFloodOfConnections(t *testing.T) {
	const most = 20
	s := serve(t, most, ingest.Config{})
	half := request("acme")
	var flood []net.Conn
	for i := range 3 * most {
		flood = append(flood, s.dial([]string{"", "POST /hooks/acme HTT", half[:len(half)-10]}[i%3]))
	}
	for range 5 {
		if got := status(s.dial(request("acme"))); got != 200 {
			t.Fatalf("status %d in a flood, want 200", got)
		}
	}
	stats := s.conns.Stats()
	if stats.Open > most || stats.Closed < 2*most || stats.Refused != 0 {
		t.Errorf("stats are %+v, want at most %d open, at least %d closed and none refused", stats, most, 2*most)
	}
	if got := status(flood[0]); got == 200 {
		t.Error("the oldest connection of the flood was answered")
	}
	if !strings.Contains(s.log.String(), "connection limit reached") {
		t.Errorf("the log does not tell of the flood: %s", s.log)
	}
}

// TestAConnectionAtWorkStays: while every connection has an event that is being
// stored, a new one gets 503, and none of the others is lost.
func TestAConnectionAtWorkStays(t *testing.T) {
	const most = 6
	goOn := make(chan struct{})
	var pushing atomic.Int32
	all := make(chan struct{})
	s := serve(t, most, ingest.Config{Push: func(context.Context, string, bitrix.Event) error {
		if pushing.Add(1) == most {
			close(all)
		}
		<-goOn
		return nil
	}})
	var events []net.Conn
	for range most {
		events = append(events, s.dial(request("acme")))
	}
	<-all
	late := s.dial("")
	if got := status(late); got != 503 {
		t.Errorf("one too many got status %d, want 503", got)
	}
	close(goOn)
	for _, conn := range events {
		if got := status(conn); got != 200 {
			t.Errorf("status %d, want 200", got)
		}
	}
	if stats := s.conns.Stats(); stats.Refused != 1 || stats.Closed != 0 {
		t.Errorf("stats are %+v, want 1 refused and none closed", stats)
	}
	// What is kept alive makes room again, the one first that is idle longest.
	if got := status(s.dial(request("acme"))); got != 200 {
		t.Errorf("status %d after the storm, want 200", got)
	}
}

// TestConnectionsAreForgotten: the books do not keep what has ended.
func TestConnectionsAreForgotten(t *testing.T) {
	s := serve(t, 50, ingest.Config{})
	for range 40 {
		conn := s.dial(request("acme"))
		if got := status(conn); got != 200 {
			t.Fatalf("status %d, want 200", got)
		}
		_ = conn.Close()
	}
	s.open(0)
	refused := s.dial(strings.Replace(request("acme"), token, "k7f3wrong"[:len(token)], 1))
	if got := status(refused); got != 403 {
		t.Fatalf("status %d, want 403", got)
	}
	s.open(0) // a stranger's connection is not kept alive
}

// TestOnePortalInAStorm: a portal with too many events leaves room for the
// others, and the log reports the events that are lost.
func TestOnePortalInAStorm(t *testing.T) {
	goOn := make(chan struct{})
	var pushing sync.WaitGroup
	pushing.Add(3)
	s := serve(t, 0, ingest.Config{PortalEvents: 3, Push: func(_ context.Context, portal string, _ bitrix.Event) error {
		if portal == "acme" {
			pushing.Done()
			<-goOn
		}
		return nil
	}})
	var events []net.Conn
	for range 3 {
		events = append(events, s.dial(request("acme")))
	}
	pushing.Wait()
	if got := status(s.dial(request("acme"))); got != 503 {
		t.Errorf("one too many of a portal got status %d, want 503", got)
	}
	if got := status(s.dial(request("other"))); got != 200 {
		t.Errorf("another portal got status %d, want 200", got)
	}
	pushing.Add(1)
	close(goOn)
	for _, conn := range events {
		if got := status(conn); got != 200 {
			t.Errorf("status %d, want 200", got)
		}
	}
	if got := status(s.dial(request("acme"))); got != 200 {
		t.Errorf("status %d after the storm, want 200", got)
	}
	for _, want := range []string{"too many events of a portal", "level=ERROR msg=event portal=acme event=ONCRMDEALUPDATE status=503 id=759"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, s.log)
		}
	}
}

// TestLargeBodies: only so many are in memory at once, and they never
// block an ordinary event.
func TestLargeBodies(t *testing.T) {
	s := serve(t, 0, ingest.Config{BodyTimeout: time.Minute})
	header := fmt.Sprintf("POST /hooks/acme HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", formURL, 1<<20)
	answers := make(chan int, 60)
	for range 60 {
		conn := s.dial(header + strings.Repeat("x", 1<<18)) // and then no more
		go func() { answers <- status(conn) }()
	}
	for range 60 - 16 {
		if got := <-answers; got != 503 && got != 0 { // 0: what it sent was not read
			t.Errorf("status %d for a large body too many, want 503", got)
		}
	}
	if got := status(s.dial(request("acme"))); got != 200 {
		t.Errorf("status %d for an event beside large bodies, want 200", got)
	}
}

// TestAnAnnouncedBody: what says that it is too large is not read at all.
func TestAnAnnouncedBody(t *testing.T) {
	s := serve(t, 0, ingest.Config{BodyTimeout: time.Minute})
	conn := s.dial(fmt.Sprintf("POST /hooks/acme HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", formURL, 1<<40))
	if got := status(conn); got != 413 {
		t.Errorf("status %d, want 413", got)
	}
	endless := s.dial("POST /hooks/acme HTTP/1.1\r\nHost: x\r\nContent-Type: " + formURL + "\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		for { // until the server closes
			if _, err := io.WriteString(endless, "8000\r\n"+strings.Repeat("x", 0x8000)+"\r\n"); err != nil {
				return
			}
		}
	}()
	if got := status(endless); got != 413 && got != 0 { // 0: reset before the answer was read
		t.Errorf("status %d for an endless body, want 413", got)
	}
}

// TestGiantForms: a form of many keys or deep ones costs little more than its
// bytes.
func TestGiantForms(t *testing.T) {
	h, got, _ := handler(ingest.Config{})
	start := "event=X&auth[application_token]=" + token + "&"
	for name, form := range map[string]string{
		"many keys":    start + strings.Repeat("a=1&", 250_000),
		"many arrays":  start + strings.Repeat("a[][]=&", 140_000),
		"a deep key":   start + "data" + strings.Repeat("[a]", 300_000) + "=1",
		"deep keys":    start + strings.Repeat("data"+strings.Repeat("[a]", 16)+"=1&", 18_000),
		"a long key":   start + "data[" + strings.Repeat("x", 1_000_000) + "]=1",
		"many escapes": start + "data[x]=" + strings.Repeat("%41", 330_000),
		"only signs":   start + strings.Repeat("&", 1_000_000),
		"only equals":  start + strings.Repeat("=", 1_000_000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		started := time.Now()
		w := post(h, "POST", "/hooks/acme", formURL, form)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 12<<20 {
			t.Errorf("%s: %d MiB for a form of %d bytes", name, used>>20, len(form))
		}
		if took := time.Since(started); took > time.Minute { // they take milliseconds, or hours
			t.Errorf("%s: took %s", name, took)
		}
		if w.Code != 400 && w.Code != 200 {
			t.Errorf("%s: status %d", name, w.Code)
		}
		t.Logf("%s: status %d, %d KiB, %s", name, w.Code, (after.TotalAlloc-before.TotalAlloc)>>10, time.Since(started))
	}
	if len(*got) > 3 {
		t.Errorf("%d giant forms are events", len(*got))
	}
}

// TestRefusalsDoNotFillTheLog: strangers cause a few lines, and events that
// proved their origin each have theirs.
func TestRefusalsDoNotFillTheLog(t *testing.T) { synctest.Test(t, testRefusalsDoNotFillTheLog) }

func testRefusalsDoNotFillTheLog(t *testing.T) {
	h, _, log := handler(ingest.Config{})
	for range 1000 {
		post(h, "POST", "/hooks/acme", formURL, "event=X")
	}
	if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 20 {
		t.Errorf("1000 refusals are %d lines", lines)
	}
	for range 50 {
		post(h, "POST", "/hooks/acme", formURL, body)
	}
	if lines := strings.Count(log.String(), "status=200"); lines != 50 {
		t.Errorf("50 events are %d lines", lines)
	}
}

// TestDone: results have only names of the configuration, and say whether the token was
// right.
func TestDone(t *testing.T) {
	var got []string
	fail := error(nil)
	h, _, _ := handler(ingest.Config{
		Done: func(r ingest.Result) { got = append(got, fmt.Sprint(r.Portal, " ", r.Status, " ", r.Proven)) },
		Push: func(context.Context, string, bitrix.Event) error { return fail },
	})
	post(h, "POST", "/hooks/acme", formURL, body)
	post(h, "POST", "/hooks/acme", formURL, "event=X")
	post(h, "POST", "/hooks/"+strings.Repeat("x", 100), formURL, body)
	fail = errors.New("disk full")
	post(h, "POST", "/hooks/acme", formURL, body)
	fail = ingest.Invalid(errors.New("no id"))
	post(h, "POST", "/hooks/acme", formURL, body)
	if want := "[acme 200 true acme 403 false  403 false acme 503 true acme 400 true]"; fmt.Sprint(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestStrangersCauseNoErrors: only an event with the right token can be logged as an
// error.
func TestStrangersCauseNoErrors(t *testing.T) {
	h, _, log := handler(ingest.Config{
		Push:    func(context.Context, string, bitrix.Event) error { return errors.New("disk full") },
		Install: func(context.Context, string, bitrix.Event) (bool, error) { return true, errors.New("disk full") },
	})
	post(h, "POST", "/hooks/acme", formURL, "event=ONAPPINSTALL")
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "status=503") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("an installation that cannot be checked is logged as %s", log)
	}
	h, _, log = handler(ingest.Config{Push: func(context.Context, string, bitrix.Event) error { return errors.New("disk full") }})
	post(h, "POST", "/hooks/acme", formURL, body)
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("a lost event is logged as %s", log)
	}
}
