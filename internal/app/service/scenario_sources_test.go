//go:build unix

package service_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// killSourceRules take orders of a shop, number contracts, answer robots, and leave one lead for
// each tick.
const killSourceRules = `version: 1
rules:
  order:
    on: {hook: shop, fields: {order: {type: string, required: true}, sum: {type: number, required: true}}, key: =event.data.order}
    debounce: 20ms
    steps:
      - upsert_item:
          owner: deal
          key: {originId: =event.data.order}
          fields: {title: "Order {{ event.data.order }}", opportunity: =event.data.sum}
  contract:
    on: {events: [ONCRMDYNAMICITEMADD, ONCRMDYNAMICITEMUPDATE], entityTypeId: %d}
    debounce: 20ms
    steps:
      - id: next
        next_number: {series: CONT}
      - update_item: {entityTypeId: %[1]d, id: =event.id, fields: {ufCrm5Note: "CONT-{{ padStart(string(next.number), 4, '0') }}"}}
  recount:
    on: [ONCRMCOMPANYUPDATE, {robot: recount, entities: company}]
    debounce: 20ms
    steps:
      - id: company
        fetch_item: {owner: company, id: =event.id}
      - update_item: {owner: company, id: =event.id, fields: {comments: "counted {{ company.title }}"}}
  tick:
    on: {schedule: "0 0 1 1 *"}
    steps:
      - upsert_item: {owner: lead, key: {originId: "tick {{ event.time }}"}, fields: {title: tick}}
`

// TestKillSources kills a process while a shop posts orders, each twice, robots call during
// the events of their companies, 50 contracts at once are numbered, and a schedule is due,
// also while nothing runs. Who posts repeats a request until it is answered with 200. In the
// end each order is one deal with its latest sum, the contracts have the numbers 1 to n, each
// once, each company was counted with its last name, and each tick has run once. On PostgreSQL
// a second process works the portal while the first one is dead. KILL_ROUNDS
// and KILL_ROUNDS_POSTGRES make the test longer, KILL_SEED repeats one.
func TestKillSources(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		newKillSources(t, "").rounds(t, testkit.EnvInt(t, "KILL_ROUNDS", testkit.Rounds(2, 1)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		newKillSources(t, testkit.NewPostgres(t)).rounds(t, testkit.EnvInt(t, "KILL_ROUNDS_POSTGRES", 1))
	})
}

func newKillSources(t *testing.T, database string) *killSources {
	dir := t.TempDir()
	h := newSending(t, apptest.Options{
		Dir: dir, Database: database, Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}},
		Rules: fstest.MapFS{"sources.yaml": {Data: fmt.Appendf(nil, killSourceRules, 1038)}},
	})
	seed := testkit.EnvInt(t, "KILL_SEED", 1)
	k := &killSources{sending: h, rand: rand.New(rand.NewPCG(uint64(seed), 1)), database: database}
	if database == "" {
		k.database = "sqlite:" + filepath.Join(dir, "b24rules.db")
	}
	h.Until("the schedule has a job", func() bool { return k.ticks("waiting") == 1 })
	h.Stop()
	k.configure(t, dir)
	if database != "" { // a second process, which no kill strikes, works the same portal
		file := filepath.Join(dir, "peer.yaml")
		testkit.WriteFile(t, file, strings.Replace(testkit.ReadFile(t, k.file), h.HookAddr, testkit.FreeAddr(t), 1))
		peer := testkit.StartProcess(t, []string{"TEST_TOKEN=" + k.Options.Emulator.ApplicationToken}, "serve", "--config", file)
		peer.Log.Wait(t, 0, "events at")
	}
	return k
}

func (k *killSources) rounds(t *testing.T, n int) {
	for round := range n {
		k.round(t, round)
	}
	k.Start()
	k.finish()
	t.Logf("%d orders, %d contracts, %d companies and %d ticks in %d rounds", k.orders, len(k.items), len(k.firms), len(k.due), n)
}

type killSources struct {
	sending
	rand     *rand.Rand
	file     string // the configuration of the process
	database string // its DSN
	orders   int
	items    []int // contracts
	firms    []int
	due      []time.Time // ticks
}

// ticks counts the jobs of the schedule in a state.
func (k *killSources) ticks(state string) (n int) {
	k.T.Helper()
	err := k.Service.Queue().Database().QueryRow(k.Context(), `SELECT count(*) FROM b24_job WHERE kind = 'tick' AND state = $1`, state).Scan(&n)
	if err != nil {
		k.T.Fatal(err)
	}
	return n
}

