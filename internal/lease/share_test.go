package lease

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// world is a database of leases and workers, to simulate which worker takes what.
type world struct {
	portals []string
	workers map[string]bool // that live
	only    map[string][]string
	owner   map[string]string
	moved   int
}

func newWorld(portals int) *world {
	w := &world{workers: map[string]bool{}, owner: map[string]string{}}
	for i := range portals {
		w.portals = append(w.portals, fmt.Sprint("p", i))
	}
	return w
}

// stabilize lets the workers look in turn until nothing moves.
func (w *world) stabilize() {
	for before := -1; before != w.moved; {
		before = w.moved
		for _, id := range slices.Sorted(maps.Keys(w.workers)) {
			w.look(id)
		}
	}
}

func (w *world) look(id string) {
	v := view{me: id, now: time.Now(), term: time.Second, portals: w.portals, rows: map[string]leaseRow{}, workers: map[string]workerRow{}, mine: map[string]bool{}}
	for worker := range w.workers {
		one := workerRow{since: time.Now()}
		if only := w.only[worker]; only != nil {
			one.only = map[string]bool{}
			for _, portal := range only {
				one.only[portal] = true
			}
		}
		v.workers[worker] = one
	}
	if only := w.only[id]; only != nil {
		v.portals = only
	}
	for portal, owner := range w.owner {
		v.rows[portal] = leaseRow{owner: owner, since: time.Now()}
		if owner == id {
			v.mine[portal] = true
		}
	}
	for _, part := range v.parts() {
		for _, portal := range part.toTake() {
			w.owner[portal] = id
			w.moved++
		}
		held := slices.Sorted(maps.Keys(part.mine))
		for i := part.target(); i < len(held); i++ {
			w.owner[held[i]] = ""
		}
	}
}

func (w *world) shares() []int {
	count := map[string]int{}
	for _, owner := range w.owner {
		count[owner]++
	}
	return slices.Sorted(maps.Values(count))
}

func TestPortalsAreSharedFairly(t *testing.T) {
	w := newWorld(50)
	for _, step := range []struct {
		name  string
		do    func()
		want  []int
		moves int // the least that it takes
	}{
		{"one alone", func() { w.workers["a"] = true }, []int{50}, 50},
		{"a second joins", func() { w.workers["b"] = true }, []int{25, 25}, 25},
		{"a third joins", func() { w.workers["c"] = true }, []int{16, 17, 17}, 16},
		{"nothing happens", func() {}, []int{16, 17, 17}, 0},
		{"a command that works one portal", func() {
			w.workers["cli"], w.only = true, map[string][]string{"cli": {"p0"}}
		}, []int{16, 17, 17}, 0},
		{"it ends", func() { delete(w.workers, "cli") }, []int{16, 17, 17}, 0},
		{"a new portal", func() { w.portals = append(w.portals, "new") }, []int{17, 17, 17}, 1},
		{"one leaves", func() {
			delete(w.workers, "b")
			for portal, owner := range w.owner {
				if owner == "b" {
					w.owner[portal] = ""
				}
			}
		}, []int{25, 26}, 17},
		{"more workers than portals", func() {
			w = newWorld(2)
			w.workers = map[string]bool{"a": true, "b": true, "c": true}
		}, []int{1, 1}, 2},
		{"one that can work a portal of its own, and one of the others'", func() {
			w.portals = append(w.portals, "own")
			w.workers["z"] = true
			w.only = map[string][]string{"z": {"own", "p0"}, "a": {"p0", "p1"}, "b": {"p0", "p1"}, "c": {"p0", "p1"}}
		}, []int{1, 1, 1}, 1},
		{"two that have nothing in common", func() {
			w = newWorld(5)
			w.workers = map[string]bool{"a": true, "b": true}
			w.only = map[string][]string{"a": {"p0", "p1"}, "b": {"p2", "p3", "p4"}}
		}, []int{2, 3}, 5},
	} {
		step.do()
		before := w.moved
		w.stabilize()
		if got := w.shares(); !slices.Equal(got, step.want) || w.moved-before != step.moves {
			t.Errorf("%s: shares %v after %d moves, want %v after %d", step.name, got, w.moved-before, step.want, step.moves)
		}
	}
}

// A lease is free when its owner has sent no heartbeat for longer than a term, and
// not before: the owner's term started before its heartbeat was read.
func TestWhenALeaseIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view{me: "a", now: time.Now(), term: 10 * time.Second, rows: map[string]leaseRow{"p": {owner: "b", since: time.Now()}}}
		time.Sleep(11 * time.Second)
		v.now = time.Now()
		if v.free("p") {
			t.Error("free after a term")
		}
		time.Sleep(time.Millisecond)
		v.now = time.Now()
		if !v.free("p") {
			t.Error("not free after more than a term")
		}
		v.owners = map[string]workerRow{"b": {since: time.Now()}}
		if v.free("p") {
			t.Error("free though its owner has a newer heartbeat")
		}
		v.rows["mine"] = leaseRow{owner: "a", since: time.Now()} // lost, and without an owner
		if !v.free("mine") || !v.free("unknown") {
			t.Error("a lease that nobody else has is not free")
		}
	})
}

func TestALeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("p", 1, 10*time.Second, time.Now(), time.Now)
		defer l.end()
		time.Sleep(9 * time.Second)
		if err := l.Holds(); err != nil {
			t.Errorf("after 9 of 10 seconds: %v", err)
		}
		time.Sleep(time.Millisecond)
		if err := l.Holds(); err == nil {
			t.Error("held when less than a tenth is left: a request may take a moment to leave")
		}
		if l.Enter() {
			t.Error("a run may begin that late")
		}
		l.renew(time.Now())
		if err := l.Holds(); err != nil || !l.Enter() {
			t.Errorf("after a renewal: %v", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l.ctx.Err() == nil {
			t.Error("its runs go on after the term")
		}
		l.renew(time.Now())
		if l.Holds() == nil {
			t.Error("a late renewal has brought it back, while its runs end")
		}
		l.drain()
		select {
		case <-l.idle:
			t.Error("idle with a run")
		default:
		}
		l.Leave()
		<-l.idle
	})
}
