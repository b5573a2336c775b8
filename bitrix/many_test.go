package bitrix_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"b24rules/bitrix"
	"b24rules/bitrix/php"
)

// owned is a listing method whose rows belong to owners, 50 a page. choose is
// what it makes of the filter's owners: which owners' rows it returns, nil for
// everybody's. ok is false when it refuses.
type owned struct {
	rows   map[int]int // owner, number of rows
	choose func(owners []int, list bool) (chosen []int, ok bool)

	mu           sync.Mutex
	calls, lists int // commands, and those of them with a list of owners
}

func (o *owned) list(p *php.Array) reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	var asked []int
	isList, filtered := false, false
	if filter, ok := first(p, "filter").(*php.Array); ok {
		if v, ok := filter.Get("=ownerId"); ok {
			filtered = true
			asked, isList = ownersOf(v)
		}
	}
	if isList {
		o.lists++
	}
	chosen := slices.Sorted(maps.Keys(o.rows))
	if filtered {
		var ok bool
		if chosen, ok = o.choose(asked, isList); !ok {
			return reply{code: "INVALID_ARG_VALUE", text: "should be either string or number"}
		}
		if chosen == nil {
			chosen = slices.Sorted(maps.Keys(o.rows))
		}
	}
	var all []any
	for _, owner := range chosen {
		for i := range o.rows[owner] {
			all = append(all, object("id", number(1000*owner+i), "ownerId", number(owner)))
		}
	}
	start, _ := strconv.Atoi(fmt.Sprint(first(p, "start")))
	page := php.NewArray()
	for _, row := range all[min(start, len(all)):min(start+50, len(all))] {
		page.Append(row)
	}
	re := reply{result: object("productRows", page), total: len(all)}
	if start+50 < len(all) {
		re.next = start + 50
	}
	return re
}

func ownersOf(v any) (owners []int, list bool) {
	if a, ok := v.(*php.Array); ok {
		for _, x := range a.All() {
			n, _ := strconv.Atoi(fmt.Sprint(x))
			owners = append(owners, n)
		}
		return owners, true
	}
	n, _ := strconv.Atoi(fmt.Sprint(v))
	return []int{n}, false
}

// owner is the call for one owner's rows.
func owner(id int, bare bool) bitrix.Call {
	return bitrix.Call{Method: "crm.item.productrow.list", Params: map[string]any{
		"filter": map[string]any{"=ownerType": "D", "=ownerId": id},
	}, Many: &bitrix.Many{
		Param: "filter", Key: "=ownerId", Wrapper: "productRows", Owner: strconv.Itoa(id), Bare: bare,
		Owners: func(row json.RawMessage) []string {
			var r struct{ OwnerID json.Number }
			_ = json.Unmarshal(row, &r)
			return []string{r.OwnerID.String()}
		},
	}}
}

// ways are what portals make of a list of owners.
var ways = map[string]func(owners []int, list bool) ([]int, bool){
	"takes it":        func(owners []int, _ bool) ([]int, bool) { return owners, true },
	"refuses it":      func(owners []int, list bool) ([]int, bool) { return owners, !list },
	"takes the first": func(owners []int, _ bool) ([]int, bool) { return owners[:1], true },
	"takes it for 1": func(owners []int, list bool) ([]int, bool) {
		if list {
			return []int{1}, true
		}
		return owners, true
	},
	"returns everything": func(owners []int, list bool) ([]int, bool) {
		if list {
			return nil, true
		}
		return owners, true
	},
	"finds nothing": func(owners []int, list bool) ([]int, bool) {
		if list {
			return []int{}, true
		}
		return owners, true
	},
}

