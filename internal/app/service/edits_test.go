package service_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/cli"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// edited are the rule files of TestEdits before each edit.
var edited = map[string]string{
	"a.yaml": `version: 1
inputs: {list: {type: integer, default: 47}}
vars: {prefix: D}
rules:
  note:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - compute: {code: '=vars.prefix + string(event.id)'}
      - upsert_element:
          list: =inputs.list
          key: =code
          fields: {NAME: '=deal.title'}
  lines:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - sync_elements:
          list: 47
          scope: {DEAL: =event.id}
          rows: =rows
          key: =row.key
          match: {PRODUCT_ID: =row.productId}
          fields: {NAME: =row.productName}
`,
	"b.yaml": `version: 1
rules:
  card:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - upsert_item:
          entityTypeId: 1038
          key: {ufCrm5InvoiceId: =event.id}
          fields: {title: 'card {{ event.id }}'}
`,
}

// What becomes of an edit.
const (
	runs    = "runs"
	refused = "refused" // because records would be made again
	orphans = "orphans"
	invalid = "invalid" // a mistake, and all runs on
)

// edits are changes of rules that people make: pairs of old and new text, "FILE" and its new
// text, or "FILE" and "" to remove it.
var edits = []struct {
	name string
	want string
	pair []string
	back []string // an edit on the way back, if there must be one
}{
	{"a title", runs, []string{"version: 1\ninputs", "version: 1\ntitle: Notes\ninputs"}, nil},
	{"a comment", runs, []string{"  note:\n", "  # The title of the deal.\n  note:\n"}, nil},
	{"another field", runs, []string{"{NAME: '=deal.title'}", "{NAME: '=deal.title', DEAL: =event.id}"}, nil},
	{"the name of a step", runs, []string{"id: deal\n", "id: found\n", "deal.title", "found.title"}, nil},
	{"a step before", runs, []string{"      - compute:", "      - log: {message: 'hello {{ deal.title }}'}\n      - compute:"}, nil},
	{"a step behind", runs, []string{"  lines:\n", "      - log: {message: done}\n  lines:\n"}, nil},
	{"blanks in a key", runs, []string{"key: =code", "key: '=  code '"}, nil},
	{"the name of a computed value", runs, []string{"{code: ", "{id: ", "key: =code", "key: =id"}, nil},
	{"a formula in place of a computed value", runs, []string{"      - compute: {code: '=vars.prefix + string(event.id)'}\n", "", "key: =code", "key: '=vars.prefix + string(event.id)'"}, nil},
	{"the order of a mapping", runs, []string{"          list: =inputs.list\n          key: =code\n", "          key: =code\n          list: =inputs.list\n"}, nil},
	{"longer debounce", runs, []string{"debounce: 10ms", "debounce: 20ms"}, nil},
	{"an event less", runs, []string{"on: [ONCRMDEALADD, ONCRMDEALUPDATE]", "on: ONCRMDEALUPDATE"}, nil},
	{"a condition", runs, []string{"    steps:\n      - id: deal", "    when: =event.count > 0\n    steps:\n      - id: deal"}, nil},
	{"no match", runs, []string{"          match: {PRODUCT_ID: =row.productId}\n", ""}, nil},
	{"another match", runs, []string{"match: {PRODUCT_ID: =row.productId}", "match: {NAME: =row.productName}"}, nil},
	{"a limit", runs, []string{"          rows: =rows", "          delete_limit: 50%\n          rows: =rows"}, nil},
	{"the owner that it has", runs, []string{"  lines:\n", "  lines:\n    owner: lines\n"}, nil},
	{"an id with the owner", runs, []string{"  lines:\n", "  positions:\n    owner: lines\n"}, nil},
	{"an id with moved", runs, []string{"  note:\n", "  remark:\n    moved: {from: note}\n"}, nil},
	{"two ids with moved", runs, []string{"  lines:\n", "  positions:\n    moved: {from: [lines, rows]}\n"}, nil},
	{"an id of items", runs, []string{"  card:\n", "  cards:\n"}, nil},
	{"the name of a file", runs, []string{"c.yaml", "a.yaml", "a.yaml", ""}, nil},
	{"a file in two", runs, []string{"  lines:", "#cut", "c.yaml", "#cut"}, nil},
	{"two files in one", runs, []string{"a.yaml", "a.yaml+b.yaml", "b.yaml", ""}, nil},
	{"a new rule in another list", runs, []string{"c.yaml", `version: 1
rules:
  other:
    on: ONCRMDEALDELETE
    deleted:
      - upsert_element: {list: {other}, key: =event.id, fields: {NAME: 'other {{ event.id }}'}}
`}, nil},
	{"the name of an input", runs, []string{"{list: {type", "{target: {type", "inputs.list", "inputs.target"}, nil},
	{"the list itself", runs, []string{"list: =inputs.list", "list: 47"}, nil},
	{"the name of a constant", runs, []string{"{prefix: D}", "{letter: D}", "vars.prefix", "vars.letter"}, nil},
	{"this portal only", runs, []string{"  note:\n", "  note:\n    portals: [" + demo.PortalName + "]\n"}, nil},

	{"a file and its rule with moved", runs, []string{"  card:\n", "  cards:\n    moved: {from: card}\n", "d.yaml", "b.yaml", "b.yaml", ""}, nil},
	{"a step in two", runs, []string{"  lines:\n", "      - upsert_element:\n          list: =inputs.list\n          key: =code\n          fields: {QUANTITY: 7}\n  lines:\n"}, nil},
	{"another key with the same values", runs, []string{"key: =row.key", "key: '=row.key + \"\"'\n          old_key: =row.key"}, nil},
	{"another key with old_key", runs, []string{"key: =row.key", "key: =row.productName\n          old_key: =row.key"}, []string{"key: =row.key", "key: =row.key\n          old_key: =row.productName"}},
	{"another scope with old_scope", runs, []string{"scope: {DEAL: =event.id}", "scope: {DEAL: =event.id, QUANTITY: 1}\n          old_scope: {DEAL: =event.id}"}, []string{"scope: {DEAL: =event.id}", "scope: {DEAL: =event.id}\n          old_scope: {DEAL: =event.id, QUANTITY: 1}"}},
	{"another title of a card", runs, []string{"'card {{ event.id }}'", "'the card {{ event.id }}'"}, nil},

	{"a copy with the same ids", invalid, []string{"d.yaml", "b.yaml"}, nil},
	{"a typo", invalid, []string{"upsert_item", "upsert_itm"}, nil},
	{"moved from a rule that runs", invalid, []string{"  card:\n", "  card:\n    moved: {from: note}\n"}, nil},

	{"two ids swapped", refused, []string{"  lines:\n", "  swapped:\n", "  note:\n", "  lines:\n", "  swapped:\n", "  note:\n"}, nil},
	{"another formula of a key with the same values", refused, []string{"key: =row.key", "key: '=row.key + \"\"'"}, nil},
	{"an id and the list of another step", refused, []string{"  note:\n", "  remark:\n", "=inputs.list", "{other}"}, nil},
	{"a new id", refused, []string{"  note:\n", "  remark:\n"}, nil},
	{"a new id of a sync", refused, []string{"  lines:\n", "  positions:\n"}, nil},
	{"a new id and other steps", refused, []string{"  note:\n", "  remark:\n", "      - compute:", "      - log: {message: x}\n      - compute:", "'=deal.title'", "'=deal.title + \"\"'"}, nil},
	{"a new id in another file", refused, []string{"  lines:", "#cut", "c.yaml", "#cut", "  lines:\n", "  positions:\n"}, nil},
	{"a new id and a new file", refused, []string{"  note:\n", "  remark:\n", "c.yaml", "a.yaml", "a.yaml", ""}, nil},
	{"a new id and two files in one", refused, []string{"  note:\n", "  remark:\n", "a.yaml", "a.yaml+b.yaml", "b.yaml", ""}, nil},
	{"a new id with moved of another rule", refused, []string{"  note:\n", "  remark:\n    moved: {from: notes}\n"}, nil},
	{"another owner", refused, []string{"  note:\n", "  note:\n    owner: shop\n"}, nil},
	{"another owner of a sync", refused, []string{"  lines:\n", "  lines:\n    owner: shop\n"}, nil},
	{"another key", refused, []string{"key: =code", "key: =event.id"}, nil},
	{"another computed key", refused, []string{"=vars.prefix + string", "=vars.prefix + \"-\" + string"}, nil},
	{"another constant in a key", refused, []string{"{prefix: D}", "{prefix: E}"}, nil},
	{"another key of a sync", refused, []string{"key: =row.key", "key: =row.productName"}, nil},
	{"one more property in a scope", refused, []string{"scope: {DEAL: =event.id}", "scope: {DEAL: =event.id, QUANTITY: 1}"}, nil},
	{"another property of a scope", refused, []string{"scope: {DEAL: =event.id}", "scope: {QUANTITY: =event.id}"}, nil},
	{"another list", refused, []string{"list: 47", "list: {other}"}, nil},
	{"another list by default", refused, []string{"default: 47", "default: {other}"}, nil},
	{"another list and a new id", refused, []string{"  lines:\n", "  positions:\n", "list: 47", "list: {other}"}, nil},
	{"another type", refused, []string{"entityTypeId: 1038\n          key: {ufCrm5InvoiceId: =event.id}", "owner: lead\n          key: {sourceDescription: '{{ event.id }}'}"}, nil},
	{"another key field", refused, []string{"key: {ufCrm5InvoiceId: =event.id}\n          fields: {title: 'card {{ event.id }}'}", "key: {title: 'card {{ event.id }}'}\n          fields: {ufCrm5InvoiceId: =event.id}"}, nil},
	{"another key of items", refused, []string{"{ufCrm5InvoiceId: =event.id}", "{ufCrm5InvoiceId: =event.id + 1000}"}, nil},
	{"a sync in place of one element", refused, []string{"      - upsert_element:\n          list: =inputs.list\n          key: =code\n          fields: {NAME: '=deal.title'}", "      - sync_elements: {list: =inputs.list, scope: {QUANTITY: =event.id}, rows: [1], key: =code, fields: {NAME: '=deal.title'}}"}, nil},

	{"two ids swapped with moved", invalid, []string{"  lines:\n", "  swapped:\n", "  note:\n", "  lines:\n    moved: {from: note}\n", "  swapped:\n", "  note:\n    moved: {from: lines}\n"}, nil},
	{"two ids swapped with owners", runs, []string{"  lines:\n", "  swapped:\n", "  note:\n", "  lines:\n    owner: note\n", "  swapped:\n", "  note:\n    owner: lines\n"}, nil},
	{"a rule in two with one owner", invalid, []string{"rows: =rows\n", "rows: '=filter(rows, .price > 5)'\n", "fields: {NAME: =row.productName}\n", "fields: {NAME: =row.productName}\n" + strings.Replace(restRule, "  rest:\n", "  rest:\n    owner: lines\n", 1)}, nil},
	{"two rules in one", refused, []string{"  lines:\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n", ""}, nil},
	{"two rules in one with moved", refused, []string{"  lines:\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n", "", "  note:\n", "  note:\n    moved: {from: lines}\n"}, nil},
	{"moved for another portal", orphans, []string{"  card:\n", "  cards:\n    moved: {from: card}\n    portals: [elsewhere]\n"}, nil},
	{"a key whose values change", refused, []string{"key: =code", "key: =upper(code) + \"-1\""}, nil},
	{"a key whose values change, with old_key", runs, []string{"key: =code", "key: '=code + \"-1\"'\n          old_key: =code"}, []string{"key: =code", "key: =code\n          old_key: '=code + \"-1\"'"}},

	{"a rule less", orphans, []string{"  note:\n", "#drop", "  lines:\n", "#drop"}, nil},
	{"a file less", orphans, []string{"b.yaml", ""}, nil},
	{"a step less", orphans, []string{"      - upsert_element:\n          list: =inputs.list\n          key: =code\n          fields: {NAME: '=deal.title'}", "      - log: {message: '{{ deal.title }} {{ code }} {{ inputs.list }}'}"}, nil},
	{"another portal", orphans, []string{"  card:\n", "  card:\n    portals: [elsewhere]\n"}, nil},
}

