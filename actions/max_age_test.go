package actions_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
)

// person does what a person does in the portal, and returns the result.
func (b *burst) person(method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/_emulator/person/"+method, strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.portal.ServeHTTP(w, r)
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		b.t.Errorf("%s: status %d: %s", method, w.Code, w.Body)
	}
	return answer.Result
}

// everything is all elements of the list.
func (b *burst) everything() []map[string]any {
	b.t.Helper()
	var out []map[string]any
	for start := 0; ; start += 50 {
		var page []map[string]any
		if err := json.Unmarshal(b.person("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": b.list, "start": start}), &page); err != nil {
			b.t.Fatal(err)
		}
		if out = append(out, page...); len(page) < 50 {
			return out
		}
	}
}

// property is a property's only value.
func property(e map[string]any, name string) string {
	values, _ := e[name].(map[string]any)
	for _, v := range values {
		return fmt.Sprint(v)
	}
	return ""
}

// comment writes a comment into an element, as a person does: nothing else
// changes.
func (b *burst) comment(e map[string]any, column, text string) {
	b.t.Helper()
	fields := map[string]any{"NAME": e["NAME"], column: text}
	for name := range e {
		if strings.HasPrefix(name, "PROPERTY_") && name != column {
			fields[name] = e[name]
		}
	}
	b.person("lists.element.update", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": b.list, "ELEMENT_ID": e["ID"], "ELEMENT_CODE": e["CODE"], "FIELDS": fields,
	})
}

// maxAbsent is the longest time for which an update overwrites what a person wrote,
// before the step puts it back: some requests, one a second.
const maxAbsent = 3 * time.Second

// window is the time between the read directly before an update and the update: that
// of a command. What a person writes in this time is lost.
const window = 16 * time.Millisecond

// TestWaitingUpdates: what people write into a column while updates wait for
// the portal's limit is not lost. An update that has overwritten it is followed by
// one that puts it back, unless it was written between two commands of a batch. 120 deals with 3 rows are 15 requests, one a second.
func TestWaitingUpdates(t *testing.T) {
	for _, many := range []bool{true, false} {
		t.Run(fmt.Sprintf("many owners %t", many), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const deals = 120
				b := newBurst(t, emulator.Config{SingleOwner: !many}, deals, func(c *bitrix.Config) { c.Shared = true })
				defer b.portal.Close()
				defer b.client.Close()
				b.work(deals, 0)
				b.setRows(deals, 20)
				for range 50 { // the bucket is full
					b.do(bitrix.Call{Method: "profile"})
				}
				b.portal.Reset()
				stop := make(chan struct{})
				var people sync.WaitGroup
				people.Go(func() { b.writeComments(stop) })
				took, sent := b.run(deals, 0)
				close(stop)
				people.Wait()
				if took < 8*time.Second {
					t.Errorf("the updates took %s: nobody had time to write in between", took)
				}
				t.Logf("%s, %d requests", took, len(sent))
				for _, r := range sent {
					t.Log(r)
				}
				b.checkComments(3 * deals)
			})
		})
	}
}

// writeComments lets people write into one element after the other until stop.
func (b *burst) writeComments(stop <-chan struct{}) {
	all := b.everything()
	for i := 0; ; i++ {
		var e []map[string]any
		id := all[(i*7)%len(all)]["ID"]
		if err := json.Unmarshal(b.person("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": b.list, "ELEMENT_ID": id}), &e); err != nil || len(e) != 1 {
			b.t.Errorf("element %v: %v, %v", id, e, err)
			return
		}
		b.comment(e[0], b.columns["COMMENT"], fmt.Sprint(i+1))
		select {
		case <-stop:
			return
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// checkComments looks in the portal's history for comments that an update has
// overwritten. The next one of the element has to put the comment back.
func (b *burst) checkComments(updates int) {
	b.t.Helper()
	type comment struct {
		number int
		at     time.Time
	}
	last := map[int64]comment{}
	absent := map[int64]time.Time{} // since when the last comment is overwritten
	seen, overwritten, updated, inWindow := 0, 0, 0, 0
	var longest time.Duration
	for _, change := range b.portal.History() {
		var e map[string]any
		if err := json.Unmarshal(change.Values, &e); err != nil {
			b.t.Fatal(err)
		}
		before := last[change.ID]
		number, err := strconv.Atoi(cmp.Or(property(e, b.columns["COMMENT"]), "0"))
		if err != nil {
			b.t.Fatal(err)
		}
		if number > before.number { // each is greater than those before
			seen++
			last[change.ID] = comment{number, change.At}
			delete(absent, change.ID)
			continue
		}
		updated++
		since, is := absent[change.ID]
		switch {
		case number != before.number && change.At.Sub(before.at) <= window:
			inWindow++
			last[change.ID] = comment{number, change.At}
		case number != before.number && !is:
			overwritten++
			absent[change.ID] = change.At
		case number == before.number && is:
			longest = max(longest, change.At.Sub(since))
			delete(absent, change.ID)
		}
	}
	b.t.Logf("%d comments, %d updates; %d comments overwritten and put back, the last after %s; %d lost, and %d in the window", seen, updated, overwritten, longest, len(absent), inWindow)
	if seen < updates/3 || updated < updates || overwritten == 0 {
		b.t.Errorf("%d comments, %d of them overwritten, and %d updates, want at least %d, 1 and %d", seen, overwritten, updated, updates/3, updates)
	}
	if len(absent) > 0 || longest > maxAbsent {
		b.t.Errorf("%d comments are lost, and one was absent for %s", len(absent), longest)
	}
}
