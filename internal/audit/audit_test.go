package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// postgres are the databases of this process.
var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// databases opens a database of each kind.
func databases(t *testing.T) map[string]store.DB {
	t.Helper()
	out := map[string]store.DB{}
	for name, q := range queues(t) {
		out[name] = q.Database()
	}
	return out
}

// queues opens a queue of each kind.
func queues(t *testing.T) map[string]*queue.Queue {
	t.Helper()
	out := map[string]*queue.Queue{}
	for name, dsn := range postgres.Each(t) {
		q, err := queue.Open(t.Context(), dsn, queue.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		})
		out[name] = q
	}
	return out
}

func TestLog(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			l := audit.New(db)
			now := time.Now()
			for _, e := range []audit.Entry{
				{At: now.Add(-401 * 24 * time.Hour), Who: "old", Action: audit.Paused},
				{Who: "anna", Via: audit.ViaConsole, Action: audit.Replayed, Portal: "acme", Target: "cause 8c1e", Runs: 41, Result: strings.Repeat("я", 500)},
				{Who: "ivan", Via: audit.ViaCLI, Action: audit.Paused, Portal: "bolt"},
				{Who: "x\x00y\xff", Via: audit.ViaConsole, Action: audit.Refused},
			} {
				if err := l.Add(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			for _, tt := range []struct {
				f    audit.Filter
				want string
			}{
				{audit.Filter{}, "xy\uFFFD ivan anna"},
				{audit.Filter{Limit: 2}, "xy\uFFFD ivan"},
				{audit.Filter{Who: "anna"}, "anna"},
				{audit.Filter{Action: audit.Paused}, "ivan"},
				{audit.Filter{Portal: "acme"}, "anna"},
				{audit.Filter{Portals: []string{"acme"}}, "xy\uFFFD anna"},
				{audit.Filter{Portals: []string{}}, "xy\uFFFD"},
			} {
				list, err := l.List(t.Context(), tt.f)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, e := range list {
					names = append(names, e.Who)
				}
				if got := strings.Join(names, " "); got != tt.want {
					t.Errorf("%+v: %q, want %q", tt.f, got, tt.want)
				}
			}
			first, err := l.List(t.Context(), audit.Filter{Who: "anna"})
			if err != nil || len(first) != 1 || first[0].Runs != 41 || len(first[0].Result) > 510 || first[0].At.Before(now.Add(-time.Minute)) {
				t.Errorf("%+v, %v", first, err)
			}
			if before, err := l.List(t.Context(), audit.Filter{Before: first[0].ID}); err != nil || len(before) != 0 {
				t.Errorf("an entry of 400 days ago is kept: %+v, %v", before, err)
			}
		})
	}
}

func TestSessions(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			s := access.Sessions{DB: db}
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			who := func(token string, at time.Time) string {
				t.Helper()
				name, ok, err := s.Who(t.Context(), token, at, true)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					return ""
				}
				return name
			}
			token, err := s.Start(t.Context(), "anna", now)
			if err != nil {
				t.Fatal(err)
			}
			if who(token, now) != "anna" || who("", now) != "" || who(token+"x", now) != "" {
				t.Error("who has the session")
			}
			for at := now; at.Before(now.Add(11 * time.Hour)); at = at.Add(30 * time.Minute) {
				if who(token, at) != "anna" {
					t.Fatalf("a session that is used ends after %s", at.Sub(now))
				}
			}
			if who(token, now.Add(12*time.Hour)) != "" {
				t.Error("a session lasts for more than 12 hours")
			}
			idle, err := s.Start(t.Context(), "ivan", now.Add(11*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := s.Who(t.Context(), idle, now.Add(11*time.Hour+50*time.Minute), false); err != nil || !ok { // an open page looks
				t.Errorf("a live page has no session: %v", err)
			}
			if who(idle, now.Add(12*time.Hour+time.Second)) != "" {
				t.Error("a session that is not used for an hour has not ended")
			}
			ended, err := s.Start(t.Context(), "ivan", now.Add(20*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.End(t.Context(), ended); err != nil {
				t.Fatal(err)
			}
			if who(ended, now.Add(20*time.Hour)) != "" {
				t.Error("a session that was ended lives")
			}
		})
	}
}

