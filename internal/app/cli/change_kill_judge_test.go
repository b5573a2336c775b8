//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// idle waits until nothing waits but what is for a rule that is removed.
func (k *changeKill) idle() {
	k.t.Helper()
	left := ""
	timer := time.AfterFunc(testkit.Patience/2, func() { k.t.Logf("still open: %s", left) })
	defer timer.Stop()
	k.portals[0].h.Until("nothing waits", func() bool { left = k.open(); return left == "" })
}

// open names a run or an event that waits, and not for a rule that is removed.
func (k *changeKill) open() string {
	k.t.Helper()
	q := k.queue()
	defer func() { _ = q.Close() }()
	runs, err := journal.FindRuns(k.t.Context(), q.Database(), journal.Filter{States: []journal.State{journal.Waiting, journal.Running}, Limit: 10_000})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, r := range runs {
		if !k.removed(r.Portal, strings.TrimRight(r.Rule, "0123456789")) {
			return fmt.Sprintf("run %d of %s in %s for %s", r.ID, r.Rule, r.Portal, r.Entity)
		}
	}
	unrouted, err := journal.Unrouted(k.t.Context(), q.Database())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, u := range unrouted {
		if slices.ContainsFunc(u.Missing, func(set string) bool { return !k.removed(u.Portal, set) }) {
			return fmt.Sprintf("%d events in %s for %v", u.Events, u.Portal, u.Missing)
		}
	}
	return ""
}