// restRule is the second one of two rules that lines is divided into.
const restRule = `  rest:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - sync_elements:
          list: 47
          scope: {DEAL: =event.id}
          rows: '=filter(rows, .price <= 5)'
          key: =row.key
          fields: {NAME: =row.productName}
`

// edit changes files as pairs say.
func edit(files map[string]string, pairs []string) {
	before := maps.Clone(files)
	cut, _, _ := strings.Cut(before["a.yaml"], "inputs:")
	for i := 0; i < len(pairs); i += 2 {
		old, text := pairs[i], pairs[i+1]
		switch {
		case strings.HasSuffix(old, ".yaml") && text == "":
			delete(files, old)
		case text == "a.yaml+b.yaml":
			_, rest, _ := strings.Cut(files["b.yaml"], "rules:\n")
			files["a.yaml"] += rest
		case strings.HasSuffix(old, ".yaml") && text == "#cut":
			at := strings.Index(files["a.yaml"], "  lines:")
			files[old] = cut + "rules:\n" + files["a.yaml"][at:]
			files["a.yaml"] = files["a.yaml"][:at]
		case strings.HasSuffix(old, ".yaml") && strings.HasSuffix(text, ".yaml"):
			files[old] = files[text]
		case strings.HasSuffix(old, ".yaml"):
			files[old] = text
		case text == "#drop" && old == "  note:\n":
			from, to := strings.Index(files["a.yaml"], old), strings.Index(files["a.yaml"], "  lines:")
			files["a.yaml"] = strings.ReplaceAll(files["a.yaml"][:from], "vars: {prefix: D}\n", "") + files["a.yaml"][to:]
		case strings.HasPrefix(text, "#"):
		default:
			for _, name := range slices.Sorted(maps.Keys(files)) {
				files[name] = strings.Replace(files[name], old, text, 1)
			}
		}
	}
}

