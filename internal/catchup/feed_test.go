package catchup

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

// portalFunc answers one call.
type portalFunc func(c bitrix.Call) bitrix.Answer

func (f portalFunc) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i, c := range calls {
		out[i] = f(c)
	}
	return out
}

func (portalFunc) ListFields(context.Context, string, int) (*bitrix.ListFields, error) {
	return nil, nil
}

// feedTest feeds a job from a portal, in a testing/synctest bubble.
func feedTest(t *testing.T, j Job, p portalFunc, check func(t *testing.T, q *queue.Queue, job func() Job)) {
	t.Helper()
	feedWithout(t, func(Job) []string { return nil }, j, p, check)
}

// feedWithout is feedTest with rules that do not run.
func feedWithout(t *testing.T, missing func(Job) []string, j Job, p portalFunc, check func(t *testing.T, q *queue.Queue, job func() Job)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		q, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = q.Close() }()
		j.Started = time.Now()
		if err := Start(t.Context(), q, j); err != nil {
			t.Fatal(err)
		}
		f := &Feeder{
			Queue: q, Windows: NewWindows(q.Database()), Portal: p, Log: log,
			Prepare: func(_ context.Context, j Job) (Job, error) {
				j.Types = []int{2, 31}
				return j, nil
			},
			Concerned:  func(j Job) []string { return []string{j.Rule} },
			Missing:    missing,
			PortalDown: func(context.Context, error) bool { return false },
			Routes: func(_ Job, typeID int, id string) []queue.Route {
				return []queue.Route{{Rule: "r", Entity: fmt.Sprintf("item:%d:%s", typeID, id)}}
			},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan bool)
		r := jobs.NewRunner(jobs.New(q.Database()), q.Leases(), log)
		for _, kind := range []string{KindSync, KindCatchUp} {
			r.Handle(kind, jobs.Kind{Work: f.Work, Retry: Retry})
		}
		go func() { defer close(ended); r.Run(ctx, "") }()
		check(t, q, func() Job {
			t.Helper()
			j, ok, err := Load(t.Context(), q, j.Portal, j.Rule)
			if err != nil || !ok {
				t.Fatalf("job: %v, %v", ok, err)
			}
			return j
		})
		stop()
		<-ended
	})
}

// A portal that refuses one type does not prevent the others, and the job has the
// error.
func TestAPartThatFailsIsLeftOut(t *testing.T) {
	for name, bad := range map[string]bitrix.Answer{
		"refused":   {Err: &bitrix.Error{Method: "crm.item.list", Code: "ACCESS_DENIED", Outcome: bitrix.Executed}},
		"senseless": {Result: json.RawMessage(`{"items":[{"id":0}]}`)},
	} {
		portal := func(c bitrix.Call) bitrix.Answer {
			if c.Params["entityTypeId"] == 2 {
				return bad
			}
			return oneItem(c)
		}
		feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2, 31}}, portal, func(t *testing.T, q *queue.Queue, job func() Job) {
			time.Sleep(time.Minute)
			if j := job(); j.Finished.IsZero() || j.Failed == "" || j.Runs != 1 {
				t.Errorf("%s: the job is %+v, want it finished, with a failure and the run of the other type", name, j)
			}
			if n, err := journal.Pending(t.Context(), q.Database(), "acme", "r"); n != 1 || err != nil {
				t.Errorf("%s: %d runs, %v", name, n, err)
			}
		})
	}
}