// queue opens the database.
func (k *changeKill) queue() *queue.Queue {
	k.t.Helper()
	dsn := k.database
	if len(k.configs) == 1 {
		dsn = "sqlite:" + filepath.Join(k.dir, "b24rules.db")
	}
	q, err := queue.Open(k.t.Context(), dsn, queue.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	return q
}

// judgeParked expects no parked run, but of a deal that was deleted between the start of a run and its
// call: the portal refuses a comment on it.
func (p *killedPortal) judgeParked() {
	p.t.Helper()
	q := p.queue()
	defer func() { _ = q.Close() }()
	runs, err := journal.FindRuns(p.t.Context(), q.Database(), journal.Filter{Portal: p.name, States: []journal.State{journal.Parked}, Limit: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range runs {
		gone := slices.ContainsFunc(p.deals, func(d *killedDeal) bool { return d.gone && r.Entity == fmt.Sprint("deal:", d.id) })
		if !gone || !strings.HasPrefix(r.Rule, "talks") || !strings.Contains(r.Error, "OWNER_NOT_FOUND") {
			p.t.Errorf("portal %s: run %d of rule %s for %s is parked: %s", p.name, r.ID, r.Rule, r.Entity, r.Error)
		}
	}
}

// removed reports whether a portal does not have a rule set, or the first id of a rule, now.
func (k *changeKill) removed(portal, name string) bool {
	switch {
	case strings.HasPrefix(name, "note"):
		return k.disk.noteGone
	case strings.HasPrefix(name, "memo"):
		return portal != k.portals[k.disk.home].name
	case strings.HasPrefix(name, "lines"): // the file has another name
		return name+".yaml" != k.disk.file && name != "lines"
	}
	return false
}

// elements are those of a deal.
func (p *killedPortal) elements(deal int) []demo.Element {
	p.t.Helper()
	all, err := p.h.People.Elements(p.h.Context(), deal)
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func made(e demo.Element) bool { return strings.HasPrefix(apptest.Text(e, "CODE"), "b24r-") }

// names are those of the elements of a list that rules have made.
func (p *killedPortal) names(list int) (names []string) {
	p.t.Helper()
	raw, err := p.h.People.Client.List(p.h.Context(), bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list}}, "")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, one := range raw {
		var e demo.Element
		if err := json.Unmarshal(one, &e); err != nil {
			p.t.Fatal(err)
		}
		if made(e) {
			names = append(names, apptest.Text(e, "NAME"))
		}
	}
	slices.Sort(names)
	return names
}

// look starts serve, lets it finish, and compares the portals with what should be in them.
func (k *changeKill) look() {
	k.t.Helper()
	d := k.disk
	d.typo = false
	k.save(d)
	k.end()
	k.setManual(false)
	k.begin()
	k.sendOpen(0)
	k.idle()
	for i, p := range k.portals {
		for _, d := range p.deals {
			p.judge(d)
		}
		if !d.noteGone {
			p.judgeTitles("note", p.other, func(d *killedDeal) bool { return d.heard.After(k.pruned) })
		}
		if i == k.disk.home {
			p.judgeTitles("memo", p.third, func(*killedDeal) bool { return true })
		}
		p.judgeForeign()
		p.judgeHistory()
		p.judgeParked()
	}
	k.judgeOrphans()
	k.end()
}

// judgeOrphans expects that status says all that rules have left which a portal does not have, and
// nothing of other lists. It may say what is deleted already: the answer of the portal, or the process,
// was lost.
func (k *changeKill) judgeOrphans() {
	k.t.Helper()
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(200 * time.Millisecond) {
		status, wrong := k.status(), ""
		for i, p := range k.portals {
			said := map[string]int{}
			for _, r := range status[p.name].Rules { // what they have made in the place is not known
				switch {
				case strings.HasPrefix(r.Rule, "note"):
					said[fmt.Sprint("list ", p.other)] += r.Started
				case strings.HasPrefix(r.Rule, "memo"):
					said[fmt.Sprint("list ", p.third)] += r.Started
				}
			}
			for _, o := range status[p.name].Orphans {
				said[o.Place] += o.Records
			}
			for list, away := range map[int]bool{p.other: k.disk.noteGone, p.third: i != k.disk.home} {
				place, n := fmt.Sprint("list ", list), len(p.names(list))
				if away && said[place] < n || !away && said[place] > 0 {
					wrong += fmt.Sprintf("status says the orphans %v of portal %s, and there are %d in %s, without a rule: %v; ", said, p.name, n, place, away)
				}
				delete(said, place)
			}
			if len(said) > 0 {
				wrong += fmt.Sprintf("status says orphans of portal %s that have a rule: %v; ", p.name, said)
			}
		}
		if wrong == "" {
			return
		}
		if time.Now().After(end) {
			k.t.Error(wrong)
			return
		}
	}
}

// judgeTitles compares the elements of a list with the titles of the deals. must says which deals
// have an element in any case.
func (p *killedPortal) judgeTitles(rule string, list int, must func(*killedDeal) bool) {
	p.t.Helper()
	got := p.names(list)
	for _, d := range p.deals {
		n := len(got)
		got = slices.DeleteFunc(got, func(name string) bool { return name == d.title })
		n -= len(got)
		if d.gone && n > 0 || n > 1 || !d.gone && n == 0 && must(d) {
			p.t.Errorf("portal %s: rule %s has %d elements of deal %d (%s), deleted: %v", p.name, rule, n, d.id, d.title, d.gone)
		}
	}
	if len(got) > 0 {
		p.t.Errorf("portal %s: rule %s has elements of no deal: %v", p.name, rule, got)
	}
}

// judge compares what rules have made of a deal with the deal.
func (p *killedPortal) judge(d *killedDeal) {
	p.t.Helper()
	var got, want []string
	for _, e := range p.elements(d.id) {
		if made(e) {
			name, _, _ := strings.Cut(apptest.Text(e, "NAME"), " v")
			got = append(got, name+" × "+p.h.Property(e, "QUANTITY"))
		}
	}
	if !d.gone {
		for _, one := range d.parts {
			want = append(want, fmt.Sprintf("Part %d × %d", one.number, one.quantity))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		p.t.Errorf("portal %s: deal %d has the elements %v, want %v", p.name, d.id, got, want)
	}
	var cards struct{ Items []struct{ Title string } }
	p.h.Rest("crm.item.list", map[string]any{"entityTypeId": p.h.IDs.TotalsType, "filter": map[string]any{"=" + p.h.IDs.InvoiceField: d.id}}, &cards)
	wantCards := 1
	if d.gone {
		wantCards = 0
	}
	if len(cards.Items) != wantCards {
		p.t.Errorf("portal %s: deal %d has the cards %v, want %d", p.name, d.id, cards.Items, wantCards)
	}
	if d.gone {
		return
	}
	var comments []any
	p.h.Rest("crm.timeline.comment.list", map[string]any{"filter": map[string]any{"ENTITY_ID": d.id, "ENTITY_TYPE": "deal"}}, &comments)
	// A comment has no key, so a run that is killed after it writes it again. The first deals had theirs before.
	if n := len(comments); n == 0 || n > 1 && slices.Contains(p.deals[:p.first], d) {
		p.t.Errorf("portal %s: deal %d has %d comments, want one", p.name, d.id, n)
	}
}

// judgeForeign looks for what people have made and written.
func (p *killedPortal) judgeForeign() {
	p.t.Helper()
	for i, d := range p.deals {
		there, shipped := map[int]demo.Element{}, 0
		for _, e := range p.elements(d.id) {
			there[e.ID()] = e
			if made(e) && strings.HasPrefix(apptest.Text(e, "NAME"), "Part 0 ") && p.h.Property(e, "SHIPPED") == p.h.People.Shipped {
				shipped++
			}
		}
		if i < p.first && shipped != 1 {
			p.t.Errorf("portal %s: deal %d: the tick of a person is gone", p.name, d.id)
		}
		for id, h := range p.foreign {
			if h.deal != d.id {
				continue
			}
			e := there[id]
			if d.gone && h.fits && (e == nil || !made(e)) { // it was taken over and went with the deal, or there was no time for it
				continue
			}
			if e == nil || p.h.Property(e, "COMMENT") != h.comment || made(e) != h.fits {
				p.t.Errorf("portal %s: element %d by hand of deal %d, which a rule takes over: %v, is %s", p.name, id, d.id, h.fits, e)
			}
		}
	}
}

// judgeHistory looks whether two records of one subject have ever existed at the same time.
func (p *killedPortal) judgeHistory() {
	p.t.Helper()
	alive, subjects := map[string]string{}, map[string]string{}
	for _, c := range p.h.Portal.History() {
		var subject string
		switch {
		case c.IBlockID == p.h.IDs.ShipmentList && strings.HasPrefix(c.Code, "b24r-"):
			var e demo.Element
			_ = json.Unmarshal(c.Values, &e)
			name, _, _ := strings.Cut(apptest.Text(e, "NAME"), " v")
			subject = fmt.Sprintf("%s of deal %s", name, p.h.Property(e, "DEAL"))
		case c.IBlockID == p.other || c.IBlockID == p.third:
			subject = fmt.Sprint(c.IBlockID, " ", c.Code)
		case c.EntityTypeID == p.h.IDs.TotalsType:
			var v map[string]json.RawMessage
			_ = json.Unmarshal(c.Values, &v)
			subject = fmt.Sprintf("card of deal %s", v[p.h.IDs.InvoiceField])
		default:
			continue
		}
		record := fmt.Sprint(c.IBlockID, " ", c.EntityTypeID, " ", c.ID)
		if was := subjects[record]; was != "" && alive[was] == record {
			delete(alive, was)
		}
		if c.Op == "delete" {
			continue
		}
		if other := alive[subject]; other != "" && other != record {
			p.t.Errorf("portal %s: %s existed twice: as %s and %s", p.name, subject, other, record)
		}
		alive[subject], subjects[record] = record, subject
	}
}

// finish looks at the end, removes the rules whose lists are their own, and expects that prune finds
// all that they have made.
func (k *changeKill) finish() {
	d := k.disk
	d.noteGone = false
	k.save(d)
	k.look()
	if k.t.Failed() {
		return
	}
	k.begin()
	for _, p := range k.portals {
		if code, out := k.run("sync", "--portal", p.name, "--rule", latest(d.lines), "--allow-gone"); code != exitFine {
			k.t.Errorf("sync: exit code %d\n%s", code, out)
		}
		for _, d := range p.deals {
			for _, e := range p.elements(d.id) {
				if name := apptest.Text(e, "NAME"); made(e) && !strings.HasSuffix(name, fmt.Sprintf(" v%d", k.disk.version)) {
					k.t.Errorf("portal %s: after a sync, element %q is not of version %d", p.name, name, k.disk.version)
				}
			}
		}
	}
	d.noteGone = true
	k.save(d)
	k.judgeOrphans()
	for name, st := range k.status() {
		for _, o := range st.Orphans {
			if code, out := k.run("prune", "--rule", o.Rule, "--portal", name, "--yes"); code != exitFine {
				k.t.Errorf("prune of %s in portal %s: exit code %d\n%s", o.Rule, name, code, out)
			}
		}
	}
	for i, p := range k.portals {
		left := p.names(p.other)
		if i != d.home {
			left = append(left, p.names(p.third)...)
		}
		if len(left) > 0 {
			k.t.Errorf("prune has left %v in portal %s", left, p.name)
		}
	}
	for name, st := range k.status() {
		if len(st.Orphans) > 0 {
			k.t.Errorf("after prune, status says the orphans %v of portal %s", st.Orphans, name)
		}
	}
	k.end()
}