// TestEdits applies each edit to the rules of a running service, with events before and after
// it, and takes it back. Nothing is made twice, nothing loses its rule without a word, and plan
// has said before what happens.
func TestEdits(t *testing.T) {
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			testEdits(t, part, parts)
		})
	}
}

func newEdits(t *testing.T) *editsTest {
	files := &ruleFiles{files: fstest.MapFS{}}
	files.set(edited)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	x := &editsTest{harness: h, t: t, files: files, other: h.addList()}
	x.deal = h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"))
	h.Wait()
	if got := h.allNames(x.other); !slices.Equal(got, []string{"Nails", "Roof", "Tiles", "card 1"}) {
		t.Fatalf("the rules have made %v", got)
	}
	return x
}

// TestSplitRule divides the rows of a sync between two rules, each with its own owner. The element of
// the row that changes its rule is made again. Nothing can refuse that, because which rows a rule has is
// known to its runs only. But plan has said it before, also what becomes of it when it is taken back.
func TestSplitRule(t *testing.T) {
	t.Parallel()
	x := newEdits(t)
	x.replaces = true
	split := maps.Clone(edited)
	edit(split, []string{"rows: =rows\n", "rows: '=filter(rows, .price > 5)'\n", "fields: {NAME: =row.productName}\n", "fields: {NAME: =row.productName}\n" + restRule})
	x.edit("a rule in two", runs, split)
	if got := x.allNames(x.other); !slices.Equal(got, []string{"Nails", "Roof", "Tiles", "card 1"}) {
		t.Errorf("after it there are %v", got)
	}
	x.edit("taken back", orphans, edited)
	if lost := x.Service.Generation().Orphans(demo.PortalName); len(lost) != 1 || lost[0].Rule != "rest" {
		t.Errorf("the orphans are %+v", lost)
	}
}