// configure writes the configuration of the process, which uses the database of the harness.
func (k *killSources) configure(t *testing.T, dir string) {
	t.Helper()
	files, err := k.Options.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		testkit.WriteFile(t, filepath.Join(dir, "rules", filepath.Base(f.Name)), string(f.Data))
	}
	sources := fmt.Sprintf("    hooks: {shop: {secret: %q, by: hmac-sha256 X-Signature}}\n    robots: {secret: %q}\n", sourceSecret, sourceSecret)
	k.file = testkit.ServeConfig(t, dir, k.HookAddr, k.Webhook().Reveal(), sources, "rules")
	data, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	text := databaseLine.ReplaceAllLiteralString(string(data), "database: "+k.database)
	testkit.WriteFile(t, k.file, strings.Replace(text, "attempts: 8", "attempts: 100", 1))
}

// sent is a request that somebody repeats until it is answered with 200.
type sent struct {
	path, contentType, body, signature string
	// rename, if not 0, is a company that gets its last name before the request.
	rename int
}

func order(number, sum int) sent {
	body := fmt.Sprintf(`{"order": "A-%d", "sum": %d}`, number, sum)
	mac := hmac.New(sha256.New, []byte(sourceSecret))
	mac.Write([]byte(body))
	return sent{path: "/in/shop", contentType: "application/json", body: body, signature: hex.EncodeToString(mac.Sum(nil))}
}

