package service_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
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
	refused = "refused"
	orphans = "orphans"
)

// edits are changes of rules that people make: pairs of old and new text, "FILE" and its new
// text, or "FILE" and "" to remove it.
var edits = []struct {
	name string
	want string
	pair []string
}{
	{"a title", runs, []string{"version: 1\ninputs", "version: 1\ntitle: Notes\ninputs"}},
	{"a comment", runs, []string{"  note:\n", "  # The title of the deal.\n  note:\n"}},
	{"another field", runs, []string{"{NAME: '=deal.title'}", "{NAME: '=deal.title', DEAL: =event.id}"}},
	{"the name of a step", runs, []string{"id: deal\n", "id: found\n", "deal.title", "found.title"}},
	{"a step before", runs, []string{"      - compute:", "      - log: {message: 'hello {{ deal.title }}'}\n      - compute:"}},
	{"a step behind", runs, []string{"  lines:\n", "      - log: {message: done}\n  lines:\n"}},
	{"blanks in a key", runs, []string{"key: =code", "key: '=  code '"}},
	{"the name of a computed value", runs, []string{"{code: ", "{id: ", "key: =code", "key: =id"}},
	{"a formula in place of a computed value", runs, []string{"      - compute: {code: '=vars.prefix + string(event.id)'}\n", "", "key: =code", "key: '=vars.prefix + string(event.id)'"}},
	{"the order of a mapping", runs, []string{"          list: =inputs.list\n          key: =code\n", "          key: =code\n          list: =inputs.list\n"}},
	{"longer debounce", runs, []string{"debounce: 10ms", "debounce: 20ms"}},
	{"an event less", runs, []string{"on: [ONCRMDEALADD, ONCRMDEALUPDATE]", "on: ONCRMDEALUPDATE"}},
	{"a condition", runs, []string{"    steps:\n      - id: deal", "    when: =event.count > 0\n    steps:\n      - id: deal"}},
	{"no match", runs, []string{"          match: {PRODUCT_ID: =row.productId}\n", ""}},
	{"another match", runs, []string{"match: {PRODUCT_ID: =row.productId}", "match: {NAME: =row.productName}"}},
	{"a limit", runs, []string{"          rows: =rows", "          delete_limit: 50%\n          rows: =rows"}},
	{"the owner that it has", runs, []string{"  lines:\n", "  lines:\n    owner: lines\n"}},
	{"an id with the owner", runs, []string{"  lines:\n", "  positions:\n    owner: lines\n"}},
	{"an id with moved", runs, []string{"  note:\n", "  remark:\n    moved: {from: note}\n"}},
	{"two ids with moved", runs, []string{"  lines:\n", "  positions:\n    moved: {from: [lines, rows]}\n"}},
	{"an id of items", runs, []string{"  card:\n", "  cards:\n"}},
	{"the name of a file", runs, []string{"c.yaml", "a.yaml", "a.yaml", ""}},
	{"a file in two", runs, []string{"  lines:", "#cut", "c.yaml", "#cut"}},
	{"two files in one", runs, []string{"a.yaml", "a.yaml+b.yaml", "b.yaml", ""}},
	{"a new rule in another list", runs, []string{"c.yaml", `version: 1
rules:
  other:
    on: ONCRMDEALDELETE
    deleted:
      - upsert_element: {list: {other}, key: =event.id, fields: {NAME: 'other {{ event.id }}'}}
`}},
	{"the name of an input", runs, []string{"{list: {type", "{target: {type", "inputs.list", "inputs.target"}},
	{"the list itself", runs, []string{"list: =inputs.list", "list: 47"}},
	{"the name of a constant", runs, []string{"{prefix: D}", "{letter: D}", "vars.prefix", "vars.letter"}},
	{"this portal only", runs, []string{"  note:\n", "  note:\n    portals: [" + demo.PortalName + "]\n"}},

	{"a new id", refused, []string{"  note:\n", "  remark:\n"}},
	{"a new id of a sync", refused, []string{"  lines:\n", "  positions:\n"}},
	{"a new id and other steps", refused, []string{"  note:\n", "  remark:\n", "      - compute:", "      - log: {message: x}\n      - compute:", "'=deal.title'", "'=deal.title + \"\"'"}},
	{"a new id in another file", refused, []string{"  lines:", "#cut", "c.yaml", "#cut", "  lines:\n", "  positions:\n"}},
	{"a new id and a new file", refused, []string{"  note:\n", "  remark:\n", "c.yaml", "a.yaml", "a.yaml", ""}},
	{"a new id and two files in one", refused, []string{"  note:\n", "  remark:\n", "a.yaml", "a.yaml+b.yaml", "b.yaml", ""}},
	{"a new id with moved of another rule", refused, []string{"  note:\n", "  remark:\n    moved: {from: notes}\n"}},
	{"another owner", refused, []string{"  note:\n", "  note:\n    owner: shop\n"}},
	{"another owner of a sync", refused, []string{"  lines:\n", "  lines:\n    owner: shop\n"}},
	{"another key", refused, []string{"key: =code", "key: =event.id"}},
	{"another computed key", refused, []string{"=vars.prefix + string", "=vars.prefix + \"-\" + string"}},
	{"another constant in a key", refused, []string{"{prefix: D}", "{prefix: E}"}},
	{"another key of a sync", refused, []string{"key: =row.key", "key: =row.productName"}},
	{"one more property in a scope", refused, []string{"scope: {DEAL: =event.id}", "scope: {DEAL: =event.id, QUANTITY: 1}"}},
	{"another property of a scope", refused, []string{"scope: {DEAL: =event.id}", "scope: {QUANTITY: =event.id}"}},
	{"another list", refused, []string{"list: 47", "list: {other}"}},
	{"another list by default", refused, []string{"default: 47", "default: {other}"}},
	{"another list and a new id", refused, []string{"  lines:\n", "  positions:\n", "list: 47", "list: {other}"}},
	{"another type", refused, []string{"entityTypeId: 1038\n          key: {ufCrm5InvoiceId: =event.id}", "owner: lead\n          key: {sourceDescription: '{{ event.id }}'}"}},
	{"another key field", refused, []string{"key: {ufCrm5InvoiceId: =event.id}\n          fields: {title: 'card {{ event.id }}'}", "key: {title: 'card {{ event.id }}'}\n          fields: {ufCrm5InvoiceId: =event.id}"}},
	{"another key of items", refused, []string{"{ufCrm5InvoiceId: =event.id}", "{ufCrm5InvoiceId: =event.id + 1000}"}},
	{"a sync in place of one element", refused, []string{"      - upsert_element:\n          list: =inputs.list\n          key: =code\n          fields: {NAME: '=deal.title'}", "      - sync_elements: {list: =inputs.list, scope: {QUANTITY: =event.id}, rows: [1], key: =code, fields: {NAME: '=deal.title'}}"}},

	{"a rule less", orphans, []string{"  note:\n", "#drop", "  lines:\n", "#drop"}},
	{"a file less", orphans, []string{"b.yaml", ""}},
	{"a step less", orphans, []string{"      - upsert_element:\n          list: =inputs.list\n          key: =code\n          fields: {NAME: '=deal.title'}", "      - log: {message: '{{ deal.title }} {{ code }} {{ inputs.list }}'}"}},
	{"another portal", orphans, []string{"  card:\n", "  card:\n    portals: [elsewhere]\n"}},
}

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
// it, and takes it back. Nothing is made twice, and nothing loses its rule without a word.
func TestEdits(t *testing.T) {
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			testEdits(t, part, parts)
		})
	}
}

