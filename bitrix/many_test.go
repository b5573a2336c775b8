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

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// owned is a listing method whose rows belong to owners, 50 a page. choose is
// what it makes of the filter's owners: which owners' rows it returns, nil for
// everybody's. ok is false when it refuses.
type owned struct {
	rows   map[int]int // owner, number of rows
	choose func(owners []int, list bool) (chosen []int, ok bool)
	// within says whose rows a range has; nil refuses ranges.
	within func(owner, from, to int) bool

	mu                   sync.Mutex
	calls, lists, ranges int // commands, and those of them with several owners
}

func (o *owned) list(p *php.Array) reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	var asked []int
	isList, filtered := false, false
	all := slices.Sorted(maps.Keys(o.rows))
	if filter, ok := first(p, "filter").(*php.Array); ok {
		if v, ok := filter.Get("=ownerId"); ok {
			filtered = true
			asked, isList = ownersOf(v)
		}
		if v, ok := filter.Get(">=ownerId"); ok {
			o.ranges++
			if o.within == nil {
				return reply{code: "ERROR_ARGUMENT", text: "Filter operation not allowed: >="}
			}
			w, _ := filter.Get("<=ownerId")
			from, _ := ownersOf(v)
			to, _ := ownersOf(w)
			all = slices.DeleteFunc(all, func(owner int) bool { return !o.within(owner, from[0], to[0]) })
		}
	}
	if isList {
		o.lists++
	}
	if filtered {
		chosen, ok := o.choose(asked, isList)
		if !ok {
			return reply{code: "INVALID_ARG_VALUE", text: "should be either string or number"}
		}
		if chosen != nil {
			all = chosen
		}
	}
	return o.page(all, first(p, "start"))
}

// page answers with the rows of owners.
func (o *owned) page(owners []int, from any) reply {
	var all []any
	for _, owner := range owners {
		for i := range o.rows[owner] {
			all = append(all, object("id", number(1000*owner+i), "ownerId", number(owner)))
		}
	}
	start, _ := strconv.Atoi(fmt.Sprint(from))
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
		Param: "filter", Key: "=ownerId", From: ">=ownerId", To: "<=ownerId", Wrapper: "productRows", Owner: strconv.Itoa(id), Bare: bare,
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

// sizes are how many rows owners have.
var sizes = map[string]func(owner int) int{
	"three rows":      func(int) int { return 3 },
	"none":            func(int) int { return 0 },
	"few have rows":   func(owner int) int { return 2 * (owner % 20 / 19) },
	"only one has":    func(owner int) int { return owner / 80 % 2 },
	"only the first":  func(owner int) int { return 3 * (1 / owner) },
	"one has pages":   func(owner int) int { return 70 * (1 / owner) },
	"pages for some":  func(owner int) int { return owner % 5 * 17 },
	"two beside them": func(owner int) int { return owner / 300 },
}

func newOwned(rows func(owner int) int) *owned {
	o := &owned{rows: map[int]int{}}
	for id := 1; id <= 301; id++ {
		o.rows[id] = rows(id)
	}
	return o
}

// eachKind runs a test for each kind of portal: what it makes of lists of owners, how many
// rows owners have, and whether all rows can be read at once.
func eachKind(t *testing.T, test func(t *testing.T, way, size string, bare bool, o *owned)) {
	t.Helper()
	for way, choose := range ways {
		for size, rows := range sizes {
			for _, bare := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, bare %v", way, size, bare), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := newOwned(rows)
						o.choose = choose
						test(t, way, size, bare, o)
					})
				})
			}
		}
	}
}