// The window of a rule whose part was refused stays, also if the portal does not answer
// later and the job is tried again.
func TestAWindowStaysThatWasNotCovered(t *testing.T) {
	var asked atomic.Int32
	portal := func(c bitrix.Call) bitrix.Answer {
		switch {
		case c.Params["entityTypeId"] == 2:
			return bitrix.Answer{Err: &bitrix.Error{Method: "crm.item.list", Code: "ACCESS_DENIED", Outcome: bitrix.Executed}}
		case c.Params["entityTypeId"] == 31 && asked.Add(1) == 1:
			return bitrix.Answer{Err: &bitrix.Error{Method: "crm.item.list", Code: bitrix.CodeNetwork}}
		}
		return oneItem(c)
	}
	feedTest(t, Job{Portal: "acme", Rule: "r", Downtime: &Downtime{}}, portal, func(t *testing.T, q *queue.Queue, _ func() Job) {
		time.Sleep(time.Minute) // no window is due yet
		to := time.Now()
		windows := NewWindows(q.Database())
		if err := windows.Open(t.Context(), Window{Portal: "acme", Rule: "r", From: to.Add(-time.Hour), To: to, Why: "a test"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		all, err := windows.List(t.Context(), "acme")
		if err != nil || len(all) != 1 || all[0].Note != "crm.item.list: ACCESS_DENIED" || all[0].Held || !all[0].From.Equal(to.Add(-time.Hour)) {
			t.Errorf("windows are %+v, %v, want the one of the refused part", all, err)
		}
		if n, err := journal.Pending(t.Context(), q.Database(), "acme", "r"); n != 1 || err != nil {
			t.Errorf("%d runs, %v, want the one of the other part", n, err)
		}
	})
}

// A rule set that stops to run while a catch-up is fed keeps its window, and a sync of it waits.
func TestARuleSetThatDoesNotRun(t *testing.T) {
	var gone atomic.Bool
	portal := func(c bitrix.Call) bitrix.Answer {
		if c.Params["entityTypeId"] == 31 { // types are read in any order
			gone.Store(true)
		}
		return oneItem(c)
	}
	missing := func(Job) []string {
		if gone.Load() {
			return []string{"set/*"}
		}
		return nil
	}
	feedWithout(t, missing, Job{Portal: "acme", Downtime: &Downtime{}}, portal, func(t *testing.T, q *queue.Queue, _ func() Job) {
		to := time.Now()
		windows := NewWindows(q.Database())
		if err := windows.Open(t.Context(), Window{Portal: "acme", From: to.Add(-time.Hour), To: to, Why: "a test"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		all, err := jobs.New(q.Database()).List(t.Context(), jobs.Filter{Kind: KindCatchUp, Key: "set/*"})
		if err != nil || len(all) == 0 {
			t.Errorf("jobs of the rule set: %v, %v", all, err)
		}
		list, err := windows.List(t.Context(), "acme")
		if err != nil || len(list) != 1 || list[0].Rule != "set/*" || !list[0].From.Equal(to.Add(-time.Hour)) || list[0].Why != "a test" {
			t.Errorf("windows are %+v, %v, want the one of the rule set", list, err)
		}
	})
	gone.Store(true)
	portal = func(c bitrix.Call) bitrix.Answer { return oneItem(c) }
	feedWithout(t, missing, Job{Portal: "acme", Rule: "r", Types: []int{2}}, portal, func(t *testing.T, _ *queue.Queue, job func() Job) {
		time.Sleep(time.Minute)
		if j := job(); j.Over() || j.Waits != "set/* does not run: its rule file has errors or is missing" {
			t.Errorf("the job is %+v, want it waiting", j)
		}
		gone.Store(false)
		time.Sleep(time.Minute)
		if j := job(); !j.Over() || j.Failed != "" || j.Runs != 1 {
			t.Errorf("the job is %+v, want it over", j)
		}
	})
}

// A portal that does not answer is asked again, and the job has the reason of the wait.
func TestAJobWaitsForItsPortal(t *testing.T) {
	var asked atomic.Int32
	portal := func(c bitrix.Call) bitrix.Answer {
		if asked.Add(1) <= 3 {
			return bitrix.Answer{Err: &bitrix.Error{Method: "crm.item.list", Code: bitrix.CodeNetwork}}
		}
		return oneItem(c)
	}
	feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2}}, portal, func(t *testing.T, _ *queue.Queue, job func() Job) {
		time.Sleep(retryAfter)
		if j := job(); j.Waits != "crm.item.list: NETWORK" || j.Over() || asked.Load() > 2 {
			t.Errorf("after %d calls the job is %+v, want it waiting", asked.Load(), j)
		}
		time.Sleep(3 * retryAfter)
		if j := job(); j.Waits != "" || !j.Over() || j.Failed != "" || j.Runs != 1 {
			t.Errorf("the job is %+v, want it over", j)
		}
	})
}

// A sync that starts replaces the earlier one of its rule, even after the clock was set
// back.
func TestTheClockIsSetBack(t *testing.T) {
	never := func(bitrix.Call) bitrix.Answer {
		return bitrix.Answer{Err: &bitrix.Error{Code: bitrix.CodeNetwork}}
	}
	feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2}}, never, func(t *testing.T, q *queue.Queue, job func() Job) {
		if err := Start(t.Context(), q, Job{Portal: "acme", Rule: "r", Types: []int{31}, Started: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if j := job(); j.Types[0] != 31 {
			t.Errorf("the job is %+v, want the one that was started last", j)
		}
	})
}

