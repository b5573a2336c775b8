package service_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// ruleFiles are the shipped rule sets in memory, which tests change while they run.
type ruleFiles struct {
	mu    sync.Mutex
	files fstest.MapFS
}

func newRuleFiles(t *testing.T) *ruleFiles {
	t.Helper()
	r := &ruleFiles{files: fstest.MapFS{}}
	for _, name := range []string{"deal-shipments.yaml", "invoice-total.yaml"} {
		text, err := rules.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r.files[name] = &fstest.MapFile{Data: text}
	}
	return r
}

// Open implements fs.FS.
func (r *ruleFiles) Open(name string) (fs.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files.Open(name)
}

// replace replaces text in a file.
func (r *ruleFiles) replace(name, old, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(r.files[name].Data), old, text, 1))}
}

// remove removes a file and returns it.
func (r *ruleFiles) remove(name string) *fstest.MapFile {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.files[name]
	delete(r.files, name)
	return f
}

func (r *ruleFiles) put(name string, f *fstest.MapFile) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = f
}

const typo, noTypo = ".pryce * ", ".price * "

// helpers are the totals of an invoice.
func (h *harness) helpers(invoice int) string {
	h.T.Helper()
	all, err := h.People.Helpers(h.Context(), h.IDs.TotalsType, invoice)
	if err != nil {
		h.T.Fatal(err)
	}
	return fmt.Sprint(all)
}

func (h *harness) addInvoice(price string) int {
	h.T.Helper()
	id, err := h.People.AddInvoice(h.Context(), "Roof", row("Tiles", price, "3"))
	if err != nil {
		h.T.Fatal(err)
	}
	return id
}

// unrouted are how many events rule sets have not seen.
func (h *harness) unrouted() int {
	h.T.Helper()
	all, err := journal.Unrouted(h.Context(), h.Service.Queue().Database())
	if err != nil {
		h.T.Fatal(err)
	}
	n := 0
	for _, one := range all {
		n += one.Events
	}
	return n
}

// TestBrokenAtStart is the case broken-at-start: a rule set with errors and no earlier version
// holds only itself. Its events are kept, over a crash too, and processed when the
// file is valid.
func TestBrokenAtStart(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	files.replace("invoice-total.yaml", noTypo, typo)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true})
	h.Until("held", func() bool { return len(h.holds()) == 1 })
	held := h.holds()[0]
	if held.Rule != queue.AllOf("invoice-total") || held.Cause != hold.Broken || !strings.HasPrefix(held.Reason, "invoice-total.yaml:") {
		t.Errorf("the hold is %+v", held)
	}
	line := `b24rules_hold{cause="broken",portal="` + demo.PortalName + `",rule="invoice-total/*"} 1`
	h.Until("the hold is measured", func() bool { return strings.Contains(h.scrape(), line) })
	invoice := h.addInvoice("10")
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
	if h.helpers(invoice) != "[]" || h.unrouted() == 0 {
		t.Errorf("helpers %s, %d events wait", h.helpers(invoice), h.unrouted())
	}
	h.Stop()
	h.Start()
	h.Until("still held", func() bool { return len(h.holds()) == 1 && h.holds()[0].Since.Equal(held.Since) })
	files.replace("invoice-total.yaml", typo, noTypo)
	h.Service.Reload()
	h.Until("processed", func() bool { return h.helpers(invoice) == "[30]" })
	h.Until("the hold has ended", func() bool {
		return len(h.holds()) == 0 && h.unrouted() == 0 && !strings.Contains(h.scrape(), "b24rules_hold{")
	})
	h.Wait()
	if n := h.States()[journal.Succeeded]; n != 2 {
		t.Errorf("%d runs, want one for the deal and one for the invoice", n)
	}
}