// TestManyOwners asks for 80 owners at once, twice, of portals of every
// kind: each gets its rows and nobody else's.
func TestManyOwners(t *testing.T) {
	sizes := map[string]func(owner int) int{
		"three rows":      func(int) int { return 3 },
		"none":            func(int) int { return 0 },
		"few have rows":   func(owner int) int { return 2 * (owner % 20 / 19) },
		"only one has":    func(owner int) int { return owner / 80 % 2 },
		"only the first":  func(owner int) int { return 3 * (1 / owner) },
		"pages for some":  func(owner int) int { return owner % 5 * 17 },
		"two beside them": func(owner int) int { return owner / 300 },
	}
	for way, choose := range ways {
		for size, rows := range sizes {
			for _, bare := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, bare %v", way, size, bare), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := &owned{rows: map[int]int{}, choose: choose}
						for id := 1; id <= 301; id++ {
							o.rows[id] = rows(id)
						}
						askForOwners(t, o, bare)
						// Pages of everything may be read once before it is known for that.
						if way != "takes it" && way != "returns everything" && o.lists > 60 {
							t.Errorf("%d lists of owners sent to a portal that does not take them", o.lists)
						}
						if way == "takes it" && size == "three rows" && o.calls > 2*80*3/45+30 {
							t.Errorf("%d commands", o.calls)
						}
					})
				})
			}
		}
	}
}

func askForOwners(t *testing.T, o *owned, bare bool) {
	t.Helper()
	slow := func(http.ResponseWriter, string) bool { time.Sleep(60 * time.Millisecond); return false }
	c := newClient(t, &portal{methods: map[string]methodFunc{"crm.item.productrow.list": o.list}, before: slow})
	defer c.Close()
	for range 2 {
		var wg sync.WaitGroup
		for id := 1; id <= 80; id++ {
			wg.Go(func() {
				rows, err := c.List(t.Context(), owner(id, bare), "productRows")
				if err != nil {
					t.Error(err)
					return
				}
				var want, got []string
				for i := range o.rows[id] {
					want = append(want, fmt.Sprintf(`{"id":%d,"ownerId":%d}`, 1000*id+i, id))
				}
				for _, r := range rows {
					got = append(got, string(r))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("owner %d: %s", id, diff)
				}
			})
		}
		wg.Wait()
	}
}

// TestManyOwnersAlone: one owner's call is sent as it is.
func TestManyOwnersAlone(t *testing.T) {
	o := &owned{rows: map[int]int{7: 2}, choose: ways["takes it"]}
	p := &portal{methods: map[string]methodFunc{"crm.item.productrow.list": o.list}}
	c := newClient(t, p)
	a := c.Do(t.Context(), owner(7, true))[0]
	if a.Err != nil || a.Total != 2 || o.lists != 0 {
		t.Errorf("%+v, %d lists", a, o.lists)
	}
	if diff := cmp.Diff([]string{"crm.item.productrow.list"}, p.asked()); diff != "" {
		t.Error(diff)
	}
}

// TestManyOwnersChange: a portal that stops to apply the filter is noticed.
func TestManyOwnersChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &owned{rows: map[int]int{}}
		for id := 1; id <= 301; id++ {
			o.rows[id] = 1
		}
		o.choose = func(owners []int, list bool) ([]int, bool) {
			if o.lists > 3 && list {
				return nil, true
			}
			return owners, true
		}
		askForOwners(t, o, true)
	})
}

// TestManyOwnersClose: nobody waits for a client that is closed.
func TestManyOwnersClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(http.ResponseWriter, string) bool { time.Sleep(time.Second); return false }
		o := &owned{rows: map[int]int{1: 1}, choose: ways["takes it"]}
		c := newClient(t, &portal{methods: map[string]methodFunc{"crm.item.productrow.list": o.list}, before: slow})
		var wg sync.WaitGroup
		for id := range 50 {
			wg.Go(func() {
				if a := c.Do(t.Context(), owner(id+1, true))[0]; a.Err == nil {
					t.Error("an answer of a closed client")
				}
			})
		}
		synctest.Wait()
		c.Close()
		wg.Wait()
	})
}
