//go:build unix

package cli

import (
	"cmp"
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
	"github.com/b24rules/b24rules/internal/reload"
)

// TestKillChanges kills serve, and the commands that people run next to it, at random times,
// while people change the rules of two portals: they edit and rename rules and files, change keys,
// remove a rule and bring it back, move an instance to the other portal and back, plan and apply a
// change, prune, and let a rule take over elements. In the meantime deals change and are deleted,
// events arrive and the portals have faults. On PostgreSQL two processes serve, and either is
// killed. In the end each event that was answered with 200 has had its effect, nothing has existed
// twice, nothing of a rule is left that status does not say and prune does not know, and what people
// made is still there. CHANGE_ROUNDS makes the test longer, CHANGE_SEED repeats one.
func TestKillChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	onEachDatabase(t, killChanges)
}

func killChanges(t *testing.T, database string) {
	rounds := testkit.EnvInt(t, "CHANGE_ROUNDS", 2)
	if database != "" { // another process waits 10 seconds before it has what a killed one had
		rounds = testkit.EnvInt(t, "CHANGE_ROUNDS_POSTGRES", testkit.EnvInt(t, "CHANGE_ROUNDS", 1))
	}
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

// changeKill are two portals whose rules change.
type changeKill struct {
	t        *testing.T
	rand     *rand.Rand
	dir      string
	database string
	portals  []*killedPortal
	configs  []string           // a configuration for each process
	serves   []*testkit.Process // nil for one that does not run
	manual   bool

	disk   ruleDisk
	drafts int
	did    map[string]int
	acts   []string // what people have done in this round
	pruned time.Time
}

// killedPortal is a portal, and what should be in it.
type killedPortal struct {
	*changeKill
	name    string
	h       *harness
	other   int // the list of the rule that is removed at times
	third   int // the list of the instance that moves between the portals
	deals   []*killedDeal
	added   []*killedDeal // of this round
	first   int           // how many deals were complete before the first kill
	foreign map[int]foreignElement
}

// killedDeal is a deal as people have left it.
type killedDeal struct {
	id    int
	title string
	parts []part
	gone  bool // it is deleted
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
	note, memo          []string
	noteGone            bool
	version             int
	key                 int // the number of the formula of the key of lines
	oldKey              bool
	file                string // of lines
	typo                bool
	home                int // the portal that has the instance memo@spb
}

// lineKey is the formula of a key of lines.
func lineKey(n int) string {
	if n == 0 {
		return "=row.key"
	}
	return fmt.Sprintf(`='k%d ' + row.key`, n)
}

// memoName is the rule set of the rule that moves between the portals.
const memoName = "memo@spb"

func latest(ids []string) string { return ids[len(ids)-1] }

// files are the rule files. The portals have lists with the same ids.
func (d ruleDisk) files(other int) map[string]string {
	head := func(ids []string) string {
		text := "rules:\n  " + latest(ids) + ":\n"
		if len(ids) > 1 {
			text += "    moved: {from: [" + strings.Join(ids[:len(ids)-1], ", ") + "]}\n"
		}
		return text + "    debounce: 10ms\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE"
	}
	const version, andDelete, noDelete = "version: 1\n", ", ONCRMDEALDELETE]\n    steps:\n", "]\n    steps:\n"
	deleted := func(list string) string {
		return "    deleted:\n      - delete_elements: {list: " + list + ", scope: {DEAL: =event.id}, foreign: keep}\n"
	}
	title := func(list string) string {
		return "      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
			"      - upsert_element: {list: " + list + ", key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}\n" + deleted(list)
	}
	old := ""
	if d.oldKey {
		old = "          old_key: " + lineKey(d.key-1) + "\n"
	}
	lines := version + head(d.lines) + andDelete + "      - id: rows\n        fetch_products: {owner: deal, id: =event.id}\n      - sync_elements:\n          list: 47\n          scope: {DEAL: =event.id}\n" +
		"          rows: =rows\n          key: " + lineKey(d.key) + "\n" + old + "          match: {SUM: =row.price}\n" +
		fmt.Sprintf("          fields: {NAME: '{{ row.productName }} v%d', QUANTITY: =row.quantity}\n", d.version) + deleted("47")
	if d.typo {
		lines = strings.Replace(lines, "sync_elements", "sync_elemnts", 1)
	}
	out := map[string]string{
		d.file: lines,
		"talks.yaml": version + head(d.talks) + noDelete + "      - once: =event.id\n        call:\n          method: crm.timeline.comment.add\n" +
			"          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: 'deal {{ event.id }}'}}\n",
		"cards.yaml": version + head(d.cards) + andDelete + "      - upsert_item:\n          entityTypeId: 1038\n          key: {ufCrm5InvoiceId: =event.id}\n" +
			fmt.Sprintf("          fields: {title: 'card {{ event.id }} v%d'}\n", d.version) +
			"    deleted:\n      - delete_items: {entityTypeId: 1038, filter: {ufCrm5InvoiceId: =event.id}}\n",
		"memo.yaml": version + "inputs: {list: {type: integer}}\n" + head(d.memo) + andDelete + title("=inputs.list"),
	}
	if !d.noteGone {
		out["note.yaml"] = version + head(d.note) + andDelete + title(fmt.Sprint(other))
	}
	return out
}

// use are the rule sets of a portal.
func (d ruleDisk) use(portal, third int) string {
	sets := []string{strings.TrimSuffix(d.file, ".yaml") + ": on", "talks: on", "cards: on"}
	if !d.noteGone {
		sets = append(sets, "note: on")
	}
	if portal == d.home {
		sets = append(sets, fmt.Sprintf("%s: {list: %d}", memoName, third))
	}
	return "{" + strings.Join(sets, ", ") + "}"
}

func newChangeKill(t *testing.T, database string, seed uint64) *changeKill {
	dir := t.TempDir()
	k := &changeKill{
		t: t, dir: dir, rand: rand.New(rand.NewPCG(seed, 1)), did: map[string]int{}, database: cmp.Or(database, "sqlite:b24rules.db"),
		disk:    ruleDisk{lines: []string{"lines"}, talks: []string{"talks"}, cards: []string{"cards"}, note: []string{"note"}, memo: []string{"memo"}, file: "lines.yaml", home: 1},
		configs: []string{filepath.Join(dir, "b24rules.yaml")},
	}
	for _, name := range []string{"demo", "branch"} {
		p := &killedPortal{changeKill: k, name: name, foreign: map[int]foreignElement{}}
		// Requests take their time, so that kills fall between the writes of a run. The portal sends
		// no events: the test does, to know which were answered.
		p.h = newHarness(t, apptest.Options{
			Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}},
			Rules:    fstest.MapFS{"cards.yaml": {Data: []byte(testkit.Rule("none", "      - log: {message: x}\n"))}}, Inputs: map[string]map[string]string{}, Events: []string{"ONAPPTEST"},
		})
		p.other, p.third = p.addList("other"), p.addList("third")
		p.h.Stop()
		k.portals = append(k.portals, p)
	}
	if database != "" {
		k.configs = append(k.configs, filepath.Join(dir, "second.yaml"))
	}
	k.serves = make([]*testkit.Process, len(k.configs))
	k.setManual(false)
	k.save(k.disk)
	k.begin()
	for _, p := range k.portals {
		for range 3 {
			p.deals = append(p.deals, p.newDeal(k.rand))
		}
		p.first = len(p.deals)
	}
	// Both portals have had the instance, so each event is for it from here on, also while it is away.
	for _, home := range []int{1, 0} {
		d := k.disk
		d.home = home
		k.save(d)
		if code, out := k.run("reload", "--format", "json"); code == exitFailure || !k.onlyRemoved(out) {
			t.Fatalf("reload: exit code %d\n%s", code, out)
		}
		for _, p := range k.portals {
			for _, d := range p.deals {
				d.open = true
			}
		}
		k.sendOpen(0)
		k.idle()
	}
	for _, p := range k.portals {
		for _, d := range p.deals { // what people write into the elements of rules
			for _, e := range p.elements(d.id) {
				if err := p.h.People.Ship(p.h.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			p.addForeign(d, 9999, false)
		}
	}
	k.end()
	return k
}

// addList adds a list for elements of deals.
func (p *killedPortal) addList(code string) (id int) {
	p.h.Rest("lists.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_CODE": code, "FIELDS": map[string]any{"NAME": code}}, &id)
	p.h.Rest("lists.field.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "FIELDS": map[string]any{"NAME": "Deal", "TYPE": "N", "CODE": "DEAL"}}, nil)
	return id
}

// setManual writes the configurations, and lets new versions wait for apply, or not. Without a
// catch-up, an event that is lost stays lost.
func (k *changeKill) setManual(on bool) {
	k.manual = on
	for i, file := range k.configs {
		text := fmt.Sprintf("listen: %s\ndatabase: %s\nrules: [rules]\ncatch_up: off\nportals: portals\nlog: {level: debug}\nlimits: {attempts: 100, retry_first: 10ms, retry_max: 50ms, settle: 20ms, event_delay: 1ms}\n", k.portals[i].h.HookAddr, k.database)
		if on {
			text += "reload: manual\n"
		}
		testkit.WriteFile(k.t, file, text)
	}
}

// save writes the files of portals and rules, each at once, in any order, and removes other rule files.
func (k *changeKill) save(d ruleDisk) {
	parts := []func(){func() { k.saveIn(filepath.Join(k.dir, "rules"), d) }}
	for i, p := range k.portals {
		parts = append(parts, func() {
			k.put(filepath.Join(k.dir, "portals", p.name+".yaml"), fmt.Sprintf("webhook: %s\napplication_token: %s\nplan: unlimited\nuse: %s\n", p.h.Webhook().Reveal(), p.h.Options.Emulator.ApplicationToken, d.use(i, p.third)))
		})
	}
	for _, i := range rand.New(rand.NewPCG(uint64(len(k.acts)), uint64(d.home))).Perm(len(parts)) {
		parts[i]()
	}
	k.disk = d
}

// put writes a file at once.
func (k *changeKill) put(path, text string) {
	if now, err := os.ReadFile(path); err == nil && string(now) == text {
		return
	}
	temp := filepath.Join(k.dir, "new.tmp")
	testkit.WriteFile(k.t, temp, text)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		k.t.Fatal(err)
	}
	testkit.Rename(k.t, temp, path)
}