// round makes a tick due, starts the process, sends what people and systems send, and kills it
// somewhere in between.
func (k *killSources) round(t *testing.T, n int) {
	t.Helper()
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=" + k.Options.Emulator.ApplicationToken}, "serve", "--config", k.file)
	serve.Log.Wait(t, 0, "events at")
	absent := n%2 == 1 // the tick is due while nothing runs
	if !absent {
		k.tick()
	}
	var sequences [][]sent // each in order
	for range 8 {
		k.orders++
		sequences = append(sequences, []sent{order(k.orders, 1), order(k.orders, 100+k.orders)})
	}
	contracts := 12
	if n == 0 {
		contracts = 50
	}
	for range contracts {
		var out struct {
			Item struct {
				ID int `json:"id"`
			} `json:"item"`
		}
		k.Rest("crm.item.add", map[string]any{"entityTypeId": 1038, "fields": map[string]any{"title": "Contract"}}, &out)
		k.items = append(k.items, out.Item.ID)
		form := k.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(out.Item.ID), "ENTITY_TYPE_ID": "1038"})
		sequences = append(sequences, []sent{{contentType: formType, body: form}})
	}
	for range 3 {
		var id int
		k.Rest("crm.company.add", map[string]any{"fields": map[string]any{"TITLE": "Firm"}}, &id)
		k.firms = append(k.firms, id)
		call := sent{path: "/robot/recount/" + sourceSecret, contentType: formType, body: fmt.Sprintf("document_id[]=crm&document_id[]=CCrmDocumentCompany&document_id[]=COMPANY_%d", id)}
		event := sent{contentType: formType, body: k.form("ONCRMCOMPANYUPDATE", map[string]string{"ID": fmt.Sprint(id)}), rename: id}
		sequences = append(sequences, []sent{call, event, call})
	}
	timer := time.AfterFunc(time.Duration(k.rand.IntN(700))*time.Millisecond, func() { serve.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var unheard [][]sent
	for _, s := range sequences {
		when := time.After(time.Duration(k.rand.IntN(400)) * time.Millisecond)
		wg.Go(func() {
			<-when
			for len(s) > 0 && k.post(s[0]) == http.StatusOK {
				s = s[1:]
			}
			mu.Lock()
			defer mu.Unlock()
			unheard = append(unheard, s)
		})
	}
	wg.Wait()
	if code := serve.Exit(); code != -1 {
		t.Fatalf("round %d: the engine ended by itself with %d", n, code)
	}
	if absent {
		k.tick()
	}
	k.Start() // the next process receives what was not answered
	for _, s := range unheard {
		for _, request := range s { // 503 means: send it again
			k.Until(request.path+" is stored", func() bool { return k.post(request) == http.StatusOK })
		}
	}
	if n%2 == 0 {
		k.rest()
	}
	// The schedule of the test is due once a year. A process that was killed before it has seen
	// the tick plans that of the next year, so the tick is made due again, at its old time.
	k.Until("the tick has run", func() bool {
		if len(k.leads()) < len(k.due) {
			k.makeDue(k.Service.Queue())
		}
		return len(k.leads()) == len(k.due)
	})
	k.Stop()
}

// rest waits until nothing is left to do, also for another process.
func (k *killSources) rest() {
	k.T.Helper()
	k.Until("the events and runs have ended", func() bool {
		if err := k.Portal.WaitIdle(k.Context()); err != nil {
			k.T.Fatal(err)
		}
		s := k.States()
		return s[journal.Waiting]+s[journal.Blocked]+s[journal.Running] == 0
	})
}

// tick makes a tick due in the database of the process.
func (k *killSources) tick() {
	k.T.Helper()
	due := time.Now().Truncate(time.Second)
	if len(k.due) > 0 && !due.After(k.due[len(k.due)-1]) { // two ticks of one second are one
		due = k.due[len(k.due)-1].Add(time.Second)
	}
	k.due = append(k.due, due)
	q, err := queue.Open(k.Context(), k.database, queue.Options{})
	if err != nil {
		k.T.Fatal(err)
	}
	k.makeDue(q)
	if err := q.Close(); err != nil {
		k.T.Fatal(err)
	}
}

// makeDue makes the latest tick due.
func (k *killSources) makeDue(q *queue.Queue) {
	k.T.Helper()
	due := k.due[len(k.due)-1]
	err := q.Database().Write(k.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE b24_job SET due_at = $1 WHERE kind = 'tick' AND state = 'waiting'`, store.Micros(due))
		return err
	})
	if err != nil {
		k.T.Fatal(err)
	}
}

// post sends a request, after what happens in the portal before it, and returns the status, 0
// without an answer.
func (k *killSources) post(s sent) int {
	if s.rename != 0 {
		params := map[string]any{"id": s.rename, "fields": map[string]any{"TITLE": lastName}}
		if err := k.People.Client.Call(k.T.Context(), "crm.company.update", params, nil); err != nil {
			k.T.Errorf("rename company %d: %v", s.rename, err)
		}
	}
	return k.try(s)
}

// lastName is the name of a company in the end.
const lastName = "Firm & Sons"

// try sends a request and returns the status, 0 without an answer.
func (k *killSources) try(s sent) int {
	r, err := http.NewRequestWithContext(k.T.Context(), http.MethodPost, k.HookURL+s.path, strings.NewReader(s.body))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", s.contentType)
	r.Header.Set("X-Signature", s.signature)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// leads returns the leads, of which each tick leaves one.
func (k *killSources) leads() (out []taskItem) {
	k.T.Helper()
	for start := 0; ; start += 50 {
		var page []taskItem
		k.Rest("crm.lead.list", map[string]any{"select": []string{"ID", "ORIGIN_ID"}, "order": map[string]any{"ID": "ASC"}, "start": start}, &page)
		if out = append(out, page...); len(page) < 50 {
			return out
		}
	}
}

// finish compares the portal with what was sent.
func (k *killSources) finish() {
	k.T.Helper()
	k.rest()
	sums := map[string]string{}
	for start := 0; start < k.orders; start += 50 {
		var deals []taskItem
		k.Rest("crm.deal.list", map[string]any{"select": []string{"ID", "ORIGIN_ID", "OPPORTUNITY"}, "start": start}, &deals)
		for _, d := range deals {
			sums[d.text("ORIGIN_ID")] += d.text("OPPORTUNITY") + " "
		}
	}
	for i := range k.orders {
		if got, want := sums[fmt.Sprintf("A-%d", i+1)], fmt.Sprintf("%d.00 ", 101+i); got != want {
			k.T.Errorf("order A-%d is %q, want %q", i+1, got, want)
		}
	}
	var numbers []string
	for _, id := range k.items {
		var out struct {
			Item taskItem `json:"item"`
		}
		k.Rest("crm.item.get", map[string]any{"entityTypeId": 1038, "id": id}, &out)
		numbers = append(numbers, out.Item.text("ufCrm5Note"))
	}
	slices.Sort(numbers)
	for i, number := range numbers {
		if want := fmt.Sprintf("CONT-%04d", i+1); number != want {
			k.T.Errorf("numbers %v, want %s", numbers, want)
			break
		}
	}
	for _, id := range k.firms {
		var firm taskItem
		k.Rest("crm.company.get", map[string]any{"id": id}, &firm)
		if got, want := firm.text("COMMENTS"), "counted "+lastName; got != want {
			k.T.Errorf("company %d: %q, want %q", id, got, want)
		}
	}
	if got := len(k.leads()); got != len(k.due) {
		k.T.Errorf("%d ticks ran, %d were due", got, len(k.due))
	}
	runs, err := journal.FindRuns(k.Context(), k.Service.Queue().Database(), journal.Filter{Rule: "tick", Limit: 10_000})
	if err != nil || len(runs) != len(k.due) {
		k.T.Errorf("%d runs of %d ticks, %v", len(runs), len(k.due), err)
	}
	if n := k.States()["parked"]; n > 0 {
		k.T.Errorf("%d runs are parked", n)
	}
	k.noCanary()
}
