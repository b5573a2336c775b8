package service_test

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// TestClockThatWasFast: the clock was two days ahead before the start. An event that was
// stored then does not wait for that time, a reminder that was omitted because it seemed
// late is planned again, and none that was sent is sent twice.
func TestClockThatWasFast(t *testing.T) {
	t.Parallel()
	for _, db := range []struct{ name, dsn string }{{"SQLite", ""}, {"PostgreSQL", testkit.NewPostgres(t)}} {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, apptest.Options{
				Database: db.dsn,
				Inputs:   map[string]map[string]string{},
				Rules: fstest.MapFS{"remind.yaml": {Data: []byte(`version: 1
rules:
  remind:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - at: =date(deal.title)
        notify: {to: 1, message: "deal {{ event.id }} is due"}
`)}},
			})
			add := func(in time.Duration) (id int) {
				h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": time.Now().Add(in).UTC().Format(time.RFC3339)}}, &id)
				h.Wait()
				return id
			}
			planned := add(2 * time.Hour)
			h.waitLook() // it would count a time that has passed as done
			due := add(-time.Hour)
			asleep := func() int {
				all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: "remind", States: []journal.State{journal.Asleep}})
				if err != nil {
					t.Fatal(err)
				}
				return len(all)
			}
			if n := asleep(); n != 1 || len(h.Portal.Notifications()) != 1 {
				t.Fatalf("%d runs asleep, and %d notifications; want one each", n, len(h.Portal.Notifications()))
			}
			// While the clock is ahead, the sleeping run starts, is late and plans nothing.
			err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, tx store.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE b24_run SET state = 'succeeded' WHERE entity = $1 AND state = 'waiting'`, fmt.Sprint("deal:", planned))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			err = h.Service.Queue().Push(h.Context(), journal.Event{Portal: demo.PortalName, Code: "ONCRMDEALUPDATE", Received: time.Now().Add(48 * time.Hour)},
				[]queue.Route{{Rule: "remind", Entity: fmt.Sprint("deal:", due), Debounce: time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			h.Stop()
			h.Start()
			h.Until("the reminder is planned again", func() bool { return asleep() == 1 })
			h.Until("no run waits for the wrong time", func() bool {
				all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Waiting}})
				return err == nil && len(all) == 0
			})
			h.Wait()
			if n := len(h.Portal.Notifications()); n != 1 {
				t.Errorf("%d notifications, want one", n)
			}
			if h.Logged("the clock was set back, repairing the times of runs, jobs and schedules") != 1 {
				t.Error("the log does not say that the clock was set back")
			}
		})
	}
}