// TestManyOwners asks for 80 owners at once, twice, of portals of every
// kind: each gets its rows and no others.
func TestManyOwners(t *testing.T) {
	eachKind(t, func(t *testing.T, way, size string, bare bool, o *owned) {
		askForOwners(t, o, bare)
		// Pages of everything may be read once before it is known for that.
		if way != "takes it" && way != "returns everything" && o.lists > 60 {
			t.Errorf("%d lists of owners sent to a portal that does not take them", o.lists)
		}
		if way == "takes it" && size == "three rows" && o.calls > 2*80*3/45+30 {
			t.Errorf("%d commands", o.calls)
		}
		if way == "takes it" && o.ranges > 0 {
			t.Errorf("%d ranges sent to a portal that takes lists", o.ranges)
		}
	})
}

// stretches are what portals that take no list make of a range.
var stretches = map[string]func(owner, from, to int) bool{
	"takes it":   func(owner, from, to int) bool { return from <= owner && owner <= to },
	"refuses it": nil,
	"compares texts": func(owner, from, to int) bool {
		return fmt.Sprint(from) <= fmt.Sprint(owner) && fmt.Sprint(owner) <= fmt.Sprint(to)
	},
	"leaves the ends out":   func(owner, from, to int) bool { return from < owner && owner < to },
	"leaves the end out":    func(owner, from, to int) bool { return from <= owner && owner < to },
	"knows the start alone": func(owner, from, _ int) bool { return from <= owner },
	"takes it for equal":    func(owner, from, _ int) bool { return from == owner },
	"returns everything":    func(int, int, int) bool { return true },
	"finds nothing":         func(int, int, int) bool { return false },
}

// TestRangesOfOwners is the same for portals that take no list of owners: they
// are asked for ranges, where those are what they should be.
func TestRangesOfOwners(t *testing.T) {
	for way, within := range stretches {
		for size, rows := range sizes {
			t.Run(way+", "+size, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOwned(rows)
					o.choose, o.within = ways["refuses it"], within
					askForOwners(t, o, true)
					if way == "takes it" && size == "three rows" && o.calls > 50 {
						t.Errorf("%d commands, want some 2 × 80 × 3 / 50", o.calls)
					}
					if way != "takes it" && o.ranges > 15 {
						t.Errorf("%d ranges sent to a portal that does not take them", o.ranges)
					}
				})
			})
		}
	}
}

// TestScatteredOwners: a range is not asked for when most of its rows would be
// those of others.
func TestScatteredOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &owned{rows: map[int]int{}, choose: ways["refuses it"], within: stretches["takes it"]}
		for id := range 3000 {
			o.rows[id+1] = 3
		}
		c := newClient(t, slowly(o))
		defer c.Close()
		var wg sync.WaitGroup
		for id := 100; id < 1000; id += 7 {
			wg.Go(func() {
				if rows, err := c.List(t.Context(), owner(id, true), "productRows"); err != nil || len(rows) != 3 {
					t.Errorf("owner %d: %d rows, %v", id, len(rows), err)
				}
			})
		}
		wg.Wait()
		if o.calls > 140 {
			t.Errorf("%d commands for 129 owners", o.calls)
		}
	})
}

// slowly is a portal with one method, which takes its time.
func slowly(o *owned) *portal {
	return &portal{methods: map[string]methodFunc{"crm.item.productrow.list": o.list}, before: func(http.ResponseWriter, string) bool {
		time.Sleep(60 * time.Millisecond)
		return false
	}}
}

func askForOwners(t *testing.T, o *owned, bare bool) {
	t.Helper()
	c := newClient(t, slowly(o))
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

// TestManyOwnersUnmerged: one owner's call is sent as it is.
func TestManyOwnersUnmerged(t *testing.T) {
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

// TestManyOwnersChange: a portal that stops to take lists of owners is noticed, whatever it
// makes of them then: rows that it does not return any more do not count as deleted.
func TestManyOwnersChange(t *testing.T) {
	eachKind(t, func(t *testing.T, _, _ string, bare bool, o *owned) {
		later := o.choose
		o.choose = func(owners []int, list bool) ([]int, bool) {
			if o.lists > 3 {
				return later(owners, list)
			}
			return owners, true
		}
		askForOwners(t, o, bare)
	})
}

// TestManyOwnersClose: no caller waits for a client that is closed.
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