// TestJobsOfAnOlderVersion holds that the jobs which the version before has stored as
// notes continue at their place, also those that it stores later.
func TestJobsOfAnOlderVersion(t *testing.T) {
	q, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	const common = `"portal":"ac.me","types":[2,31],"since":"0001-01-01T00:00:00Z","stage":1,"after":57,"total":120,"seen":60,"begun":59,"joined":1,"orphans":0,"event":4`
	const open, over = `"finished":"0001-01-01T00:00:00Z"`, `"finished":"2026-11-29T10:00:00Z"`
	for name, value := range map[string]string{
		"catchup.ac.me.r.1000":  `{` + common + `,"rule":"r","started":"2026-11-28T08:00:00Z",` + open + `}`, // replaced
		"catchup.ac.me.r.2000":  `{` + common + `,"rule":"r","started":"2026-11-28T09:00:00Z","waits":"NETWORK",` + open + `}`,
		"catchup.ac.me.s.3000":  `{` + common + `,"rule":"s","started":"2026-11-28T09:00:00Z",` + over + `}`,
		"catchup.ac.me.*.4000":  `{` + common + `,"rule":"","started":"2026-11-28T09:00:00Z","away":{"from":"2026-11-28T07:00:00Z","to":"2026-11-28T08:00:00Z"},` + open + `}`,
		"catchup.ac.me.*.5000":  `{` + common + `,"rule":"","started":"2026-11-28T09:30:00Z","ready":true,"away":{"from":"2026-11-28T09:00:00Z","to":"2026-11-28T09:30:00Z"},` + open + `}`,
		"catchup.ac.me.*.6000":  `{` + common + `,"rule":"","started":"2026-11-28T09:40:00Z","failed":"too long","away":{"from":"2026-11-28T09:00:00Z","to":"2026-11-28T09:40:00Z"},` + open + `}`,
		"catchup.ac.me.x.7000":  `{"portal":`,
		"catching.ac.me.r.8000": `{}`,
	} {
		if err := notes.Set(t.Context(), q.Database(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Adopt(t.Context(), q, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := jobs.New(q.Database()).List(t.Context(), jobs.Filter{Portal: "ac.me"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range all {
		j, err := Read(row)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s: %s %v, type %d after %d, %d seen", row.Kind, row.Key, row.State, j.Rule, j.Downtime != nil && j.Ready, j.Types[j.Stage], j.After, j.Seen))
	}
	slices.Sort(got)
	want := []string{
		"catchup 2026-11-28T08:00:00Z waiting:  false, type 31 after 57, 60 seen",
		"catchup 2026-11-28T09:30:00Z waiting:  true, type 31 after 57, 60 seen",
		"sync r waiting: r false, type 31 after 57, 60 seen",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if stored, err := notes.List(t.Context(), q.Database(), "catch"); err != nil || len(stored) != 1 {
		t.Errorf("notes that are left: %v, %v", stored, err)
	}
}

// oneItem answers as a portal whose only entity is 7.
func oneItem(c bitrix.Call) bitrix.Answer {
	if filter, _ := c.Params["filter"].(map[string]any); filter[">id"] == 7 {
		return bitrix.Answer{Result: json.RawMessage(`{"items":[]}`), Total: -1, Next: -1}
	}
	return bitrix.Answer{Result: json.RawMessage(`{"items":[{"id":7}]}`), Total: -1, Next: -1}
}
