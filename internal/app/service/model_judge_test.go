package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
)

// judge compares what the portal holds, and what ever happened in it, with what
// should be. The reference knows nothing of the engine: a deal has one element
// for each of its rows, an invoice has one helper with the sum of its rows.
func (w *world) judge() {
	changes := w.portal.History()
	w.judgeDeals()
	w.judgeBills()
	w.judgeChanges(changes)
	w.judgeQueue()
}

// shown is an element as the reference sees it.
func shown(name, product, quantity, sum string) string {
	return fmt.Sprintf("%s, product %s, quantity %s, sum %s", name, number(product), number(quantity), number(sum))
}

// number writes numbers that are equal in one way; nothing is 0, as in a list.
func number(text string) string {
	if text == "" {
		text = "0"
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return text
	}
	return r.RatString()
}

// amount is money times pieces in thousandths.
func (r modelRow) amount() int64 { return r.cents * r.tenths }

// money rounds thousandths to hundredths, half away from zero.
func money(thousandths int64) string {
	cents := (thousandths + 5) / 10
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

func (w *world) judgeDeals() {
	for i, d := range w.deals {
		var want []string
		if !d.gone {
			for _, r := range d.rows {
				want = append(want, shown(r.name+" × "+r.quantity(), fmt.Sprint(r.product), r.quantity(), money(r.amount())))
			}
		}
		all, err := w.people.Elements(context.Background(), d.id)
		if err != nil {
			w.complain("read the elements of deal %d: %v", i, err)
			return
		}
		var got []string
		there := map[int64]bool{}
		for _, e := range all {
			there[int64(e.ID())] = true
			if !strings.HasPrefix(apptest.Text(e, "CODE"), "b24r-") {
				if d.gone {
					w.complain("deal %d is gone and its element %d by hand is not", i, e.ID())
				}
				continue
			}
			got = append(got, shown(elementName(e), w.prop(e, "PRODUCT_ID"), w.prop(e, "QUANTITY"), w.prop(e, "SUM")))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			w.complain("deal %d has the elements\n      %s\n    and should have\n      %s", i, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
		}
		for id, h := range w.foreign {
			if h.deal == d && h.product == 0 && there[id] == d.gone {
				w.complain("element %d by hand of deal %d: there %v, the deal is gone %v", id, i, there[id], d.gone)
			}
		}
	}
}

func elementName(e demo.Element) string {
	var s string
	_ = json.Unmarshal(e["NAME"], &s) // a name is text
	return s
}

func (w *world) prop(e demo.Element, code string) string {
	if v := e.Values(w.people.Props[code]); len(v) == 1 {
		return v[0]
	}
	return ""
}

func (w *world) judgeBills() {
	for i, b := range w.bills {
		totals, err := w.people.Helpers(context.Background(), w.ids.TotalsType, b.id)
		if err != nil {
			w.complain("read the helpers of invoice %d: %v", i, err)
			return
		}
		if b.gone { // what its helper says is what was true before
			if len(totals) > 1 {
				w.complain("invoice %d is gone and has %d helpers", i, len(totals))
			}
			continue
		}
		var sum int64
		for _, r := range b.rows {
			sum += r.amount()
		}
		if len(totals) != 1 || number(totals[0].String()) != number(money(sum)) {
			w.complain("invoice %d has the totals %v and should have %s", i, totals, money(sum))
		}
	}
}

// modelRecord is what is known of an element or a helper while its history is read.
type modelRecord struct {
	values  string // all that rules and people write
	free    string // what only people write
	said    int    // how many of the edits it has taken
	base    string // of its row's key
	deal    string
	born    int
	foreign bool // made by hand, not to be taken over
}

// judgeChanges reads the portal's own history: nothing ever existed twice, what
// belongs to people was changed by people alone, and nothing was written that
// was so already.
func (w *world) judgeChanges(changes []emulator.Change) {
	records := map[string]*modelRecord{}
	alive := map[string]string{} // by code, or by invoice
	for at, c := range changes {
		kind, key := w.identify(c)
		if kind == "" {
			continue
		}
		name := fmt.Sprint(kind, " ", c.ID)
		now := w.look(c, kind)
		old := records[name]
		byPeople := w.byPeople(at)
		switch {
		case c.Op == "delete":
			w.judgeDelete(at, name, old, byPeople)
			delete(records, name)
			if alive[key] == name {
				delete(alive, key)
			}
			continue
		case old == nil:
			now.born = at
			now.foreign = byPeople && w.foreign[c.ID] != nil && w.foreign[c.ID].product == 0
			if !byPeople && now.free != "" {
				w.inherit(name, now, records)
			}
			old = now
		case !byPeople && old.foreign:
			w.complain("a rule changed %s, which is not its own: %s", name, now.values)
		case !byPeople && old.values == now.values:
			w.complain("%s was written though it was so already: %s", name, now.values)
		}
		w.judgeFree(name, old, now)
		if other, taken := alive[key]; taken && key != "" && other != name {
			w.complain("%s and %s existed at the same time for %s", other, name, key)
		}
		alive[key] = name
		now.born, now.foreign, now.said = old.born, old.foreign, old.said
		records[name] = now
	}
}

// identify says what kind of thing a change is about and what there may be one
// of.
func (w *world) identify(c emulator.Change) (kind, key string) {
	switch {
	case c.IBlockID != 0 && strings.HasPrefix(c.Code, "b24r-"):
		return "element", "code " + c.Code
	case c.IBlockID != 0:
		return "element", fmt.Sprint("hand ", c.ID)
	case c.EntityTypeID == w.ids.TotalsType:
		var v map[string]json.RawMessage
		_ = json.Unmarshal(c.Values, &v)
		return "helper", "invoice " + string(v[w.ids.InvoiceField])
	}
	return "", ""
}

// look reads what is compared of an element or a helper.
func (w *world) look(c emulator.Change, kind string) *modelRecord {
	t := &modelRecord{}
	if kind == "helper" {
		var v map[string]json.RawMessage
		_ = json.Unmarshal(c.Values, &v)
		var note string
		_ = json.Unmarshal(v["ufCrm5Note"], &note)
		t.free = note
		t.values = fmt.Sprintf("%s %s %s %s", v["title"], v[w.ids.InvoiceField], v[w.ids.TotalField], note)
		return t
	}
	var e demo.Element
	_ = json.Unmarshal(c.Values, &e)
	t.free = w.prop(e, "SHIPPED") + "|" + w.prop(e, "COMMENT")
	if t.free == "|" {
		t.free = ""
	}
	t.base, t.deal = "#"+w.prop(e, "PRODUCT_ID"), w.prop(e, "DEAL")
	if number(w.prop(e, "PRODUCT_ID")) == "0" {
		t.base, _, _ = strings.Cut(elementName(e), " × ")
	}
	parts := []string{elementName(e), c.Code}
	for _, code := range slices.Sorted(maps.Keys(w.people.Props)) {
		parts = append(parts, code+"="+number(w.prop(e, code)))
	}
	t.values = strings.Join(parts, " ")
	return t
}

// judgeFree sees that what people wrote stays until they write something else.
func (w *world) judgeFree(name string, old, now *modelRecord) {
	edits := w.edits[name]
	switch {
	case old.said > 0 && edits[old.said-1] == now.free, old.said == 0 && now.free == "":
	case old.said < len(edits) && edits[old.said] == now.free:
		old.said++
	default:
		w.complain("%s held %q, which people wrote, and then %q", name, old.free, now.free)
	}
}

// inherit expects in a new element what people wrote into the element that it
// replaces. If a portal does not change the code of an element, a rule adopts the
// element by adding a new one.
func (w *world) inherit(name string, now *modelRecord, records map[string]*modelRecord) {
	for id, h := range w.foreign {
		from := records[fmt.Sprint("element ", id)]
		if from != nil && h.product != 0 && fmt.Sprint(h.deal.id) == now.deal && from.free == now.free {
			w.edits[name] = append([]string{now.free}, w.edits[name]...)
			return
		}
	}
}

// judgeDelete checks that rules delete only their own elements, and only those
// without a row.
func (w *world) judgeDelete(at int, name string, old *modelRecord, byPeople bool) {
	if byPeople || old == nil {
		return
	}
	if strings.HasPrefix(name, "helper") {
		w.complain("%s was deleted, which no rule does", name)
		return
	}
	for _, d := range w.deals {
		if fmt.Sprint(d.id) != old.deal {
			continue
		}
		gone, least := false, 1<<30
		for i, past := range d.past {
			if i+1 < len(d.past) && d.past[i+1].at <= old.born || past.at > at {
				continue // over before it was made, or not yet so
			}
			gone = gone || past.gone
			n := 0
			for _, r := range past.rows {
				if r.base() == old.base {
					n++
				}
			}
			least = min(least, n)
		}
		switch {
		case gone:
		case old.foreign:
			w.complain("a rule deleted %s, which is not its own", name)
		case least >= w.alike: // it was not one too many
			w.complain("%s of deal %d, row %s, added at %d, was deleted at %d though its row was there all the time: %v", name, d.id, old.base, old.born, at, d.past)
		}
	}
}

func (w *world) byPeople(at int) bool {
	return slices.ContainsFunc(w.acts, func(a act) bool { return at >= a.from && at < a.to })
}

// judgeQueue looks at the engine's books.
func (w *world) judgeQueue() {
	stats, err := journal.Count(context.Background(), w.engine.service.Queue().Database())
	if err != nil {
		w.complain("stats: %v", err)
		return
	}
	if stats.Events != len(w.posted) {
		w.complain("%d events are stored, %d were answered with 200", stats.Events, len(w.posted))
	}
	if n := stats.Runs["parked"]; n > 0 {
		w.complain("%d runs are parked", n)
	}
	if w.kind.plan != emulator.PlanUnlimited && w.faultless && w.portal.Stats().Refused > 0 {
		w.complain("%d requests were over the portal's limit", w.portal.Stats().Refused)
	}
}

// judgeQuiet sends an event about each deal and invoice again: no run may write.
func (w *world) judgeQuiet() {
	before, from := w.engine.service.Portal(demo.PortalName).Client.Stats(), len(w.portal.History())
	report := func(all []*modelOwner, update, remove, typ string) {
		for _, o := range all {
			code := update
			if o.gone {
				code = remove
			}
			w.deliver(fmt.Sprintf("event=%s&data[FIELDS][ID]=%d&data[FIELDS][ENTITY_TYPE_ID]=%s&auth[application_token]=%s", code, o.id, typ, modelToken))
		}
	}
	report(w.deals, "ONCRMDEALUPDATE", "ONCRMDEALDELETE", "")
	report(w.bills, "ONCRMDYNAMICITEMUPDATE", "ONCRMDYNAMICITEMUPDATE", "31")
	w.finish()
	after := w.engine.service.Portal(demo.PortalName).Client.Stats()
	if after.Writes != before.Writes || len(w.portal.History()) != from {
		w.complain("%d writes and %d changes though nothing had changed", after.Writes-before.Writes, len(w.portal.History())-from)
	}
}
