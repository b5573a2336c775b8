package console_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/console"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// openPage is a page that is open in a browser: its stream, and what it shows.
type openPage struct {
	*client
	path    string
	changes chan struct{}
	digest  string
}

// openPage opens a page and its stream.
func (c *client) openPage(path string) *openPage {
	c.t.Helper()
	page := c.get(path)
	c.want(page, http.StatusOK)
	p := c.stream(page)
	p.path = path
	return p
}

// stream opens the stream of a page.
func (c *client) stream(page answer) *openPage {
	c.t.Helper()
	p := &openPage{client: c, changes: make(chan struct{}, 100)}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+"/live?since="+between(c.t, page.body, `data-mark="`, `"`), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() == "event: changed" {
				p.changes <- struct{}{}
			}
		}
	}()
	c.t.Cleanup(func() {
		_ = resp.Body.Close()
		<-ended
	})
	return p
}

// again is what the page does when something has changed.
func (p *openPage) again() answer {
	a := p.get(p.path, "X-Live", "changed", "X-Have", p.digest)
	p.digest = a.header.Get("X-Digest")
	return a
}

func (p *openPage) changed() {
	p.t.Helper()
	select {
	case <-p.changes:
	case <-time.After(patience):
		p.t.Fatal("the page is not told of the change")
	}
}

// contactEvent is an event that no rule matches.
func contactEvent() journal.Event {
	return journal.Event{Portal: demo.PortalName, Code: "ONCRMCONTACTADD", Data: json.RawMessage(`{"FIELDS":{"ID":"7"}}`)}
}

// TestOpenPagesShareOneLook: however many pages of a user are open at one address, the database is read
// once for each change. A page that has the same already gets nothing. Users do not share pages.
func TestOpenPagesShareOneLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	oncall, guest := w.client(), w.client()
	oncall.signIn("oncall", "correct horse")
	guest.signIn("guest", "correct horse")
	run := w.fail("Roof")
	w.h.Wait()
	var pages []*openPage
	for range 8 {
		pages = append(pages, oncall.openPage("/portals"))
	}
	pages = append(pages, guest.openPage("/portals"))
	rules := oncall.openPage("/rules")
	all := func() []answer {
		answers := make([]answer, len(pages))
		var wg sync.WaitGroup
		for i, p := range pages {
			wg.Go(func() { answers[i] = p.again() })
		}
		wg.Wait()
		return answers
	}
	change := func() {
		t.Helper()
		if err := w.h.Service.Queue().Push(t.Context(), contactEvent(), nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range append(pages, rules) {
			p.changed()
		}
	}
	for i := range 2 {
		change()
		before := w.looks.Load()
		for _, a := range all() {
			if a.status != http.StatusOK || !strings.Contains(a.body, "failing") || a.header.Get("X-Digest") == "" {
				t.Errorf("a page after a change: %d", a.status)
			}
		}
		if n := w.looks.Load() - before; n != 2 {
			t.Errorf("change %d: %d open pages of two users looked %d times at the portals", i, len(pages), n)
		}
		before = w.looks.Load()
		for _, a := range all() {
			if a.status != http.StatusNoContent || a.body != "" || a.header.Get("X-As-Of") == "" {
				t.Errorf("a page that has the same already gets %d, %.100q", a.status, a.body)
			}
		}
		if n := w.looks.Load() - before; n != 0 {
			t.Errorf("without a change, %d looks", n)
		}
	}
	// The rules have not changed with the event: the page gets nothing.
	rules.again()
	change()
	if a := rules.again(); a.status != http.StatusNoContent {
		t.Errorf("the page of rules has not changed, and gets %d", a.status)
	}
	// An address that leads to another one does so for all.
	for range 2 {
		oncall.want(oncall.get("/", "X-Live", "changed"), http.StatusSeeOther)
	}
	// A viewer has no buttons, also not those of a page that an operator has read.
	const causes = "/runs?state=parked&group=cause"
	if a := oncall.get(causes, "X-Live", "changed"); !strings.Contains(a.body, "/acknowledge") {
		t.Error("the operator has no buttons")
	}
	if a := guest.get(causes, "X-Live", "changed"); !strings.Contains(a.body, "1 cause") || strings.Contains(a.body, "/acknowledge") {
		t.Error("a viewer sees the page of an operator")
	}
	// A page that reads itself for another reason sees what has just happened.
	page := fmt.Sprintf("/runs/%d", run)
	oncall.get(page, "X-Live", "changed")
	oncall.want(oncall.post(page+"/discard"), http.StatusSeeOther)
	if a := oncall.get(page, "X-Live", "1"); !strings.Contains(a.body, "discarded") {
		t.Error("a page that comes back shows an old state")
	}
}

// TestNoChangeIsLost: what changes between the load of a page and the start of its stream reaches it.
func TestNoChangeIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	page := c.get("/events")
	if err := w.h.Service.Queue().Push(t.Context(), contactEvent(), nil); err != nil {
		t.Fatal(err)
	}
	c.stream(page).changed()
}

// BenchmarkOpenPages is what a change costs if 50 pages of runs are open: they share one look, or each looks
// for itself.
func BenchmarkOpenPages(b *testing.B) {
	q, err := queue.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "b24rules.db"), queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	for i := range 200 {
		if err := q.Push(b.Context(), contactEvent(), []queue.Route{{Rule: "r", Entity: fmt.Sprint("contact:", i)}}); err != nil {
			b.Fatal(err)
		}
	}
	c := &config.Config{Portals: []config.Portal{{Name: demo.PortalName}}, Console: config.Console{Access: access.Rules{Open: true}}}
	pages := console.New(console.Options{
		Queue: q, Config: func() *config.Config { return c }, Broken: func() []config.BrokenPortal { return nil },
		Rules: func() *fleet.Generation { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	handler := pages.Handler()
	const open = 50
	for _, mode := range []struct{ name, live string }{{"shared", "changed"}, {"alone", "1"}} {
		b.Run(mode.name, func(b *testing.B) {
			digests := make([]string, open)
			for i := 0; b.Loop(); i++ {
				pages.SetChanged(fmt.Sprint(mode.name, i))
				for k := range open {
					req := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/runs", nil)
					req.Header.Set("X-Live", mode.live)
					req.Header.Set("X-Have", digests[k])
					out := httptest.NewRecorder()
					handler.ServeHTTP(out, req)
					if out.Code >= 400 {
						b.Fatal(out.Code)
					}
					digests[k] = out.Header().Get("X-Digest")
				}
			}
		})
	}
}
