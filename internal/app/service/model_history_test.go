package service_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator"
)

// A scenario is what happens to a portal and its engine: a script that can be
// read, run again and made shorter.
type scenario struct {
	seed  uint64
	world worldKind
	steps []step
}

// worldKind is the portal and the engine of a history.
type worldKind struct {
	plan    string
	many    bool          // filters may hold lists of owners
	strict  bool          // ELEMENT_ID and ELEMENT_CODE must both fit
	latency time.Duration // of requests, at most, on the way there and back
	grace   time.Duration // of a stop
}

func (k worldKind) String() string {
	return fmt.Sprintf("portal: plan %s, many owners %v, strict codes %v, requests up to %s each way; engine: grace %s", k.plan, k.many, k.strict, k.latency, k.grace)
}

// op is what a step does.
type op string

const (
	opAddDeal     op = "add a deal"
	opAddBill     op = "add an invoice"
	opRows        op = "save the rows of deal"
	opBillRows    op = "save the rows of invoice"
	opEditRow     op = "edit a row of deal"
	opTouch       op = "rename deal"
	opTouchBill   op = "rename invoice"
	opDeleteDeal  op = "delete deal"
	opDeleteBill  op = "delete invoice"
	opTick        op = "tick an element of deal"
	opMeddle      op = "change a quantity in the list and rename deal"
	opForeign     op = "add an element by hand to deal"
	opNote        op = "write a note into the helper of invoice"
	opDeliver     op = "deliver event"
	opDeliverAll  op = "deliver all events"
	opAgain       op = "deliver once more event"
	opSleep       op = "wait"
	opFinish      op = "let the engine finish"
	opFaults      op = "from now on"
	opHeal        op = "nothing goes wrong any more"
	opCrash       op = "kill the engine"
	opLose        op = "the next writes lose their connection"
	opStop        op = "stop the engine"
	opStart       op = "start the engine"
	opCrashAtWork op = "kill the engine as soon as it"
)

// step is one thing that happens. Its numbers choose among what there is then,
// so that a history still makes sense without some of its steps.
type step struct {
	op     op
	which  int // deal, invoice or event
	n      int
	rows   []modelRow
	wait   time.Duration
	faults []emulator.Fault
	flag   bool
}

// modelRow is a product row: hundredths of money, tenths of a piece.
type modelRow struct {
	product int // 0 is a row of free text
	name    string
	cents   int64
	tenths  int64
}

func (r modelRow) price() string { return fmt.Sprintf("%d.%02d", r.cents/100, r.cents%100) }

func (r modelRow) quantity() string {
	if r.tenths%10 == 0 {
		return fmt.Sprint(r.tenths / 10)
	}
	return fmt.Sprintf("%d.%d", r.tenths/10, r.tenths%10)
}

func (r modelRow) String() string {
	return fmt.Sprintf("%s at %s × %s", r.base(), r.price(), r.quantity())
}

// base is the part of a row's key without the number among equal rows.
func (r modelRow) base() string {
	if r.product != 0 {
		return fmt.Sprint("#", r.product)
	}
	return r.name
}

func (s step) String() string {
	switch s.op {
	case opAddDeal, opAddBill:
		return fmt.Sprintf("%s: %s", s.op, rowsText(s.rows))
	case opRows, opBillRows:
		return fmt.Sprintf("%s %d: %s", s.op, s.which, rowsText(s.rows))
	case opEditRow:
		return fmt.Sprintf("%s %d: row %d gets quantity %d", s.op, s.which, s.n, 1+s.n%7)
	case opSleep:
		return fmt.Sprintf("wait %s", s.wait)
	case opFaults:
		return fmt.Sprintf("%s: %s", s.op, faultsText(s.faults))
	case opForeign:
		return fmt.Sprintf("%s %d, of product %d", s.op, s.which, s.product())
	case opCrash, opCrashAtWork:
		text := string(s.op)
		if s.op == opCrashAtWork {
			text += []string{" sends a write", " has written, before it hears of it"}[s.n%2]
		}
		if s.flag {
			return fmt.Sprintf("%s; what it has sent still arrives, after %s", text, s.wait)
		}
		return text + "; what has not arrived is lost"
	case opLose:
		return fmt.Sprintf("%s, %d of them, and arrive %s later", s.op, 1+s.n%3, s.wait)
	case opDeliverAll, opFinish, opHeal, opStop, opStart:
		return string(s.op)
	}
	return fmt.Sprintf("%s %d", s.op, s.which)
}

// product is that of an element made by hand: 0, or one that a row may have.
func (s step) product() int {
	if s.n%2 == 0 {
		return 0
	}
	return 500 + s.n%3
}

func rowsText(rows []modelRow) string {
	if len(rows) == 0 {
		return "none"
	}
	var out []string
	for _, r := range rows {
		out = append(out, r.String())
	}
	return strings.Join(out, ", ")
}

func faultsText(faults []emulator.Fault) string {
	var out []string
	for _, f := range faults {
		text := fmt.Sprintf("%s %s%s", f.Kind, f.Method, f.Code)
		if f.After {
			text += " after the work"
		}
		out = append(out, fmt.Sprintf("%s (p=%.2f, %d times, seed %d)", text, f.Probability, f.Count, f.Seed))
	}
	return strings.Join(out, "; ")
}

func (h scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n%s\n", h.seed, h.world)
	for i, s := range h.steps {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, s)
	}
	return b.String()
}