func testEdits(t *testing.T, part, parts int) {
	x := newEdits(t)
	for i, e := range edits {
		if i%parts != part {
			continue
		}
		now := maps.Clone(edited)
		edit(now, e.pair)
		for name, text := range now {
			now[name] = strings.ReplaceAll(text, "{other}", fmt.Sprint(x.other))
		}
		if maps.Equal(now, edited) {
			t.Fatalf("%s changes nothing", e.name)
		}
		x.edit(e.name, e.want, now)
		if e.back != nil {
			x.edit(e.name+", not yet taken back", refused, edited)
			back := maps.Clone(edited)
			edit(back, e.back)
			x.edit(e.name+", on the way back", runs, back)
		}
		x.edit(e.name+", taken back", runs, edited)
	}
}

// editsTest is a service whose rules a person edits.
type editsTest struct {
	*harness
	t           *testing.T
	files       *ruleFiles
	other, deal int
	replaces    bool // the edits make records again
}

// edit brings files to the service, with an event behind them. What becomes of them is what plan has
// said before.
func (x *editsTest) edit(name, want string, files map[string]string) {
	x.t.Helper()
	before := x.allNames(x.other)
	planned := x.plan(files)
	x.files.set(files)
	x.Service.Reload()
	gen := x.Service.Generation()
	lost := gen.Orphans(demo.PortalName)
	verdict, findings := runs, gen.Findings()
	switch {
	case gen.Doubles():
		verdict = refused
	case findings.HasErrors():
		verdict = invalid
	case len(lost) > 0:
		verdict = orphans
	}
	if verdict != want {
		x.t.Errorf("%s: %s, want %s\n%v\n%v", name, verdict, want, findings, lost)
	}
	for _, f := range findings {
		if f.Pos.Line == 0 || f.Hint == "" && verdict == refused {
			x.t.Errorf("%s: the finding has no place or no hint: %v", name, f)
		}
	}
	x.wantPlanned(name, verdict, planned)
	why := gen.WhyNot(demo.PortalName, engine.Event{Code: "ONCRMLEADADD", Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}})
	for _, m := range lost {
		if _, _, there := gen.Rule(m.Rule, demo.PortalName); !there && !strings.Contains(why, `{"rule":"`+m.Rule+`"`) {
			x.t.Errorf("%s: why an event starts nothing does not name rule %s: %s", name, m.Rule, why)
		}
	}

	from := len(x.Portal.History())
	x.Post(x.HookURL, formType, x.dealEvent(x.deal))
	x.Wait()
	var happened []string
	for _, c := range x.Portal.History()[from:] {
		record := fmt.Sprintf("element %d:%d", c.IBlockID, c.ID)
		if c.EntityTypeID != 0 {
			record = fmt.Sprintf("item %d:%d", c.EntityTypeID, c.ID)
		}
		if c.Op == "add" {
			record = record[:strings.LastIndexByte(record, ':')] + ":new"
		}
		happened = append(happened, strings.Replace(c.Op, "update", string(dryrun.ChangeUpdate), 1)+" "+record)
	}
	var said []string
	for _, e := range planned.Entities {
		for _, c := range e.Changes {
			said = append(said, string(c.Kind)+" "+c.Record)
		}
	}
	slices.Sort(said)
	slices.Sort(happened)
	if diff := cmp.Diff(said, happened); diff != "" {
		x.t.Errorf("%s (-planned +happened):\n%s", name, diff)
	}
	// A title may change with the rule, but nothing is there twice or gone.
	if now := x.allNames(x.other); !x.replaces && (len(now) != len(before) || slices.ContainsFunc(said, func(s string) bool { return !strings.HasPrefix(s, string(dryrun.ChangeUpdate)+" ") })) {
		x.t.Errorf("%s: there are %v, and were %v; planned %v", name, now, before, said)
	}
}