func testEdits(t *testing.T, part, parts int) {
	files := &ruleFiles{files: fstest.MapFS{}}
	for name, text := range edited {
		files.put(name, &fstest.MapFile{Data: []byte(text)})
	}
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	other := h.addList()
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"))
	h.Wait()
	want := []string{"Nails", "Roof", "Tiles", "card 1"}
	if got := h.allNames(other); !slices.Equal(got, want) {
		t.Fatalf("the rules have made %v", got)
	}
	for i, e := range edits {
		if i%parts != part {
			continue
		}
		now := maps.Clone(edited)
		edit(now, e.pair)
		for name, text := range now {
			now[name] = strings.ReplaceAll(text, "{other}", fmt.Sprint(other))
		}
		if maps.Equal(now, edited) {
			t.Fatalf("%s changes nothing", e.name)
		}
		files.set(now)
		h.Service.Reload()
		gen := h.Service.Generation()
		verdict := runs
		lost, _ := gen.Orphans(demo.PortalName)
		switch {
		case gen.Doubles():
			verdict = refused
		case len(lost) > 0:
			verdict = orphans
		}
		findings := gen.Findings()
		if verdict != e.want || findings.HasErrors() && !gen.Doubles() {
			t.Errorf("%s: %s, want %s\n%v\n%v", e.name, verdict, e.want, findings, lost)
		}
		for _, f := range findings {
			if f.Pos.Line == 0 || f.Hint == "" {
				t.Errorf("%s: the finding has no place or no hint: %v", e.name, f)
			}
		}
		h.Touch(deal, "Roof")
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
		if got := h.allNames(other); !slices.Equal(got, want) {
			t.Errorf("%s: there are %v, want %v", e.name, got, want)
		}
		files.set(edited)
		h.Service.Reload()
		if gen = h.Service.Generation(); slices.ContainsFunc(gen.Refused(), func(r fleet.Refused) bool { return !r.Removed() }) {
			t.Errorf("%s, taken back: %+v", e.name, gen.Refused())
		}
		if lost, _ := gen.Orphans(demo.PortalName); len(lost) > 0 {
			t.Errorf("%s, taken back: orphans %+v", e.name, lost)
		}
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
	}
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
	if lost, _ := h.Service.Generation().Orphans(demo.PortalName); len(lost) != 1 || h.Logged("no rule has any more what a rule has made") != 1 {
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
	if lost, _ := h.Service.Generation().Orphans(demo.PortalName); len(lost) != 0 || h.Service.Generation().Doubles() {
		t.Errorf("orphans %+v, refused %+v", lost, h.Service.Generation().Refused())
	}
	if got := h.allNames(h.IDs.ShipmentList); len(got) != 2 || comments() != 1 {
		t.Errorf("elements %v, %d comments", got, comments())
	}
	if got := h.made(); len(got) != 1 || got[0] != fmt.Sprintf("remark list:%d 1", h.IDs.ShipmentList) {
		t.Errorf("made %v", got)
	}
}
