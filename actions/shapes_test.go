package actions_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// shapedStep is a step for a portal of shapedPortal. ready brings the portal into the
// state in which the step has something to do.
type shapedStep struct {
	name, step, ready string
	// reads and writes are the methods that the step calls.
	reads, writes []string
}

const (
	listRows   = "crm.item.productrow.list"
	listItems  = "crm.item.list"
	getItem    = "crm.item.get"
	listPieces = "lists.element.get"
)

// shapedSteps has each action that reads or writes lists or items.
var shapedSteps = []shapedStep{
	{"fetch_item", `fetch_item: {owner: deal, id: =event.id}`, "", []string{getItem}, nil},
	{"fetch_products", `fetch_products: {owner: deal, id: =event.id}`, "", []string{listRows}, nil},
	{"fetch_items", `fetch_items: {entityTypeId: 1030, filter: {ufCrm1Deal: =event.id}}`, "", []string{listItems}, nil},
	{"fetch_elements", `fetch_elements: {list: 1, filter: {DEAL: =event.id}}`, "", []string{listPieces}, nil},
	{"sync_elements update", syncPieces, changedRow, []string{listPieces}, []string{"lists.element.update"}},
	{"sync_elements add and delete", syncPieces, otherRows, []string{listRows, listPieces}, []string{"lists.element.add", "lists.element.delete"}},
	{"sync_items update", syncLines, changedRow, []string{listItems}, []string{"crm.item.update"}},
	{"sync_items add and delete", syncLines, otherRows, []string{listRows, listItems}, []string{"crm.item.add", "crm.item.delete"}},
	{"upsert_element", `upsert_element: {list: 1, key: one, fields: {NAME: One, QTY: 2}}`, "", []string{listPieces}, []string{"lists.element.add"}},
	{"upsert_item", `upsert_item: {entityTypeId: 1030, key: {ufCrm1Row: one}, fields: {title: One}}`, "", []string{listItems}, []string{"crm.item.add"}},
	{"upsert_item update", `upsert_item: {entityTypeId: 1030, key: {ufCrm1Row: "7#1"}, fields: {title: One}}`, "", []string{listItems}, []string{"crm.item.update"}},
	{"update_item", `update_item: {owner: deal, id: =event.id, fields: {title: Two}}`, "", []string{getItem}, []string{"crm.item.update"}},
	{"delete_elements", `delete_elements: {list: 1, scope: {DEAL: =event.id}, limit: 100}`, "", []string{listPieces}, []string{"lists.element.delete"}},
	{"delete_items", `delete_items: {entityTypeId: 1030, filter: {ufCrm1Deal: =event.id}, limit: 100}`, "", []string{listItems}, []string{"crm.item.delete"}},
}

const (
	syncPieces = `sync_elements: {list: 1, scope: {DEAL: =event.id}, rows: =rows, key: =row.key, delete_limit: 100, fields: {NAME: =row.productName, QTY: =row.quantity}}`
	syncLines  = `sync_items: {entityTypeId: 1030, scope: {ufCrm1Deal: =event.id}, rows: =rows, key: {ufCrm1Row: =row.key}, delete_limit: 100, fields: {title: =row.productName, ufCrm1Sum: =row.quantity}}`
)

// shapedRows is a request that sets n product rows from the id first.
func shapedRows(first, n, quantity int) string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"productId":%d,"productName":"Product %d","price":10,"quantity":%d,"sort":%d}`, first+i, first+i, quantity, i))
	}
	return `crm.item.productrow.set {"ownerType":"D","ownerId":1,"productRows":[` + strings.Join(rows, ",") + `]}`
}

// syncedRows fill more than a page.
const syncedRows = 53

var (
	changedRow = shapedRows(1, syncedRows, 4)
	otherRows  = shapedRows(2, syncedRows, 3)
)

// shapedPortal is a portal with a deal of 53 product rows, and an element and an item
// for each. The rule of the script is that of the step.
func shapedPortal(t *testing.T, step shapedStep) *script {
	t.Helper()
	s := newScript(t, emulator.Config{})
	s.perform("portal", "list Pieces DEAL:S QTY:N NOTE:S\ntype Lines DEAL:integer ROW:string SUM:double")
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`+"\n"+shapedRows(1, syncedRows, 3))
	s.compile(shapedRule(syncPieces))
	s.run([]string{"deal:1"})
	s.compile(shapedRule(syncLines))
	s.run([]string{"deal:1"})
	s.perform("rest", step.ready)
	s.compile(shapedRule(step.step))
	s.log.Reset()
	return s
}

func shapedRule(step string) []byte {
	head := "version: 1\nrules:\n  example:\n    on: ONCRMDEALUPDATE\n    steps:\n"
	if strings.Contains(step, "=rows") {
		head += "      - id: rows\n        fetch_products: {owner: deal, id: =event.id}\n"
	}
	shown := "done"
	switch {
	case strings.HasPrefix(step, "fetch_item:"):
		shown = "{{ seen.title }}"
	case strings.HasPrefix(step, "fetch"):
		shown = "{{ len(seen) }}"
	}
	return []byte(head + "      - id: seen\n        " + step + "\n      - log: {message: '" + shown + "'}\n")
}