// wantPlanned compares what plan says of versions with what became of them.
func (x *editsTest) wantPlanned(name, verdict string, p report.PortalChange) {
	x.t.Helper()
	doubles := slices.ContainsFunc(p.Refused, func(s string) bool { return strings.Contains(s, "would-double") })
	lost := slices.ContainsFunc(p.NotCompared, func(s string) bool { return strings.Contains(s, "would have no rule any more") })
	was := runs
	switch {
	case doubles:
		was = refused
	case len(p.Refused) > 0:
		was = invalid
	case lost:
		was = orphans
	}
	if was != verdict || p.NotSeen != "" {
		x.t.Errorf("%s: plan says %s, and it is %s: %+v", name, was, verdict, p)
	}
	for _, r := range x.Service.Generation().Refused() {
		text := "rule set " + r.Set + " is removed"
		if r.Removed() && !slices.ContainsFunc(p.NotCompared, func(s string) bool { return strings.HasPrefix(s, text) }) {
			x.t.Errorf("%s: plan does not say that %s: %+v", name, text, p)
		}
	}
}

// plan is what plan says of rule files.
func (x *editsTest) plan(files map[string]string) report.PortalChange {
	x.t.Helper()
	dir := x.t.TempDir()
	for name, text := range files {
		testkit.WriteFile(x.t, filepath.Join(dir, "rules", name), text)
	}
	config := filepath.Join(dir, "b24rules.yaml")
	testkit.WriteFile(x.t, config, fmt.Sprintf("database: sqlite:%s\nrules: [rules]\nportals: {%s: {webhook: %s, application_token: %s, plan: unlimited}}\n",
		filepath.Join(x.Options.Dir, "b24rules.db"), demo.PortalName, x.Webhook().Reveal(), x.Options.Emulator.ApplicationToken))
	x.Until("what runs is stored", func() bool { // plan compares with it
		stored, err := fleet.NewStore(x.Service.Queue().Database()).List(x.Context(), demo.PortalName)
		if err != nil {
			x.t.Fatal(err)
		}
		live := map[string]string{}
		for _, l := range stored {
			live[l.Set] = l.Version
		}
		instances := x.Service.Generation().Instances(demo.PortalName)
		return !slices.ContainsFunc(instances, func(i *fleet.Instance) bool { return live[i.Set.Name] != i.Set.Version })
	})
	var out, talk bytes.Buffer
	code := cli.Main(x.Context(), []string{"plan", "--all", "--format", "json", "--config", config}, cli.Std{In: strings.NewReader(""), Out: &out, Err: &talk}, actions.All)
	var p report.ChangePlan
	if err := json.Unmarshal(out.Bytes(), &p); err != nil || len(p.Portals) != 1 {
		x.t.Fatalf("plan: exit code %d, %v\n%s%s", code, err, out.Bytes(), talk.Bytes())
	}
	return p.Portals[0]
}