func (k *changeKill) saveIn(dir string, d ruleDisk) {
	files := d.files(k.portals[0].other)
	for name, text := range files {
		k.put(filepath.Join(dir, name), text)
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

// begin starts the processes that do not run, and waits until a process works each portal.
func (k *changeKill) begin() {
	k.t.Helper()
	for i, file := range k.configs {
		if k.serves[i] == nil {
			k.serves[i] = testkit.StartProcess(k.t, nil, "serve", "--config", file)
			k.serves[i].Log.Wait(k.t, 0, "events at")
		}
	}
	if len(k.serves) > 1 { // they have to take over from the ones that were killed
		k.portals[0].h.Until("each portal is worked", func() bool {
			return !slices.ContainsFunc(k.portals, func(p *killedPortal) bool { return !slices.ContainsFunc(k.serves, p.workedBy) })
		})
	}
}

// workedBy reports whether a process has the lease of the portal.
func (p *killedPortal) workedBy(serve *testkit.Process) bool {
	held := false
	for line := range strings.Lines(serve.Log.String()) {
		if strings.Contains(line, "portal="+p.name) {
			held = held && !strings.Contains(line, "portal lease released") || strings.Contains(line, "portal lease acquired")
		}
	}
	return held
}

// end ends the processes as Ctrl-C does.
func (k *changeKill) end() {
	k.t.Helper()
	for i, serve := range k.serves {
		if serve == nil {
			continue
		}
		serve.Signal(syscall.SIGTERM)
		if code := serve.Exit(); code != exitFine {
			k.t.Errorf("serve ended with %d", code)
		}
		k.serves[i] = nil
	}
}

// newDeal adds a deal, of which no event is sent yet.
func (p *killedPortal) newDeal(r *rand.Rand) *killedDeal {
	d := &killedDeal{}
	var err error
	if d.id, err = p.h.People.AddDeal(p.h.Context(), "Deal"); err != nil {
		p.t.Fatal(err)
	}
	p.changeDeal(r, d)
	return d
}

// changeDeal gives a deal another title and other rows. The first part is always there.
func (p *killedPortal) changeDeal(r *rand.Rand, d *killedDeal) {
	d.title, d.open = fmt.Sprintf("Deal %d.%d", d.id, r.IntN(1_000_000)), true
	d.parts = nil
	var rows []demo.Row
	for n := range 4 {
		if n > 0 && r.IntN(3) == 0 {
			continue
		}
		one := part{n, 1 + r.IntN(1_000_000)}
		d.parts = append(d.parts, one)
		rows = append(rows, row(fmt.Sprint("Part ", n), fmt.Sprint(10+n), fmt.Sprint(one.quantity)))
	}
	if err := p.h.People.SetRows(p.h.Context(), "D", d.id, rows); err != nil {
		p.t.Fatal(err)
	}
	p.h.Rest("crm.deal.update", map[string]any{"id": d.id, "fields": map[string]any{"TITLE": d.title}}, nil)
}

// deleteDeal deletes a deal. No event of it is sent yet.
func (p *killedPortal) deleteDeal(d *killedDeal) {
	d.gone, d.open = true, true
	if err := p.h.People.DeleteDeal(p.h.Context(), d.id); err != nil {
		p.t.Fatal(err)
	}
	p.note("deal deleted")
}

// addForeign adds an element of a person to a deal. One with the price of a row fits it.
func (p *killedPortal) addForeign(d *killedDeal, price int, fits bool) {
	comment := fmt.Sprintf("by hand %d", len(p.foreign))
	params := p.h.ElementParams(fmt.Sprint("hand-", len(p.foreign)), comment, map[string]any{"DEAL": d.id, "SUM": price, "COMMENT": comment})
	var id int
	p.h.Rest("lists.element.add", params, &id)
	p.foreign[id] = foreignElement{d.id, comment, fits}
}

// sendOpen sends an event of each deal without one, within a time, to any of the processes.
func (k *changeKill) sendOpen(within time.Duration) {
	var wg sync.WaitGroup
	for _, p := range k.portals {
		for _, d := range p.deals {
			if !d.open {
				continue
			}
			var wait time.Duration
			if within > 0 {
				wait = time.Duration(k.rand.Int64N(int64(within)))
			}
			address, code := k.portals[k.rand.IntN(len(k.serves))].h.HookAddr, "ONCRMDEALUPDATE"
			if d.gone {
				code = "ONCRMDEALDELETE"
			}
			wg.Go(func() {
				time.Sleep(wait)
				body := fmt.Sprintf("event=%s&data[FIELDS][ID]=%d&auth[application_token]=%s", code, d.id, p.h.Options.Emulator.ApplicationToken)
				resp, err := http.Post("http://"+address+"/hooks/"+p.name, "application/x-www-form-urlencoded", strings.NewReader(body))
				if err != nil {
					return
				}
				_ = resp.Body.Close()
				if d.open = resp.StatusCode != http.StatusOK; !d.open {
					d.heard = time.Now()
				}
			})
		}
	}
	wg.Wait()
}

// round starts what does not run, changes deals and rules, sends events, and kills a process and
// the commands.
func (k *changeKill) round(n int) {
	k.acts = nil
	if !slices.ContainsFunc(k.serves, func(p *testkit.Process) bool { return p != nil }) { // it needs a restart
		k.setManual(k.rand.IntN(4) == 0)
	}
	k.begin()
	for _, p := range k.portals {
		p.changeDeals()
	}
	k.changeKey()
	for _, p := range k.portals {
		p.disturb()
	}
	lifetime := 200*time.Millisecond + time.Duration(k.rand.IntN(3000))*time.Millisecond
	dead := make(chan struct{})
	at := k.rand.IntN(len(k.serves))
	victim := k.serves[at]
	timer := time.AfterFunc(lifetime, func() { _ = victim.Cmd.Process.Kill(); close(dead) })
	defer timer.Stop()
	seed := k.rand.Uint64()
	var working sync.WaitGroup
	working.Go(func() { (&people{k, rand.New(rand.NewPCG(seed, 2)), dead}).work() })
	k.sendOpen(lifetime)
	<-dead
	working.Wait()
	for _, p := range k.portals {
		p.deals, p.added = append(p.deals, p.added...), nil
		if err := p.h.Portal.SetFaults(); err != nil {
			k.t.Fatal(err)
		}
	}
	k.kill(at)
	for i, serve := range k.serves {
		if serve != nil && k.rand.IntN(2) == 0 {
			_ = serve.Cmd.Process.Kill()
			k.kill(i)
		}
	}
}

// kill notes that a process is killed.
func (k *changeKill) kill(at int) {
	k.t.Helper()
	if code := k.serves[at].Exit(); code != -1 {
		k.t.Errorf("serve ended by itself with %d", code)
	}
	k.serves[at] = nil
}

// changeDeals is what people do with the deals of a portal in a round.
func (p *killedPortal) changeDeals() {
	alive := 0
	for i, d := range p.deals {
		switch n := p.rand.IntN(8); {
		case d.gone:
			continue
		case n < 4:
			p.changeDeal(p.rand, d)
		case n == 7 && i >= p.first:
			p.deleteDeal(d)
			continue
		}
		alive++
	}
	if alive < 8 && p.rand.IntN(2) == 0 {
		d := p.newDeal(p.rand)
		p.addForeign(d, 10, true)
		p.addForeign(d, 9999, false)
		p.added = append(p.added, d)
	}
}

// changeKey gives lines another key, if all elements have the current one.
func (k *changeKill) changeKey() {
	if k.manual || k.disk.typo || k.rand.IntN(3) > 0 || k.serves[0] == nil {
		return
	}
	code, out := k.run("reload", "--format", "json")
	if code == exitFailure || !k.onlyRemoved(out) || k.open() != "" {
		return
	}
	for _, p := range k.portals {
		if len(k.status()[p.name].OldKeys) > 0 {
			return
		}
	}
	k.note("key changed")
	d := k.disk
	d.key, d.oldKey = d.key+1, true
	k.save(d)
}

// disturb sets faults of the portal for a round, or none.
func (p *killedPortal) disturb() {
	if p.rand.IntN(2) == 0 {
		return
	}
	some := func(f emulator.Fault, likely float64) emulator.Fault {
		f.Probability, f.Count, f.Seed = likely, 1+p.rand.IntN(6), p.rand.Uint64N(1000)
		return f
	}
	if err := p.h.Portal.SetFaults(
		some(emulator.Fault{Kind: emulator.FaultRefuse, Code: "INTERNAL_SERVER_ERROR"}, 0.05),
		some(emulator.Fault{Kind: emulator.FaultReset, After: p.rand.IntN(2) == 0}, 0.1),
		some(emulator.Fault{Kind: emulator.FaultTruncate}, 0.05),
	); err != nil {
		p.t.Fatal(err)
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
	switch p.rand.IntN(11) {
	case 0:
		what = "fields changed"
		d.version++
	case 1:
		what = "rules renamed"
		for _, ids := range []*[]string{&d.lines, &d.talks, &d.cards, &d.note, &d.memo} {
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
	case 8, 9:
		what = "instance moved"
		d.home = 1 - d.home
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
	p.command("prune", "--rule", latest(p.disk.note), "--yes")
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
	p.command("adopt", "--rule", latest(p.disk.lines), "--portal", p.portals[p.rand.IntN(len(p.portals))].name, "--yes")
}

// command runs a command, which is killed at some time, or some time after serve.
func (p *people) command(args ...string) {
	c := testkit.StartProcess(p.t, nil, append(args, "--config", p.configs[0])...)
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
	p := testkit.StartProcess(k.t, nil, append(args, "--config", k.configs[0])...)
	data, err := io.ReadAll(p.Stdout)
	if err != nil {
		k.t.Fatal(err)
	}
	code = p.Exit()
	return code, string(data) + p.Log.String()
}

// onlyRemoved reports whether the answers of a reload refuse nothing but the rule sets that are removed.
func (k *changeKill) onlyRemoved(out string) bool {
	var answer struct{ Processes []reload.Answer }
	if json.NewDecoder(strings.NewReader(out)).Decode(&answer) != nil || len(answer.Processes) == 0 {
		return false
	}
	for _, a := range answer.Processes {
		for _, text := range a.Refused {
			if !strings.Contains(text, "the portal no longer uses it") {
				return false
			}
		}
	}
	return true
}

// status is the state of each portal.
func (k *changeKill) status() map[string]report.PortalStatus {
	k.t.Helper()
	p := testkit.StartProcess(k.t, nil, "status", "--format", "json", "--all", "--config", k.configs[0])
	data, err := io.ReadAll(p.Stdout)
	var all report.Status
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if code := p.Exit(); code == exitFailure || err != nil || len(all.Portals) != len(k.portals) {
		k.t.Fatalf("status: exit code %d, %v, %s\n%s", code, err, data, p.Log)
	}
	out := map[string]report.PortalStatus{}
	for _, one := range all.Portals {
		out[one.Portal] = one
	}
	return out
}
