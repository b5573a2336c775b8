package formula

import (
	"context"
	"fmt"
	"time"

	"github.com/expr-lang/expr/vm"

	"github.com/b24rules/b24rules/engine/datetime"
)

// The limits of one evaluation. Plain expr has none of them: it ends a loop in
// a loop only when it is done, and a grown text only when the memory is.
const (
	maxSteps    = 1_000_000 // elements that all loops may visit
	maxText     = 8 << 20   // bytes of text that may be made
	maxElements = 10_000    // elements of one list that a function makes
	maxDuration = time.Second
	// checkEvery is how many steps may pass before the machine checks the clock.
	checkEvery = 1024
	// bytesPerStep turns the reading of long texts into steps.
	bytesPerStep = 256
)

// Machine evaluates formulas within the limits: for each evaluation 1,000,000
// steps, a second and 8 MiB of text. One is made per run and used for all its
// formulas; it is not for concurrent use.
type Machine struct {
	ctx context.Context // a machine lives as long as one run
	vm  vm.VM

	vars      map[string]any
	limit     int // steps
	steps     int
	nextCheck int
	text      int
	deadline  time.Time

	portal Locale
	work   *datetime.Calendar // nil until it is needed
}

// NewMachine returns a machine whose evaluations end when ctx does.
func NewMachine(ctx context.Context) *Machine {
	return &Machine{ctx: ctx, limit: maxSteps}
}

func (m *Machine) begin(vars map[string]any) {
	m.vars = vars
	m.steps, m.nextCheck, m.text = 0, 0, 0
	m.deadline = time.Time{}
}

// spend counts n steps, and checks the clock and the context every checkEvery steps.
func (m *Machine) spend(n int) error {
	m.steps += n
	if m.steps > m.limit || n < 0 {
		return fmt.Errorf("the formula takes more than %d steps", m.limit)
	}
	if m.steps < m.nextCheck {
		return nil
	}
	m.nextCheck = m.steps + checkEvery
	now := time.Now()
	if m.deadline.IsZero() {
		m.deadline = now.Add(maxDuration)
	}
	if now.After(m.deadline) {
		return fmt.Errorf("the formula takes longer than %s", maxDuration)
	}
	if m.ctx != nil {
		return m.ctx.Err()
	}
	return nil
}

// read counts the steps of reading n bytes of text.
func (m *Machine) read(n int) error { return m.spend(1 + n/bytesPerStep) }

// grow counts n bytes of text that are about to be made. It is asked before
// they are made.
func (m *Machine) grow(n int) error {
	m.text += n
	if m.text > maxText || n < 0 {
		return fmt.Errorf("the formula makes more than %d MiB of text", maxText>>20)
	}
	return m.spend(n / bytesPerStep)
}

// list checks the length of a list that is about to be made.
func (m *Machine) list(n int) error {
	if n > maxElements || n < 0 {
		return fmt.Errorf("the list has more than %d elements", maxElements)
	}
	return m.spend(n)
}

// The result of a formula may share its parts (let b = [a, a]; [b, b] …), so a
// small value in memory can be an endless one to the code that writes it out.
const (
	maxResultNodes = 1_000_000
	maxResultDepth = 64
)

// measure refuses a value that would be too large when written out.
func measure(v any) error {
	s := sizer{nodes: maxResultNodes, text: maxText}
	return s.walk(v, 0)
}

type sizer struct{ nodes, text int }

func (s *sizer) walk(v any, depth int) error {
	s.nodes--
	if depth > maxResultDepth {
		return fmt.Errorf("the result is nested deeper than %d levels", maxResultDepth)
	}
	switch x := v.(type) {
	case string:
		s.text -= len(x)
	case []any:
		for _, e := range x {
			if err := s.walk(e, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range x {
			s.text -= len(k)
			if err := s.walk(e, depth+1); err != nil {
				return err
			}
		}
	}
	if s.nodes < 0 {
		return fmt.Errorf("the result has more than %d values", maxResultNodes)
	}
	if s.text < 0 {
		return fmt.Errorf("the result has more than %d MiB of text", maxText>>20)
	}
	return nil
}