// set replaces all files.
func (r *ruleFiles) set(files map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = fstest.MapFS{}
	for name, text := range files {
		r.files[name] = &fstest.MapFile{Data: []byte(text)}
	}
}

// addList adds a second list and returns its id.
func (h *harness) addList() (id int) {
	h.T.Helper()
	h.Rest("lists.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_CODE": "other", "FIELDS": map[string]any{"NAME": "Other"}}, &id)
	h.Rest("lists.field.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id, "FIELDS": map[string]any{"NAME": "Deal", "TYPE": "N", "CODE": "DEAL"}}, nil)
	return id
}

// allNames are the names of all elements, items and leads in the portal, sorted.
func (h *harness) allNames(other int) []string {
	h.T.Helper()
	var out []string
	for _, list := range []int{h.IDs.ShipmentList, other} {
		var elements []struct {
			Name string `json:"NAME"`
		}
		h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list}, &elements)
		for _, e := range elements {
			out = append(out, e.Name)
		}
	}
	for _, typ := range []int{h.IDs.TotalsType, 1} {
		var answer struct{ Items []struct{ Title string } }
		h.Rest("crm.item.list", map[string]any{"entityTypeId": typ}, &answer)
		for _, i := range answer.Items {
			out = append(out, i.Title)
		}
	}
	slices.Sort(out)
	return out
}