// shapedEnd is what a step leaves: what it logged, and the portal.
func (s *script) shapedEnd() string {
	state := s.state(`crm.deal.list {"select":["ID","TITLE"]}` + "\n" +
		`crm.item.list {"entityTypeId":1030,"start":0}` + "\n" + `crm.item.list {"entityTypeId":1030,"start":50}` + "\n" +
		`lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1,"start":0}` + "\n" + `lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1,"start":50}`)
	// Elements and items that one step adds have no order, so any of them may be the first
	// of a page.
	state = strings.ReplaceAll(serials.ReplaceAllString(state, ""), "}\t{", "}\n\t{")
	lines := strings.Split(state, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// serials differ when a write had to be repeated, or came in another order.
var serials = regexp.MustCompile(`"(ID|id)":"?\d+"?,?`)

// readShapes are the shapes of answers to reads.
var readShapes = []emulator.Fault{
	{Shape: emulator.ShapeAbsent},
	{Shape: emulator.ShapeNull},
	{Shape: emulator.ShapeFalse},
	{Shape: emulator.ShapeGaps},
	{Shape: emulator.ShapeRenamed},
	{Shape: emulator.ShapeShort},
	{Shape: emulator.ShapeShort, Skip: 1},
	{Shape: emulator.ShapeTotal},
	{Shape: emulator.ShapeTotal, Total: 3},
	{Shape: emulator.ShapeTotal, Total: 90},
	{Shape: emulator.ShapeNoNext},
}

// TestShapesOfReads checks each step that reads with each wrong shape of each answer:
// the run either ends as with right answers, or fails, is retried, and has written and
// shown nothing.
func TestShapesOfReads(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends thousands of requests, one after another")
	}
	for _, step := range shapedSteps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			right := shapedPortal(t, step)
			right.run([]string{"deal:1"})
			shown, end := right.log.String(), right.shapedEnd()
			if right.outcome != "done\n" || len(step.writes) > 0 == !strings.Contains(right.client.take(), "write") {
				t.Fatalf("without a fault: %s", right.outcome)
			}
			failed := 0
			s := shapedPortal(t, step)
			before := s.shapedEnd()
			for _, method := range step.reads {
				for _, f := range readShapes {
					f.Kind, f.Method = emulator.FaultShape, method
					s.fault(f)
					s.run([]string{"deal:1"})
					s.fault()
					calls, what := s.client.take(), fmt.Sprintf("%s %s keep %d total %d skip %d", method, f.Shape, f.Keep, f.Total, f.Skip)
					switch {
					case s.outcome == "done\n":
						if diff := cmp.Diff(shown+end, s.log.String()+s.shapedEnd()); diff != "" {
							t.Errorf("%s: the run is done, but with another end\n%s\n%s", what, diff, calls)
						}
						if s.log.Reset(); len(step.writes) > 0 {
							s = shapedPortal(t, step)
						}
					case !strings.HasPrefix(s.outcome, "retry: "):
						t.Errorf("%s: %s", what, s.outcome)
					case strings.Contains(calls, "write") && s.shapedEnd() != before || s.log.Len() > 0:
						t.Errorf("%s: the run failed and left something: %s\n%s\n%s", what, s.outcome, s.log.String(), calls)
					default:
						failed++
					}
				}
			}
			if failed < 4*len(step.reads) {
				t.Errorf("only %d shapes are errors", failed)
			}
		})
	}
}

// TestShapesOfWrites checks each write of each step. An answer that does not say that
// the write is done is an error and is retried, whether the portal has done it or not.
// The next attempt then comes to the same end as without a fault.
func TestShapesOfWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends thousands of requests, one after another")
	}
	faults := []emulator.Fault{
		{Kind: emulator.FaultUndone},
		{Kind: emulator.FaultUndone, Shape: emulator.ShapeNull},
		{Kind: emulator.FaultShape, Shape: emulator.ShapeFalse},
		{Kind: emulator.FaultShape, Shape: emulator.ShapeAbsent},
	}
	for _, step := range shapedSteps {
		if len(step.writes) == 0 {
			continue
		}
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			right := shapedPortal(t, step)
			right.run([]string{"deal:1"})
			end := right.shapedEnd()
			for _, method := range step.writes {
				for _, f := range faults {
					s := shapedPortal(t, step)
					f.Method = method
					s.fault(f)
					s.run([]string{"deal:1"})
					what := fmt.Sprintf("%s %s %s", method, f.Kind, f.Shape)
					if !strings.HasPrefix(s.outcome, "retry: ") {
						t.Errorf("%s: %s", what, s.outcome)
					}
					s.fault()
					s.run([]string{"deal:1"})
					if diff := cmp.Diff(end, s.shapedEnd()); diff != "" || s.outcome != "done\n" {
						t.Errorf("%s: the next attempt came to another end: %s\n%s\n%s", what, s.outcome, diff, s.client.take())
					}
				}
			}
		})
	}
}

// fault sets what goes wrong with the portal from now on.
func (s *script) fault(faults ...emulator.Fault) {
	s.t.Helper()
	if err := s.portal.SetFaults(faults...); err != nil {
		s.t.Fatal(err)
	}
}