func TestAcknowledgements(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			for _, known := range [][]string{{cause.Place("acme", "total")}, {cause.Place("acme", "total"), cause.Place("bolt", "total")}} {
				err := db.Write(t.Context(), func(ctx context.Context, t store.Tx) error {
					return cause.Acknowledge(ctx, t, cause.Acknowledged{Cause: "8c1e", By: "anna", At: time.Now(), Known: known})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			all, err := cause.Acknowledgements(t.Context(), db)
			if err != nil || len(all) != 1 || !all["8c1e"].Covers("bolt", "total") || all["8c1e"].Covers("bolt", "other") || all["none"].Covers("acme", "total") {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

// TestActsAndTheirEntries: what people do and its entry are one transaction, and the entry of an
// act on many runs counts them.
func TestActsAndTheirEntries(t *testing.T) {
	for name, q := range queues(t) {
		t.Run(name, func(t *testing.T) {
			log := audit.New(q.Database())
			entry := func(a audit.Action) queue.Also {
				return audit.Counting(audit.Entry{Who: "anna", Via: audit.ViaCLI, Action: a})
			}
			broken := func(context.Context, store.Tx, int) error { return errors.New("no room") }
			push := func(entity string, also ...queue.Also) error {
				return q.Push(t.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE"}, []queue.Route{{Rule: "r", Entity: entity}}, also...)
			}
			for i := range 3 {
				if err := push(fmt.Sprint("deal:", i), entry(audit.Ran)); err != nil {
					t.Fatal(err)
				}
			}
			if err := push("deal:9", broken); err == nil {
				t.Error("an event is stored without its entry")
			}
			if err := q.Pause(t.Context(), "acme", "", "", broken); err == nil {
				t.Error("a pause is stored without its entry")
			}
			if n, err := q.DiscardAll(t.Context(), journal.Filter{States: []journal.State{journal.Waiting}}, "anna", broken); err == nil || n != 0 {
				t.Errorf("%d runs are discarded without an entry, %v", n, err)
			}
			if n, err := q.DiscardAll(t.Context(), journal.Filter{States: []journal.State{journal.Waiting}}, "anna", entry(audit.Discarded)); err != nil || n != 3 {
				t.Fatalf("%d runs are discarded, %v", n, err)
			}
			if err := q.Replay(t.Context(), 1, "anna", broken); err == nil {
				t.Error("a run is replayed without its entry")
			}
			if err := q.Replay(t.Context(), 1, "anna", entry(audit.Replayed)); err != nil {
				t.Fatal(err)
			}
			if was, err := q.Resume(t.Context(), "acme", "", entry(audit.Resumed)); err != nil || was {
				t.Errorf("a portal that is not paused is resumed: %v, %v", was, err)
			}
			all, err := log.List(t.Context(), audit.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range all {
				got = append(got, fmt.Sprint(e.Action, " ", e.Runs))
			}
			if want := "replayed 1, discarded 3, ran 1, ran 1, ran 1"; strings.Join(got, ", ") != want {
				t.Errorf("entries %q, want %q", got, want)
			}
		})
	}
}

// TestActs: the entry of an act is stored before it does anything, and counts only what is stored
// with it.
func TestActs(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			l := audit.New(db)
			want := func(result string) {
				t.Helper()
				all, err := l.List(t.Context(), audit.Filter{Action: audit.Pruned})
				if err != nil || len(all) != 1 || all[0].Result != result || all[0].Target != "rule r" {
					t.Errorf("entries %+v, %v; want one of %s", all, err, result)
				}
			}
			act, err := l.Begin(t.Context(), audit.Entry{Action: audit.Pruned, Target: "rule r"}, func(n int) string { return fmt.Sprint(n, " deleted") })
			if err != nil {
				t.Fatal(err)
			}
			want("0 deleted")
			for _, one := range []struct {
				n    int
				err  error
				want string
			}{{2, nil, "2 deleted"}, {3, errors.New("no room"), "2 deleted"}, {1, nil, "3 deleted"}} {
				if err := act.Do(t.Context(), one.n, func(context.Context, store.Tx) error { return one.err }); !errors.Is(err, one.err) {
					t.Errorf("do: %v, want %v", err, one.err)
				}
				want(one.want)
			}
		})
	}
}
