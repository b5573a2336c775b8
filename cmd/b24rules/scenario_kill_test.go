//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"b24rules/emulator"
)

// TestKill kills the engine, a process of its own, at random moments while it
// is told of changes, and starts it again. Every event that was answered with
// 200 must have its effect in the end, no element and no helper may ever have
// existed twice, and what people wrote must be there. KILL_ROUNDS and KILL_SEED
// make it longer and repeat it.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds, seed := envInt(t, "KILL_ROUNDS", 8), envInt(t, "KILL_SEED", 1)
	t.Logf("KILL_ROUNDS=%d KILL_SEED=%d", rounds, seed)
	k := newKillTest(t, uint64(seed))
	for round := range rounds {
		k.round(round)
	}
	k.settle()
}

func envInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

type killTest struct {
	*harness
	rand  *rand.Rand
	file  string // the configuration of the process
	deals map[int][]row
	bills map[int][]row // invoices
	notes map[int]string
}

func newKillTest(t *testing.T, seed uint64) *killTest {
	dir := t.TempDir()
	// Requests take their time, so that kills fall between the writes of a run.
	k := &killTest{
		harness: newHarness(t, harnessOptions{dir: dir, emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}}}),
		rand:    rand.New(rand.NewPCG(seed, 1)),
		deals:   map[int][]row{}, bills: map[int][]row{}, notes: map[int]string{},
	}
	for i := range 6 {
		rows := k.rows()
		deal, err := k.people.addDeal(k.context(), fmt.Sprintf("Deal %d", i), rows...)
		if err != nil {
			t.Fatal(err)
		}
		bill, err := k.people.addInvoice(k.context(), fmt.Sprintf("Invoice %d", i), rows...)
		if err != nil {
			t.Fatal(err)
		}
		k.deals[deal], k.bills[bill] = rows, rows
	}
	k.wait()
	for deal := range k.deals {
		for _, e := range k.elements(deal) {
			if err := k.people.ship(k.context(), e); err != nil {
				t.Fatal(err)
			}
			k.notes[e.id()] = k.people.shipped
		}
	}
	k.stop()
	rules, err := filepath.Abs("../../rules")
	if err != nil {
		t.Fatal(err)
	}
	inputs := fmt.Sprintf("    inputs: {invoice-total: {helper_type: %d}, deal-shipments: {list: %d}}\n", k.seed.TypeID, k.seed.ListID)
	k.file = serveConfig(t, dir, k.hookAddr, k.webhook().Reveal(), inputs, rules)
	// The process works the database of the harness, which looks at it again
	// in the end.
	data, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, k.file, strings.Replace(string(data), "sqlite:test.db", "sqlite:b24rules.db", 1))
	return k
}

// rows are one to five rows, with quantities that tell every change.
func (k *killTest) rows() []row {
	var out []row
	for i := range 1 + k.rand.IntN(5) {
		out = append(out, row{fmt.Sprintf("Part %d", i), "1.10", fmt.Sprint(1 + k.rand.IntN(1000))})
	}
	return out
}

// round starts the engine, changes what there is, tells the engine of each
// change until it answers 200, and kills it somewhere in between. Who posts
// waits for the next start, as no portal would.
func (k *killTest) round(n int) {
	k.t.Helper()
	t := k.t.(*testing.T)
	serve := startProcess(t, []string{"TEST_TOKEN=" + k.options.emulator.ApplicationToken}, "serve", "--config", k.file)
	serve.log.wait(t, 0, "events at")
	type told struct{ code, id, typ string }
	var events []told
	for deal := range k.deals {
		k.deals[deal] = k.rows()
		if err := k.people.setRows(k.context(), "D", deal, k.deals[deal]); err != nil {
			t.Fatal(err)
		}
		events = append(events, told{"ONCRMDEALUPDATE", fmt.Sprint(deal), ""})
	}
	for bill := range k.bills {
		k.bills[bill] = k.rows()
		if err := k.people.setRows(k.context(), "SI", bill, k.bills[bill]); err != nil {
			t.Fatal(err)
		}
		events = append(events, told{"ONCRMDYNAMICITEMUPDATE", fmt.Sprint(bill), "31"})
	}
	kill := time.Duration(k.rand.IntN(1400)) * time.Millisecond
	timer := time.AfterFunc(kill, func() { serve.signal(syscall.SIGKILL) })
	defer timer.Stop()
	var wg sync.WaitGroup
	unheard := make([]bool, len(events))
	for i, e := range events {
		form := k.form(e.code, map[string]string{"ID": e.id, "ENTITY_TYPE_ID": e.typ})
		wg.Go(func() { unheard[i] = k.try(form) != 200 })
	}
	wg.Wait()
	if code := serve.exit(); code != -1 {
		t.Fatalf("round %d: the engine ended by itself with %d", n, code)
	}
	// What was not answered is told to the next engine.
	k.start()
	for i, e := range events {
		if unheard[i] {
			k.event(e.code, map[string]string{"ID": e.id, "ENTITY_TYPE_ID": e.typ})
		}
	}
	if n%2 == 0 { // every other time the work is left to the next process
		k.wait()
	}
	k.stop()
}

// try posts an event and returns the status, 0 when nobody answered.
func (k *killTest) try(form string) int {
	resp, err := http.Post(k.hookURL, formType, strings.NewReader(form))
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// settle lets the engine finish and compares the portal with what it should
// hold.
func (k *killTest) settle() {
	t := k.t.(*testing.T)
	k.start()
	k.wait()
	for deal, rows := range k.deals {
		got := k.elements(deal)
		var want []string
		for _, r := range rows {
			want = append(want, r.name+" × "+r.quantity)
		}
		wantNames(t, got, want...)
		for name, e := range got {
			if note, shipped := k.notes[e.id()]; shipped && k.property(e, "SHIPPED") != note {
				t.Errorf("%s of deal %d lost its tick", name, deal)
			}
		}
	}
	for bill, rows := range k.bills {
		held, err := k.people.rows(k.context(), "SI", bill)
		if err != nil || len(held) != len(rows) {
			t.Fatalf("invoice %d: %d rows, %v", bill, len(held), err)
		}
		want, err := total(held)
		if err != nil {
			t.Fatal(err)
		}
		k.wantTotal(bill, want.String())
	}
	if n := k.states()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
	k.neverTwice()
}

// neverTwice asks the portal's own history whether two elements with one code,
// or two helpers of one invoice, ever existed at the same time.
func (k *killTest) neverTwice() {
	alive := map[string]int64{}
	for _, c := range k.portal.History() {
		var key string
		switch {
		case c.IBlockID != 0 && c.Code != "":
			key = "element " + c.Code
		case c.EntityTypeID == k.seed.TypeID:
			var item struct {
				Invoice json.Number `json:"ufCrm5InvoiceId"`
			}
			if err := json.Unmarshal(c.Values, &item); err != nil {
				k.t.Fatal(err)
			}
			key = "helper of invoice " + item.Invoice.String()
		default:
			continue
		}
		if c.Op == "delete" {
			delete(alive, key)
			continue
		}
		if other, ok := alive[key]; ok && other != c.ID {
			k.t.Errorf("%s existed twice: %d and %d", key, other, c.ID)
		}
		alive[key] = c.ID
	}
	if len(alive) == 0 {
		k.t.Error("the history is empty: it shows nothing")
	}
}
