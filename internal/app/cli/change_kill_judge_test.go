//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/queue"
)

// idle waits until nothing waits but the runs of the rule that is removed.
func (k *changeKill) idle() {
	k.t.Helper()
	dsn := k.database
	if k.h.Options.Database == "" {
		dsn = "sqlite:" + filepath.Join(k.dir, "b24rules.db")
	}
	q, err := queue.Open(k.t.Context(), dsn, queue.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	k.h.Until("nothing waits", func() bool {
		runs, err := q.Runs(k.h.Context(), queue.Filter{States: []queue.State{queue.Waiting, queue.Running}, Limit: 1000})
		if err != nil {
			k.t.Fatal(err)
		}
		unrouted, err := q.Unrouted(k.h.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		if !k.disk.noteGone {
			return len(runs)+len(unrouted) == 0
		}
		return !slices.ContainsFunc(runs, func(r queue.Info) bool { return !strings.HasPrefix(r.Rule, "note") })
	})
}

// elements are those of a deal.
func (k *changeKill) elements(deal int) []demo.Element {
	k.t.Helper()
	all, err := k.h.People.Elements(k.h.Context(), deal)
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

func made(e demo.Element) bool { return strings.HasPrefix(apptest.Text(e, "CODE"), "b24r-") }

// others are the names of the elements of the second list that rules have made.
func (k *changeKill) others() (names []string) {
	k.t.Helper()
	raw, err := k.h.People.Client.List(k.h.Context(), bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": k.other}}, "")
	if err != nil {
		k.t.Fatal(err)
	}
	for _, one := range raw {
		var e demo.Element
		if err := json.Unmarshal(one, &e); err != nil {
			k.t.Fatal(err)
		}
		if made(e) {
			names = append(names, apptest.Text(e, "NAME"))
		}
	}
	slices.Sort(names)
	return names
}

// look starts serve, lets it finish, and compares the portal with what should be in it.
func (k *changeKill) look() {
	k.t.Helper()
	d := k.disk
	d.typo = false
	k.save(d)
	k.setManual(false)
	k.begin()
	if code, out := k.run("reload"); code != exitFine && !d.noteGone { // it says that its file is missing
		k.t.Errorf("reload: exit code %d\n%s", code, out)
	}
	k.sendOpen(0)
	k.idle()
	for _, d := range k.deals {
		k.judge(d)
	}
	if !d.noteGone {
		k.judgeNotes()
	}
	k.judgeForeign()
	k.judgeHistory()
	if st := k.status(); st.Parked > 0 {
		_, out := k.run("runs", "list", "--state", "parked")
		k.t.Errorf("%d runs are parked:\n%s", st.Parked, out)
	}
	k.serve.Signal(syscall.SIGKILL)
	k.serve.Exit()
}

// judgeNotes compares the elements of the second list with the deals.
func (k *changeKill) judgeNotes() {
	k.t.Helper()
	got := k.others()
	for _, d := range k.deals {
		n := len(got)
		got = slices.DeleteFunc(got, func(name string) bool { return name == d.title })
		if n -= len(got); n > 1 || n == 0 && d.heard.After(k.pruned) {
			k.t.Errorf("rule note has made %d elements of deal %d (%s), want one", n, d.id, d.title)
		}
	}
	if len(got) > 0 {
		k.t.Errorf("rule note has elements of no deal: %v", got)
	}
}

// judge compares what rules have made of a deal with the deal.
func (k *changeKill) judge(d *killedDeal) {
	k.t.Helper()
	var got, want []string
	for _, e := range k.elements(d.id) {
		if made(e) {
			name, _, _ := strings.Cut(apptest.Text(e, "NAME"), " v")
			got = append(got, name+" × "+k.h.Property(e, "QUANTITY"))
		}
	}
	for _, p := range d.parts {
		want = append(want, fmt.Sprintf("Part %d × %d", p.number, p.quantity))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		k.t.Errorf("deal %d has the elements %v, want %v", d.id, got, want)
	}
	var comments []any
	k.h.Rest("crm.timeline.comment.list", map[string]any{"filter": map[string]any{"ENTITY_ID": d.id, "ENTITY_TYPE": "deal"}}, &comments)
	// A comment has no key, so a run that is killed after it writes it again. The first deals had theirs before.
	if n := len(comments); n == 0 || n > 1 && slices.Contains(k.deals[:k.first], d) {
		k.t.Errorf("deal %d has %d comments, want one", d.id, n)
	}
	var cards struct{ Items []struct{ Title string } }
	k.h.Rest("crm.item.list", map[string]any{"entityTypeId": k.h.IDs.TotalsType, "filter": map[string]any{"=" + k.h.IDs.InvoiceField: d.id}}, &cards)
	if len(cards.Items) != 1 {
		k.t.Errorf("deal %d has the cards %v, want one", d.id, cards.Items)
	}
}

// judgeForeign looks for what people have made and written.
func (k *changeKill) judgeForeign() {
	k.t.Helper()
	for i, d := range k.deals {
		there, shipped := map[int]demo.Element{}, 0
		for _, e := range k.elements(d.id) {
			there[e.ID()] = e
			if made(e) && strings.HasPrefix(apptest.Text(e, "NAME"), "Part 0 ") && k.h.Property(e, "SHIPPED") == k.h.People.Shipped {
				shipped++
			}
		}
		if i < k.first && shipped != 1 {
			k.t.Errorf("deal %d: the tick of a person is gone", d.id)
		}
		for id, h := range k.foreign {
			if h.deal != d.id {
				continue
			}
			e := there[id]
			if e == nil || k.h.Property(e, "COMMENT") != h.comment || made(e) != h.fits {
				k.t.Errorf("element %d by hand of deal %d, which a rule takes over: %v, is %s", id, d.id, h.fits, e)
			}
		}
	}
}

// judgeHistory looks whether two records of one subject have ever existed at the same time.
func (k *changeKill) judgeHistory() {
	k.t.Helper()
	alive, subjects := map[string]string{}, map[string]string{}
	for _, c := range k.h.Portal.History() {
		var subject string
		switch {
		case c.IBlockID == k.h.IDs.ShipmentList && strings.HasPrefix(c.Code, "b24r-"):
			var e demo.Element
			_ = json.Unmarshal(c.Values, &e)
			name, _, _ := strings.Cut(apptest.Text(e, "NAME"), " v")
			subject = fmt.Sprintf("%s of deal %s", name, k.h.Property(e, "DEAL"))
		case c.IBlockID == k.other:
			subject = "note " + c.Code
		case c.EntityTypeID == k.h.IDs.TotalsType:
			var v map[string]json.RawMessage
			_ = json.Unmarshal(c.Values, &v)
			subject = fmt.Sprintf("card of deal %s", v[k.h.IDs.InvoiceField])
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
			k.t.Errorf("%s existed twice: as %s and %s", subject, other, record)
		}
		alive[subject], subjects[record] = record, subject
	}
}

// finish looks at the end, removes the rule whose list is its own, and expects that prune
// finds all that it has made.
func (k *changeKill) finish() {
	d := k.disk
	d.noteGone = false
	k.save(d)
	k.look()
	if k.t.Failed() {
		return
	}
	k.begin()
	rule := d.lines[len(d.lines)-1]
	if code, out := k.run("sync", "--rule", rule); code != exitFine {
		k.t.Errorf("sync: exit code %d\n%s", code, out)
	}
	for _, d := range k.deals {
		for _, e := range k.elements(d.id) {
			if name := apptest.Text(e, "NAME"); made(e) && !strings.HasSuffix(name, fmt.Sprintf(" v%d", k.disk.version)) {
				k.t.Errorf("after a sync, element %q is not of version %d", name, k.disk.version)
			}
		}
	}
	d.noteGone = true
	k.save(d)
	k.run("reload") // says that the rule set is removed
	want := len(k.others())
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(200 * time.Millisecond) {
		st, said := k.status(), 0
		for _, o := range st.Orphans {
			said += o.Records
		}
		if said == want {
			break
		}
		if time.Now().After(end) {
			k.t.Errorf("status says the orphans %+v, and rule note has left %v", st.Orphans, k.others())
			break
		}
	}
	code, out := k.run("prune", "--rule", d.note[len(d.note)-1], "--yes")
	if left := k.others(); code != exitFine || len(left) > 0 {
		k.t.Errorf("prune: exit code %d, it has left %v\n%s", code, left, out)
	}
	k.serve.Signal(syscall.SIGTERM)
	if code := k.serve.Exit(); code != 0 {
		k.t.Errorf("serve ended with %d", code)
	}
}
