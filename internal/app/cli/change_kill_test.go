//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
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
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestKillChanges kills serve, and the commands that people run next to it, at random times,
// while people change the rules: they edit and rename rules and files, change keys, remove a
// rule and bring it back, plan and apply a change, prune, and let a rule take over elements.
// In the meantime events arrive and the portal has faults. In the end each event that was
// answered with 200 has had its effect, nothing has existed twice, nothing of a rule is left
// that prune does not know, and what people made is still there. CHANGE_ROUNDS makes the test
// longer, CHANGE_SEED repeats one.
func TestKillChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	onEachDatabase(t, killChanges)
}

func killChanges(t *testing.T, database string) {
	rounds := testkit.EnvInt(t, "CHANGE_ROUNDS", testkit.Rounds(4, 2))
	seed := testkit.EnvInt(t, "CHANGE_SEED", 1)
	t.Logf("%d rounds, CHANGE_SEED=%d", rounds, seed)
	k := newChangeKill(t, database, uint64(seed))
	for n := range rounds {
		k.round(n)
		if n%5 == 4 {
			k.look()
		}
		if t.Failed() {
			t.Fatalf("in round %d, after %s", n, strings.Join(k.acts, ", "))
		}
	}
	k.finish()
	for _, what := range slices.Sorted(maps.Keys(k.did)) {
		t.Logf("%d %s", k.did[what], what)
	}
}

// changeKill is a portal whose rules change, and what should be in it.
type changeKill struct {
	h           *harness
	t           *testing.T
	rand        *rand.Rand
	dir, config string
	database    string
	serve       *testkit.Process
	manual      bool
	other       int // the list of the rule that is removed at times

	disk    ruleDisk
	drafts  int
	deals   []*killedDeal
	added   []*killedDeal // of this round
	first   int           // how many deals were complete before the first kill
	foreign map[int]foreignElement
	did     map[string]int
	acts    []string // what people have done in this round
	pruned  time.Time
}

// killedDeal is a deal as people have left it.
type killedDeal struct {
	id    int
	title string
	parts []part
	open  bool // no event of its last change was answered with 200
	heard time.Time
}

// part is a product row: its number is that of its product, and its quantity tells every change.
type part struct{ number, quantity int }

// foreignElement is an element that a person has added.
type foreignElement struct {
	deal    int
	comment string
	fits    bool // a row of the deal
}

// ruleDisk is what the rule files say.
type ruleDisk struct {
	lines, talks, cards []string // the ids of rules, the latest last
	note                []string
	noteGone            bool
	version             int
	key                 int // the number of the formula of the key of lines
	oldKey              bool
	file                string // of lines
	typo                bool
}

// lineKey is the formula of a key of lines.
func lineKey(n int) string {
	if n == 0 {
		return "=row.key"
	}
	return fmt.Sprintf(`='k%d ' + row.key`, n)
}

func (d ruleDisk) files(other int) map[string]string {
	head := func(ids []string) string {
		text := "version: 1\nrules:\n  " + ids[len(ids)-1] + ":\n"
		if len(ids) > 1 {
			text += "    moved: {from: [" + strings.Join(ids[:len(ids)-1], ", ") + "]}\n"
		}
		return text + "    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n"
	}
	old := ""
	if d.oldKey {
		old = "          old_key: " + lineKey(d.key-1) + "\n"
	}
	lines := head(d.lines) + "      - id: rows\n        fetch_products: {owner: deal, id: =event.id}\n      - sync_elements:\n          list: 47\n          scope: {DEAL: =event.id}\n" +
		"          rows: =rows\n          key: " + lineKey(d.key) + "\n" + old + "          match: {SUM: =row.price}\n" +
		fmt.Sprintf("          fields: {NAME: '{{ row.productName }} v%d', QUANTITY: =row.quantity}\n", d.version)
	if d.typo {
		lines = strings.Replace(lines, "sync_elements", "sync_elemnts", 1)
	}
	out := map[string]string{
		d.file: lines,
		"talks.yaml": head(d.talks) + "      - once: =event.id\n        call:\n          method: crm.timeline.comment.add\n" +
			"          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: 'deal {{ event.id }}'}}\n",
		"cards.yaml": head(d.cards) + "      - upsert_item:\n          entityTypeId: 1038\n          key: {ufCrm5InvoiceId: =event.id}\n" +
			fmt.Sprintf("          fields: {title: 'card {{ event.id }} v%d'}\n", d.version),
	}
	if !d.noteGone {
		out["note.yaml"] = head(d.note) + "      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
			fmt.Sprintf("      - upsert_element: {list: %d, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}\n", other)
	}
	return out
}

