package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// walker is a person who starts at the page of portals, follows links that are there, and fills
// forms that are there.
type walker struct {
	*client
	page   answer
	clicks int
}

func (w *world) walker() *walker {
	c := w.client()
	a := c.get("/portals")
	c.want(a, http.StatusOK)
	return &walker{c, a, 0}
}

func (w *walker) follow(address string) {
	w.t.Helper()
	w.clicks++
	w.page = w.get(address)
	w.want(w.page, http.StatusOK)
}

var aLink = regexp.MustCompile(`href="(/[^"]*)"`)

// click follows the first link whose address starts with the text.
func (w *walker) click(start string) {
	w.t.Helper()
	for _, m := range aLink.FindAllStringSubmatch(w.page.body, -1) {
		if address := html.UnescapeString(m[1]); strings.HasPrefix(address, start) {
			w.follow(address)
			return
		}
	}
	w.t.Fatalf("no link to %s in\n%.3000s", start, w.page.body)
}

// fill sends a form with the fields.
func (w *walker) fill(action string, pairs ...string) {
	w.t.Helper()
	form := between(w.t, w.page.body, `method="get" action="`+action+`"`, "</form>")
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(form, `name="`+pairs[i]+`"`) {
			w.t.Fatalf("the form %s has no field %s", action, pairs[i])
		}
		values.Set(pairs[i], pairs[i+1])
	}
	w.follow(action + "?" + values.Encode())
}

// within fails if the answer is not there after a few clicks.
func (w *walker) within(clicks int, texts ...string) {
	w.t.Helper()
	w.want(w.page, http.StatusOK, texts...)
	if w.clicks > clicks {
		w.t.Errorf("%d clicks, want at most %d", w.clicks, clicks)
	}
}

// TestQuestionsInThreeClicks: the four questions of the person on call. TestQuestionsInOneCommand asks
// them in a terminal.
func TestQuestionsInThreeClicks(t *testing.T) {
	t.Parallel()
	const note = `
  note:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}
`
	w := openWorld(t, apptest.Options{Rules: fstest.MapFS{"share.yaml": {Data: []byte(testRules + note)}}, Inputs: map[string]map[string]string{}})
	run := w.fail("Roof")
	deal := w.run(run).Entity
	w.h.Wait()
	var elements []struct{ ID string }
	w.h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": w.h.IDs.ShipmentList}, &elements)
	if len(elements) != 1 {
		t.Fatalf("elements %v", elements)
	}
	t.Run("why is the list of the deal wrong", func(t *testing.T) {
		p := w.walker()
		p.click("/runs")
		p.fill("/runs", "entity", deal)
		p.click(fmt.Sprintf("/runs/%d", run))
		p.within(3, "division by zero", "part: =100 / deal.opportunity")
	})
	t.Run("which rule wrote this field", func(t *testing.T) {
		p := w.walker()
		p.click("/why")
		p.fill("/why", "of", fmt.Sprintf("element:%d:%s", w.h.IDs.ShipmentList, elements[0].ID), "field", "NAME")
		p.within(3, "was written by note", "Roof")
	})
	t.Run("what was made from the deal", func(t *testing.T) {
		p := w.walker()
		p.click("/why")
		p.fill("/why", "of", deal)
		element := fmt.Sprintf("element:%d:%s", w.h.IDs.ShipmentList, elements[0].ID)
		p.click("/why?" + url.Values{"of": {element}, "portal": {demo.PortalName}}.Encode())
		p.within(3, "was written by note", "NAME, DEAL", fmt.Sprintf(">%s</a>", deal))
	})
	t.Run("what failed last night between two and three", func(t *testing.T) {
		p := w.walker()
		p.click("/runs?state=parked&group=cause")
		p.fill("/runs", "state", "parked", "from", "1h", "to", "")
		p.click(fmt.Sprintf("/runs/%d", run))
		p.within(3, "division by zero")
	})
	t.Run("is anything stuck", func(t *testing.T) {
		w.walker().within(0, "1 of 1 portal needs a look", "failing")
	})
}