// TestLastGoodVersion: a file with errors at a restart runs its last good version, and that
// is logged and stored.
func TestLastGoodVersion(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true})
	stored := func() map[string]fleet.Live {
		all, err := fleet.NewStore(h.Service.Queue().Database()).List(h.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]fleet.Live{}
		for _, l := range all {
			out[l.Set] = l
		}
		return out
	}
	h.Until("stored", func() bool { return len(stored()) == 2 })
	good := stored()["invoice-total"].Version
	h.Stop()
	files.replace("invoice-total.yaml", noTypo, typo)
	h.Start()
	invoice := h.addInvoice("10")
	h.Until("processed by the last good version", func() bool { return h.helpers(invoice) == "[30]" })
	l := stored()["invoice-total"]
	if l.Version != good || !strings.HasPrefix(l.Refused, "invoice-total.yaml:") || len(h.holds()) != 0 {
		t.Errorf("stored %+v, holds %v", l, h.holds())
	}
	files.replace("invoice-total.yaml", typo, noTypo)
	h.Service.Reload()
	h.Until("valid again", func() bool { return stored()["invoice-total"].Refused == "" })
}

// TestRemovedFile: the events and runs of a rule set whose file is removed wait for it, for
// seven days.
func TestRemovedFile(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true})
	file := files.remove("invoice-total.yaml")
	h.Service.Reload()
	h.Until("held", func() bool { return len(h.holds()) == 1 && h.holds()[0].Cause == hold.Removed })
	invoice := h.addInvoice("10")
	h.Until("the event is kept", func() bool { return h.unrouted() > 0 })
	h.Stop() // the next process knows that the file was there
	h.Start()
	files.put("invoice-total.yaml", file)
	h.Service.Reload()
	h.Until("processed", func() bool { return h.helpers(invoice) == "[30]" && len(h.holds()) == 0 })

	files.remove("invoice-total.yaml")
	h.Service.Reload()
	h.Until("held again", func() bool { return len(h.holds()) == 1 })
	h.addInvoice("20")
	h.Until("the event is kept", func() bool { return h.unrouted() > 0 })
	db, err := openRaw(filepath.Join(h.Options.Dir, "b24rules.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE b24_hold SET since = since - $1`, (8 * 24 * time.Hour).Microseconds()); err != nil {
		t.Fatal(err)
	}
	h.Service.Reload()
	h.Until("forgotten", func() bool { return len(h.holds()) == 0 && h.unrouted() == 0 })
}

// TestRenamedFile: a file that gets another name, and its rule another id, is away for a moment. The
// events of this moment wait for its rule, also over a restart.
func TestRenamedFile(t *testing.T) {
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, files, _ := linesHarness(t)
			deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
			text := strings.Replace(string(files.remove("a.yaml").Data), "  lines:\n", "  positions:\n    moved: {from: lines}\n", 1)
			h.Service.Reload()
			h.SetRows(deal, row("Tiles", "10", "1"), row("Nails", "1", "2"))
			h.Until("the events wait", func() bool { return h.unrouted() > 0 && len(h.holds()) == 1 })
			if restart {
				h.Stop()
			}
			files.put("c.yaml", &fstest.MapFile{Data: []byte(text)})
			if restart {
				h.Start()
			} else {
				h.Service.Reload()
			}
			h.Until("the events are processed", func() bool { return h.unrouted() == 0 && len(h.holds()) == 0 })
			h.Wait()
			apptest.WantNames(t, h.Elements(deal), "Tiles", "Nails", "sum Tiles", "sum Nails")
			if refused := h.Service.Generation().Refused(); len(refused) > 0 {
				t.Errorf("refused: %+v", refused)
			}
		})
	}
}