func newChangeKill(t *testing.T, database string, seed uint64) *changeKill {
	dir := t.TempDir()
	k := &changeKill{
		t: t, dir: dir, config: filepath.Join(dir, "b24rules.yaml"), rand: rand.New(rand.NewPCG(seed, 1)), foreign: map[int]foreignElement{}, did: map[string]int{},
		disk: ruleDisk{lines: []string{"lines"}, talks: []string{"talks"}, cards: []string{"cards"}, note: []string{"note"}, file: "lines.yaml"},
	}
	// Requests take their time, so that kills fall between the writes of a run. The portal sends
	// no events: the test does, to know which were answered.
	k.h = newHarness(t, apptest.Options{
		Dir: dir, Database: database, Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}},
		Rules: fstest.MapFS{"cards.yaml": {Data: []byte(testkit.Rule("none", "      - log: {message: x}\n"))}}, Inputs: map[string]map[string]string{}, Events: []string{"ONAPPTEST"},
	})
	h := k.h
	h.Rest("lists.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_CODE": "other", "FIELDS": map[string]any{"NAME": "Other"}}, &k.other)
	h.Rest("lists.field.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": k.other, "FIELDS": map[string]any{"NAME": "Deal", "TYPE": "N", "CODE": "DEAL"}}, nil)
	h.Stop()
	if k.database = database; database == "" {
		k.database = "sqlite:b24rules.db"
	}
	k.configure()
	k.save(k.disk)
	k.begin()
	for range 4 {
		k.deals = append(k.deals, k.newDeal(k.rand))
	}
	k.first = len(k.deals)
	k.sendOpen(0)
	k.idle()
	for _, d := range k.deals { // what people write into the elements of rules
		for _, e := range k.elements(d.id) {
			if err := h.People.Ship(h.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		k.addForeign(d, 9999, false)
	}
	k.serve.Signal(syscall.SIGKILL)
	k.serve.Exit()
	return k
}

// configure writes the configuration. Without a catch-up, an event that is lost stays lost.
func (k *changeKill) configure() {
	testkit.WriteFile(k.t, k.config, fmt.Sprintf(`listen: %s
database: %s
rules: [rules]
catch_up: off
portals:
  demo: {webhook: %s, application_token: %s, plan: unlimited}
log: {level: debug}
limits: {attempts: 100, retry_first: 10ms, retry_max: 50ms, settle: 20ms, event_delay: 1ms}
`, k.h.HookAddr, k.database, k.h.Webhook().Reveal(), k.h.Options.Emulator.ApplicationToken))
}

// setManual lets new versions wait for apply, or not.
func (k *changeKill) setManual(on bool) {
	text := strings.ReplaceAll(testkit.ReadFile(k.t, k.config), "reload: manual\n", "")
	if k.manual = on; on {
		text = "reload: manual\n" + text
	}
	testkit.WriteFile(k.t, k.config, text)
}

// save writes rule files, each at once, and removes the others.
func (k *changeKill) save(d ruleDisk) { k.disk = d; k.saveIn(filepath.Join(k.dir, "rules"), d) }

func (k *changeKill) saveIn(dir string, d ruleDisk) {
	files := d.files(k.other)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if now, err := os.ReadFile(path); err == nil && string(now) == text {
			continue
		}
		testkit.WriteFile(k.t, path+".new", text)
		testkit.Rename(k.t, path+".new", path)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, e := range entries {
		if _, there := files[e.Name()]; !there {
			testkit.Remove(k.t, filepath.Join(dir, e.Name()))
		}
	}
}

// begin starts serve.
func (k *changeKill) begin() {
	k.serve = testkit.StartProcess(k.t, nil, "serve", "--config", k.config)
	k.serve.Log.Wait(k.t, 0, "events at")
	if k.h.Options.Database != "" { // it has to take over from the one that was killed
		k.serve.Log.Wait(k.t, 0, "portal lease acquired")
	}
}

// newDeal adds a deal, of which no event is sent yet.
func (k *changeKill) newDeal(r *rand.Rand) *killedDeal {
	d := &killedDeal{}
	var err error
	if d.id, err = k.h.People.AddDeal(k.h.Context(), "Deal"); err != nil {
		k.t.Fatal(err)
	}
	k.changeDeal(r, d)
	return d
}

// changeDeal gives a deal another title and other rows. The first part is always there.
func (k *changeKill) changeDeal(r *rand.Rand, d *killedDeal) {
	d.title, d.open = fmt.Sprintf("Deal %d.%d", d.id, r.IntN(1_000_000)), true
	d.parts = nil
	var rows []demo.Row
	for n := range 4 {
		if n > 0 && r.IntN(3) == 0 {
			continue
		}
		p := part{n, 1 + r.IntN(1_000_000)}
		d.parts = append(d.parts, p)
		rows = append(rows, row(fmt.Sprint("Part ", n), fmt.Sprint(10+n), fmt.Sprint(p.quantity)))
	}
	if err := k.h.People.SetRows(k.h.Context(), "D", d.id, rows); err != nil {
		k.t.Fatal(err)
	}
	k.h.Rest("crm.deal.update", map[string]any{"id": d.id, "fields": map[string]any{"TITLE": d.title}}, nil)
}

// addForeign adds an element of a person to a deal. One with the price of a row fits it.
func (k *changeKill) addForeign(d *killedDeal, price int, fits bool) {
	comment := fmt.Sprintf("by hand %d", len(k.foreign))
	params := k.h.ElementParams(fmt.Sprint("hand-", len(k.foreign)), comment, map[string]any{"DEAL": d.id, "SUM": price, "COMMENT": comment})
	var id int
	k.h.Rest("lists.element.add", params, &id)
	k.foreign[id] = foreignElement{d.id, comment, fits}
}

// sendOpen sends an event of each deal without one, within a time.
func (k *changeKill) sendOpen(within time.Duration) {
	var wg sync.WaitGroup
	for _, d := range k.deals {
		if !d.open {
			continue
		}
		var wait time.Duration
		if within > 0 {
			wait = time.Duration(k.rand.Int64N(int64(within)))
		}
		wg.Go(func() {
			time.Sleep(wait)
			body := fmt.Sprintf("event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=%s", d.id, k.h.Options.Emulator.ApplicationToken)
			resp, err := http.Post(k.h.HookURL, "application/x-www-form-urlencoded", strings.NewReader(body))
			if err != nil {
				return
			}
			_ = resp.Body.Close()
			if d.open = resp.StatusCode != http.StatusOK; !d.open {
				d.heard = time.Now()
			}
		})
	}
	wg.Wait()
}

// round starts serve, changes deals and rules, sends events, and kills all that runs.
func (k *changeKill) round(n int) {
	k.acts = nil
	k.setManual(k.rand.IntN(4) == 0)
	k.begin()
	for _, d := range k.deals {
		if k.rand.IntN(2) == 0 {
			k.changeDeal(k.rand, d)
		}
	}
	k.changeKey()
	if len(k.deals) < 15 && k.rand.IntN(2) == 0 {
		d := k.newDeal(k.rand)
		k.addForeign(d, 10, true)
		k.addForeign(d, 9999, false)
		k.added = append(k.added, d)
	}
	k.disturb()
	lifetime := 200*time.Millisecond + time.Duration(k.rand.IntN(3000))*time.Millisecond
	dead := make(chan struct{})
	serve := k.serve
	timer := time.AfterFunc(lifetime, func() { _ = serve.Cmd.Process.Kill(); close(dead) })
	defer timer.Stop()
	seed := k.rand.Uint64()
	var working sync.WaitGroup
	working.Go(func() { (&people{k, rand.New(rand.NewPCG(seed, 2)), dead}).work() })
	k.sendOpen(lifetime)
	<-dead
	working.Wait()
	k.deals, k.added = append(k.deals, k.added...), nil
	if code := serve.Exit(); code != -1 {
		k.t.Errorf("round %d: serve ended by itself with %d", n, code)
	}
	if err := k.h.Portal.SetFaults(); err != nil {
		k.t.Fatal(err)
	}
}

// changeKey gives lines another key, if all elements have the current one.
func (k *changeKill) changeKey() {
	if k.manual || k.disk.typo || k.rand.IntN(3) > 0 {
		return
	}
	if code, _ := k.run("reload"); code != exitFine && !k.disk.noteGone {
		return
	}
	if st := k.status(); len(st.OldKeys) > 0 || st.Waiting+st.Running > 0 {
		return
	}
	k.note("key changed")
	d := k.disk
	d.key, d.oldKey = d.key+1, true
	k.save(d)
}

// disturb sets faults of the portal for a round, or none.
func (k *changeKill) disturb() {
	if k.rand.IntN(2) == 0 {
		return
	}
	some := func(f emulator.Fault, p float64) emulator.Fault {
		f.Probability, f.Count, f.Seed = p, 1+k.rand.IntN(6), k.rand.Uint64N(1000)
		return f
	}
	if err := k.h.Portal.SetFaults(
		some(emulator.Fault{Kind: emulator.FaultRefuse, Code: "INTERNAL_SERVER_ERROR"}, 0.05),
		some(emulator.Fault{Kind: emulator.FaultReset, After: k.rand.IntN(2) == 0}, 0.1),
		some(emulator.Fault{Kind: emulator.FaultTruncate}, 0.05),
	); err != nil {
		k.t.Fatal(err)
	}
}

// people change rules and run commands until serve is dead, and a little longer.
type people struct {
	*changeKill
	rand *rand.Rand
	dead <-chan struct{}
}

func (p *people) work() {
	for {
		p.act()
		select {
		case <-p.dead:
			if p.rand.IntN(3) == 0 { // while serve does not run
				p.act()
			}
			return
		case <-time.After(time.Duration(p.rand.IntN(200)) * time.Millisecond):
		}
	}
}

// act is one thing that people do.
func (p *people) act() {
	d := p.disk
	d.typo = false
	what := ""
	switch p.rand.IntN(9) {
	case 0:
		what = "fields changed"
		d.version++
	case 1:
		what = "rules renamed"
		for _, ids := range []*[]string{&d.lines, &d.talks, &d.cards, &d.note} {
			if p.rand.IntN(2) == 0 {
				*ids = append(slices.Clone(*ids), fmt.Sprint((*ids)[0], len(*ids)))
			}
		}
	case 2:
		what = "file renamed"
		d.file = fmt.Sprintf("lines%d.yaml", p.rand.IntN(100))
	case 3:
		what = "file broken"
		d.typo = true
	case 4:
		d.noteGone = !d.noteGone
		if what = "rule back"; d.noteGone {
			what = "rule removed"
		}
	case 5:
		if p.disk.noteGone {
			p.prune()
			return
		}
		what = "rule removed and pruned"
		d.noteGone = true
	case 6, 7:
		p.plan(d)
		return
	default:
		p.adopt()
		return
	}
	p.note(what)
	p.save(d)
	p.reload()
	if what == "rule removed and pruned" {
		p.prune()
	}
}

// prune deletes what note has made. Then only further events make it again.
func (p *people) prune() {
	p.command("prune", "--rule", p.disk.note[len(p.disk.note)-1], "--yes")
	p.pruned = time.Now()
}

// reload lets what is on disk run.
func (p *people) reload() {
	switch {
	case p.manual && p.rand.IntN(4) > 0:
		p.command("apply", "--yes", "--bake", "1ms")
	case p.rand.IntN(2) == 0:
		p.command("reload")
	} // otherwise serve sees the change
}

// plan lets a new version run by a plan.
func (p *people) plan(d ruleDisk) {
	p.drafts++
	draft, file := filepath.Join(p.dir, fmt.Sprint("draft", p.drafts)), filepath.Join(p.dir, fmt.Sprintf("plan%d.json", p.drafts))
	d.version++
	p.saveIn(draft, d)
	p.command("plan", "--all", "--save", file, draft)
	if _, err := os.Stat(file); err != nil {
		return
	}
	p.note("plan applied")
	p.save(d)
	p.command("apply", "--yes", "--bake", "1ms", file)
}

// adopt lets lines take over elements of people: a deal of this round has one, and no event yet.
func (p *people) adopt() {
	p.note("adopted")
	p.command("adopt", "--rule", p.disk.lines[len(p.disk.lines)-1], "--yes")
}

// command runs a command, which is killed at some time, or some time after serve.
func (p *people) command(args ...string) {
	c := testkit.StartProcess(p.t, nil, append(args, "--config", p.config)...)
	after, dead := time.Duration(20+p.rand.IntN(1500))*time.Millisecond, p.dead
	if p.rand.IntN(2) == 0 {
		dead = nil
	}
	end := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		if dead != nil {
			select {
			case <-dead:
			case <-end:
				return
			}
		}
		select {
		case <-time.After(after):
			_ = c.Cmd.Process.Kill() // it may have ended
		case <-end:
		}
	})
	_, _ = io.Copy(io.Discard, c.Stdout)
	code := c.Exit()
	close(end)
	killer.Wait()
	p.note(fmt.Sprintf("%s ended with %d", args[0], code))
	if log := c.Log.String(); strings.Contains(log, "goroutine ") || strings.Contains(log, "panic:") {
		p.t.Errorf("%v:\n%s", args, log)
	}
}

// note counts what people do.
func (k *changeKill) note(what string) {
	k.did[what]++
	k.acts = append(k.acts, what)
}

// run runs a command to its end, and returns its exit code and what it has written.
func (k *changeKill) run(args ...string) (code int, out string) {
	k.t.Helper()
	p := testkit.StartProcess(k.t, nil, append(args, "--config", k.config)...)
	data, err := io.ReadAll(p.Stdout)
	if err != nil {
		k.t.Fatal(err)
	}
	code = p.Exit()
	return code, string(data) + p.Log.String()
}

// status is the state of the portal.
func (k *changeKill) status() report.PortalStatus {
	k.t.Helper()
	p := testkit.StartProcess(k.t, nil, "status", "--format", "json", "--all", "--config", k.config)
	data, err := io.ReadAll(p.Stdout)
	var all report.Status
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if code := p.Exit(); code == exitFailure || err != nil || len(all.Portals) != 1 {
		k.t.Fatalf("status: exit code %d, %v, %s\n%s", code, err, data, p.Log)
	}
	return all.Portals[0]
}