// dealEvent is the body of an event of a deal.
func (h *harness) dealEvent(deal int) string {
	token, _ := json.Marshal(h.Options.Emulator.ApplicationToken)
	return fmt.Sprintf("event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=%s", deal, strings.Trim(string(token), `"`))
}

// TestRemovedAndRenamed: a rule that is removed and comes back under another id in a later edit
// is refused, and takes over with moved: its elements, its memory and its waiting runs.
func TestRemovedAndRenamed(t *testing.T) {
	t.Parallel()
	const head = "version: 1\nrules:\n  "
	const body = "    on: ONCRMDEALUPDATE\n    debounce: 10ms\n    steps:\n      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
		"      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title}}\n" +
		"      - once: =deal.title\n        call: {method: crm.timeline.comment.add, params: {fields: {ENTITY_ID: =event.id, ENTITY_TYPE: deal, COMMENT: hello}}}\n"
	files := &ruleFiles{files: fstest.MapFS{}}
	put := func(text string) {
		files.set(map[string]string{"a.yaml": text, "b.yaml": head + "other:\n    on: ONCRMLEADADD\n    steps: [{log: {message: x}}]\n"})
	}
	put(head + "note:\n" + body)
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	deal := h.AddDeal("Roof")
	touch := func() {
		t.Helper()
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
	}
	comments := func() int {
		t.Helper()
		var all []any
		h.Rest("crm.timeline.comment.list", map[string]any{"filter": map[string]any{"ENTITY_ID": deal, "ENTITY_TYPE": "deal"}}, &all)
		return len(all)
	}
	touch()
	files.remove("a.yaml")
	h.Service.Reload()
	if lost := h.Service.Generation().Orphans(demo.PortalName); len(lost) != 1 || h.Logged("no rule has any more what a rule has made") != 1 {
		t.Errorf("orphans %+v, logged %d times", lost, h.Logged("no rule has any more"))
	}
	h.Stop()
	put(head + "remark:\n" + body)
	h.Start()
	touch()
	if got := h.allNames(h.IDs.ShipmentList); !h.Service.Generation().Doubles() || len(got) != 2 { // both lists are one
		t.Errorf("refused %t, elements %v", h.Service.Generation().Doubles(), got)
	}
	if err := h.Service.Queue().Pause(h.Context(), demo.PortalName, "note", "stocktaking"); err != nil {
		t.Fatal(err)
	}
	put(head + "remark:\n    moved: {from: note}\n" + body)
	h.Service.Reload()
	if pauses, err := h.Service.Queue().Pauses(h.Context()); err != nil || len(pauses) != 1 || pauses[0].Rule != "remark" {
		t.Errorf("pauses %+v, %v", pauses, err)
	}
	if _, err := h.Service.Queue().Resume(h.Context(), demo.PortalName, "remark"); err != nil {
		t.Fatal(err)
	}
	touch()
	if lost := h.Service.Generation().Orphans(demo.PortalName); len(lost) != 0 || h.Service.Generation().Doubles() {
		t.Errorf("orphans %+v, refused %+v", lost, h.Service.Generation().Refused())
	}
	if got := h.allNames(h.IDs.ShipmentList); len(got) != 2 || comments() != 1 {
		t.Errorf("elements %v, %d comments", got, comments())
	}
	if got := h.made(); len(got) != 1 || got[0] != fmt.Sprintf("remark list:%d 1", h.IDs.ShipmentList) {
		t.Errorf("made %v", got)
	}
}