// TestNewField is the case new-field: a field that the portal got after its fields were read is
// written. Without it the run parks.
func TestNewField(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	files.replace("invoice-total.yaml", "            title: Invoice", "            ufCrm5Net: =total\n            title: Invoice")
	h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Limits: config.Limits{Attempts: 1}})
	h.addInvoice("10")
	h.Wait()
	// The invoice and its rows are two events, which one run or two runs process.
	if n := h.States()[journal.Parked]; n < 1 || n > 2 {
		t.Fatalf("%d runs are parked without the field, want 1 or 2", n)
	}
	h.Rest("userfieldconfig.add", map[string]any{"moduleId": "crm", "field": map[string]any{
		"entityId": "CRM_5", "fieldName": "UF_CRM_5_NET", "userTypeId": "double",
	}}, nil)
	invoice := h.addInvoice("20")
	h.Wait()
	if h.helpers(invoice) != "[60]" {
		t.Errorf("helpers %s, states %v", h.helpers(invoice), h.States())
	}
}

// TestCatchUpOfABrokenSet: a downtime stays a window of a rule set that does not run when the
// others are caught up, over restarts. It is caught up when the file is valid.
func TestCatchUpOfABrokenSet(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	files.replace("invoice-total.yaml", noTypo, typo)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true, CatchUp: apptest.QuickCatchUp()})
	h.Until("held", func() bool { return len(h.holds()) == 1 })
	h.Stop()
	invoice := h.addInvoice("10")
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	h.aged(3 * time.Second)
	h.Back()
	windows := func() []catchup.Window {
		all, err := catchup.NewWindows(h.Service.Queue().Database()).List(h.Context(), demo.PortalName)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := windows(); len(all) != 1 || all[0].Rule != queue.AllOf("invoice-total") {
		t.Fatalf("windows %+v, want one of the rule set", all)
	}
	h.Stop()
	h.Back()
	for _, w := range windows() {
		if w.Rule != queue.AllOf("invoice-total") {
			t.Errorf("windows %+v after a restart, want those of the rule set", w)
		}
	}
	files.replace("invoice-total.yaml", typo, noTypo)
	h.Service.Reload()
	h.Until("caught up", func() bool { return h.helpers(invoice) == "[30]" && len(windows()) == 0 })
	if h.unrouted() != 0 {
		t.Error("the test had an event of the invoice")
	}
}

// TestRuleIsBack: somebody removes a rule from a file that stays, over a restart too, and puts it back.
// Events of the time between started no run of it, so it catches up on them.
func TestRuleIsBack(t *testing.T) {
	t.Parallel()
	const others = "version: 1\ninputs: {helper_type: {type: integer}}\nrules:\n  other: {on: ONCRMDEALADD, steps: [{log: {message: added}}]}\n"
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			t.Parallel()
			files := newRuleFiles(t)
			h := newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true, CatchUp: apptest.QuickCatchUp()})
			reload := func() {
				h.Service.Reload()
				if restart {
					h.Stop()
					h.Start()
				}
			}
			first := h.addInvoice("10")
			h.Until("the first total", func() bool { return h.helpers(first) == "[30]" })
			h.Wait() // a run that waits would be held with its rule
			whole := files.remove("invoice-total.yaml")
			files.put("invoice-total.yaml", &fstest.MapFile{Data: []byte(others)})
			reload()
			noted := func() bool {
				_, ok, err := notes.Get(h.Context(), h.Service.Queue().Database(), "removed."+demo.PortalName+"/invoice-total")
				if err != nil {
					t.Fatal(err)
				}
				return ok
			}
			h.Until("the rule is gone", noted)
			second := h.addInvoice("20")
			h.Wait()
			if got := h.helpers(second); got != "[]" {
				t.Errorf("helpers without the rule: %s", got)
			}
			files.put("invoice-total.yaml", whole)
			reload()
			h.Until("the rule has caught up", func() bool { return h.helpers(second) == "[60]" })
			if got := h.helpers(first); got != "[30]" {
				t.Errorf("helpers of the first invoice: %s", got)
			}
			if h.Logged("a removed rule is back") == 0 || noted() {
				t.Error("the log does not say that the rule is back, or it is noted as removed")
			}
		})
	}
}
