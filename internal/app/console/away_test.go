package console_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
)

// TestBrowserDatabaseAway takes the database away: an open page says so and keeps what it shows,
// also after a reload and without script. A form does nothing. When the database is back, the page
// continues without a reload.
func TestBrowserDatabaseAway(t *testing.T) {
	t.Parallel()
	pg, err := pgtemp.Start(t.Context())
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := openWorld(t, apptest.Options{
		Rules: fstest.MapFS{"share.yaml": {Data: []byte(testRules)}}, Inputs: map[string]map[string]string{}, Database: pg.DSN("postgres"),
	}, users(t)...)
	parked := w.fail("Roof")
	b, c := w.browser(), w.client()
	c.signIn("oncall", "correct horse")
	page := fmt.Sprintf("/runs/%d", parked)
	c.want(c.get("/runs"), http.StatusOK, "division by zero")
	c.want(c.get("/audit", "Accept", "application/json"), http.StatusOK)
	b.open(page)
	b.signIn("oncall", "correct horse")
	b.do("the run", shows("stopped at step 3"), until("document.getElementById('live').textContent.startsWith('Live')"), run("window.marked = true"))

	if err := pg.Halt(); err != nil {
		t.Fatal(err)
	}
	const kept = "The database cannot be read now"
	b.do("the open page says so, and keeps what it shows", shows(kept), shows("stopped at step 3"), until("window.marked && !document.getElementById('live').textContent.startsWith('Live')"))
	a := c.get("/runs")
	c.want(a, http.StatusServiceUnavailable, kept, "division by zero", `id="live"`)
	if a.header.Get("Retry-After") == "" {
		t.Error("the answer does not say when to ask again")
	}
	c.want(c.get("/runs", "Accept", "application/json"), http.StatusServiceUnavailable, `"title": "The database cannot be read now"`)
	c.want(c.get("/events"), http.StatusServiceUnavailable, "The database cannot be read now", "Nothing is lost")
	c.want(c.post(page+"/replay"), http.StatusServiceUnavailable)
	stranger := w.client()
	a = stranger.get("/runs", "Cookie", "b24rules=guessed")
	stranger.want(a, http.StatusServiceUnavailable)
	if s := "division by zero"; strings.Contains(a.body, s) {
		t.Errorf("a stranger sees %q", s)
	}
	b.open(page)
	b.do("the page after a reload", shows(kept), shows("stopped at step 3"))
	b.open("/events")
	b.do("a page that was not seen", shows("Nothing is lost"))

	if err := pg.Run(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	b.do("it comes when the database is back", until("location.pathname === '/events' && document.querySelector('tbody a')"))
	b.open(page)
	b.do("it is live", until("document.getElementById('away').hidden && document.getElementById('live').textContent.startsWith('Live')"))
	c.want(c.get("/runs"), http.StatusOK, "division by zero")
	runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{Portal: demo.PortalName, States: []journal.State{journal.Parked}})
	if err != nil || len(runs) != 1 {
		t.Errorf("the replay without a database did something: %v, %v", runs, err)
	}
	c.want(c.post("/logout"), http.StatusSeeOther)
	if err := pg.Halt(); err != nil {
		t.Fatal(err)
	}
	if a := c.get("/runs"); a.status == http.StatusOK || strings.Contains(a.body, "division by zero") {
		t.Error("a page is shown after the sign-out")
	}
	if err := pg.Run(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