// newScenario makes the history of a seed.
func newScenario(seed uint64) scenario {
	g := generator{rand.New(rand.NewPCG(seed, 5))}
	h := scenario{seed: seed, world: worldKind{
		plan: pick(g.rnd, emulator.PlanUnlimited, emulator.PlanStandard), many: g.one(2), strict: g.one(2),
		latency: pick(g.rnd, 0, 3*time.Millisecond, 40*time.Millisecond, 2*time.Second), grace: pick(g.rnd, time.Millisecond, 10*time.Second),
	}}
	h.steps = append(h.steps, step{op: opAddDeal, rows: g.rows()}, step{op: opAddBill, rows: g.rows()})
	for range 4 + g.rnd.IntN(22) {
		h.steps = append(h.steps, g.steps()...)
	}
	return h
}

type generator struct{ rnd *rand.Rand }

func pick[T any](rnd *rand.Rand, all ...T) T { return all[rnd.IntN(len(all))] }

// one is true once in n times.
func (g generator) one(n int) bool { return g.rnd.IntN(n) == 0 }

func (g generator) rows() []modelRow {
	var out []modelRow
	for range g.rnd.IntN(5) {
		r := modelRow{cents: pick(g.rnd, int64(7), 110, 3333, 1000, 99999), tenths: pick(g.rnd, int64(10), 20, 30, 25, 3, 10000)}
		if g.one(2) {
			r.product = 501 + g.rnd.IntN(2)
			r.name = fmt.Sprint("Product ", r.product)
		} else {
			r.name = pick(g.rnd, "Bolt", "Гайка", "A & B; <c>")
		}
		out = append(out, r)
	}
	return out
}

// steps are what happens next: mostly one thing.
func (g generator) steps() []step {
	s := step{which: g.rnd.IntN(1000), n: g.rnd.IntN(1000)}
	switch g.rnd.IntN(37) {
	case 0:
		s.op, s.rows = opAddDeal, g.rows()
	case 1:
		s.op, s.rows = opAddBill, g.rows()
	case 2, 3, 4:
		s.op, s.rows = opRows, g.rows()
	case 5, 6:
		s.op, s.rows = opBillRows, g.rows()
	case 7, 8:
		s.op = opEditRow
	case 9:
		s.op = pick(g.rnd, opTouch, opTouchBill)
	case 10:
		s.op = pick(g.rnd, opDeleteDeal, opDeleteDeal, opDeleteBill)
	case 11, 12:
		s.op = opTick
	case 13:
		s.op = pick(g.rnd, opMeddle, opNote)
	case 14:
		s.op = opForeign
	case 15, 16, 17:
		s.op = opDeliver
	case 18, 19, 20, 21:
		s.op = opDeliverAll
	case 22:
		s.op = opAgain
	case 23, 24, 25, 26:
		s.op = opSleep
		s.wait = pick(g.rnd, time.Millisecond, 30*time.Millisecond, 300*time.Millisecond, 990*time.Millisecond, 1010*time.Millisecond, 3*time.Second, 20*time.Second, 90*time.Second)
	case 27:
		s.op = opFinish
	case 28, 29:
		s.op, s.faults = opFaults, g.faults()
	case 30:
		s.op = opHeal
	case 31:
		s.op, s.flag = opCrash, g.one(2)
	case 32, 33:
		s.op, s.flag, s.wait = opCrashAtWork, g.one(2), pick(g.rnd, 0, 2*time.Second, 20*time.Second)
	case 34:
		s.op = opStop
	case 35:
		s.op = opStart
	case 36:
		s.op, s.wait = opLose, pick(g.rnd, 0, 2*time.Second, 20*time.Second, 50*time.Second)
	}
	if s.op == opStop || s.op == opCrash || s.op == opCrashAtWork {
		more := []step{s, {op: opSleep, wait: pick(g.rnd, 0, time.Millisecond, time.Minute)}, {op: opStart}}
		if g.one(3) {
			return more[:1]
		}
		return more
	}
	return []step{s}
}

// faults are one to three things that go wrong, each now and then. None of them
// is one that parks a run: such a run is not asked for what it has not done.
func (g generator) faults() []emulator.Fault {
	var out []emulator.Fault
	for range 1 + g.rnd.IntN(3) {
		f := emulator.Fault{
			Method:      pick(g.rnd, "", "", "batch", "lists.element.*", "crm.item.*", "*.add", "*.update", "*.delete", "*.get"),
			Kind:        pick(g.rnd, emulator.FaultRefuse, emulator.FaultTimeout, emulator.FaultReset, emulator.FaultHTML, emulator.FaultTruncate, emulator.FaultDelay),
			After:       g.one(2),
			Probability: pick(g.rnd, 0.1, 0.3, 0.7),
			Seed:        g.rnd.Uint64N(1000),
			Count:       1 + g.rnd.IntN(8), // without a limit a run could fail for ever
		}
		switch f.Kind {
		case emulator.FaultRefuse:
			f.After, f.Code = false, pick(g.rnd, "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "INTERNAL_SERVER_ERROR")
		case emulator.FaultDelay:
			f.Delay = pick(g.rnd, 10*time.Millisecond, 5*time.Second)
		case emulator.FaultHTML:
			f.Status = pick(g.rnd, 502, 504, 500)
		case emulator.FaultTruncate:
			f.After = false
		case emulator.FaultTimeout, emulator.FaultReset, emulator.FaultMoved:
		}
		out = append(out, f)
	}
	return out
}
