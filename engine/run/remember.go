package run

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// The keys of a rule's memory. Those of a step end with its key.
const (
	keyOnce    = engine.KeyOnce
	keyEntered = engine.KeyEntered
	keyAt      = engine.KeyAt
	keyBefore  = "before"
	keyStarts  = "starts"
)

// The stored values of a condition.
const (
	wasTrue  = "true"
	wasFalse = "false"
)

// remembered is what one attempt knows of earlier runs, and what it will remember.
type remembered struct {
	rule   *engine.Rule
	memory engine.Memory // nil remembers nothing
	quiet  bool          // see Run.Quiet
	look   bool          // see Run.Look
	now    time.Time
	// arrived is Run.Arrived.
	arrived func(ctx context.Context) error

	isTrue  map[*engine.Step]bool // conditions of entered that count as true now
	toStore []change
	asked   bool           // a step has read the memory
	results map[string]any // names that steps have defined, also those of on_error

	named   map[string]map[string]bool // by rule: the entities for which this attempt starts it
	starts  []engine.Start             // what follows the run
	wake    time.Time                  // the earliest time of a step with at; zero without
	follows []string                   // starts and wake, for people
}

// A decision says whether a step runs, and what it remembers if it does.
type decision struct {
	skipped string   // why it does not run; "" if it runs
	once    string   // the value of once
	at      string   // the time of at
	rows    *dueRows // of for_each, if once is computed for each row
}

// when is a word for the value of once or the time of at, "" without.
func (d decision) when() string {
	if d.once == "" && d.at == "" {
		return ""
	}
	return shortText(d.once + d.at)
}

// dueRows are the rows of a step with for_each and once.
type dueRows struct {
	all  []any
	skip []bool
	// values are words for the values of once of the rows, each with its number among equal ones.
	values []string
	once   string // the values of all rows
}

// skips reports whether a row does not run. A nil list skips none.
func (d *dueRows) skips(row int) bool { return d != nil && d.skip[row] }

// decide asks the memory whether a step runs.
func (m *remembered) decide(ctx context.Context, s *engine.Step, sc engine.Scope) (d decision, err error) {
	switch {
	case s.Entered != nil:
		d.skipped, err = m.entered(ctx, s, sc)
	case s.At != nil:
		d.skipped, d.at, err = m.due(ctx, s, sc)
	case s.Once != nil && m.look:
		d.skipped = "a first look does not run it"
	case s.PerRow:
		d.rows, err = m.onceRows(ctx, s, sc)
		if err == nil && len(d.rows.all) > 0 && !slices.Contains(d.rows.skip, false) {
			d.skipped = "no row has a new value of once"
			m.set(keyOnce+s.Key, d.rows.once)
		}
	case s.Once != nil:
		var v any
		if v, err = s.Once.Eval(ctx, sc); err != nil {
			return d, err
		}
		d.once = onceText(v)
		var before string
		var ok bool
		if before, ok, err = m.lookUp(ctx, keyOnce, s); ok && before == d.once {
			d.skipped = "the value of once is unchanged"
		}
	}
	return d, err
}

// ran notes what a step remembers that has run.
func (m *remembered) ran(s *engine.Step, d decision) {
	switch {
	case s.Entered != nil:
		m.isTrue[s] = true
	case s.At != nil:
		m.set(keyAt+s.Key, d.at)
	case d.rows != nil:
		m.set(keyOnce+s.Key, d.rows.once)
	case s.Once != nil:
		m.set(keyOnce+s.Key, d.once)
	}
}

// entered returns why a step with entered does not run. Without a memory, a live run
// counts the condition as false before. A run that repairs counts it as true, because
// no event says that the entity has just changed.
func (m *remembered) entered(ctx context.Context, s *engine.Step, sc engine.Scope) (skipped string, err error) {
	now, err := s.Entered.True(ctx, sc)
	if err != nil {
		return "", err
	}
	if !now {
		return "the condition of entered is false", nil
	}
	before, known, err := m.lookUp(ctx, keyEntered, s)
	switch {
	case err != nil:
		return "", err
	case known && m.look: // a live run decides
		m.isTrue[s] = before == wasTrue
		return "a first look does not run it", nil
	case before == wasTrue:
		m.isTrue[s] = true
		return "the condition of entered was true before", nil
	case !known && m.quiet:
		m.isTrue[s] = true
		return "the condition of entered is true, and no run has looked at the entity before: remembered", nil
	}
	return "", nil
}

// onceRows finds the rows whose value of once is new.
func (m *remembered) onceRows(ctx context.Context, s *engine.Step, sc engine.Scope) (*dueRows, error) {
	rows, err := rowsOf(ctx, s, sc)
	if err != nil {
		return nil, err
	}
	stored, _, err := m.lookUp(ctx, keyOnce, s)
	if err != nil {
		return nil, err
	}
	before := map[string]bool{}
	if list, ok := strings.CutPrefix(stored, rowsPrefix); ok {
		for _, v := range strings.Fields(list) {
			before[v] = true
		}
	}
	d := &dueRows{all: rows, skip: make([]bool, len(rows)), values: make([]string, len(rows))}
	now, number := map[string]bool{}, map[string]int{}
	inner := sc.Child(nil)
	for i, row := range rows {
		v, err := s.Once.Eval(ctx, inner.Row(row, i))
		if err != nil {
			return nil, err
		}
		value := shortText(onceText(v))
		number[value]++
		d.skip[i], d.values[i] = before[value], fmt.Sprintf("%s#%d", value, number[value])
		now[value] = true
	}
	d.once = rowsPrefix + strings.Join(slices.Sorted(maps.Keys(now)), " ")
	if len(d.once) > engine.MaxMemory {
		return nil, tooMuch(s.Once, "the values of once of %d rows", len(rows))
	}
	return d, nil
}

// rowsPrefix starts the remembered values of the rows of a step.
const rowsPrefix = "rows "

// shortText is a word of eleven characters for a text.
func shortText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}

// tooMuch is the error of a run that would remember too much.
func tooMuch(v *engine.Value, what string, args ...any) error {
	return v.Errorf("the run would remember more than %d KiB: %s", engine.MaxMemory>>10, fmt.Sprintf(what, args...))
}

// lookUp reads what a step remembers. A rule that ran with the previous version of the
// program, or before its file changed, may have it under the step's label.
func (m *remembered) lookUp(ctx context.Context, kind string, s *engine.Step) (value string, ok bool, err error) {
	if m.memory == nil {
		return "", false, nil
	}
	m.asked = true
	value, ok, err = m.get(ctx, kind+s.Key)
	if err == nil && !ok && s.TextKey != s.Key { // before the step got its id
		value, ok, err = m.get(ctx, kind+s.TextKey)
	}
	if err == nil && !ok && kind == keyOnce {
		value, ok, err = m.get(ctx, s.Label)
	}
	return value, ok, err
}

// get reads a key of the memory.
func (m *remembered) get(ctx context.Context, key string) (value string, ok bool, err error) {
	if value, ok, err = m.memory.Get(ctx, key); err != nil {
		return "", false, fmt.Errorf("read the memory of the rule: %w", err)
	}
	return value, ok, nil
}

// set notes a value for the end of the run.
func (m *remembered) set(key, value string) {
	m.toStore = append(m.toStore, change{key, value})
}

// A change is a value that a run will remember.
type change struct{ key, value string }

// commit gives the memory what a successful run remembers.
func (m *remembered) commit(ctx context.Context) error {
	if m.memory == nil || !m.rule.Remembers() {
		return nil
	}
	for _, s := range engine.Flatten(m.rule.Steps) {
		if s.Entered != nil {
			m.set(keyEntered+s.Key, boolText(m.isTrue[s]))
		}
	}
	if err := m.keepPast(); err != nil {
		return err
	}
	if err := m.keepStarts(ctx, false); err != nil {
		return err
	}
	m.plan(false)
	if err := m.moveOld(ctx); err != nil {
		return err
	}
	first := false // a state of which no run knew, and which a live run would take for a change
	for _, c := range m.toStore {
		old, ok, err := m.get(ctx, c.key)
		if err != nil {
			return err
		}
		if ok && m.look { // a look adds what is missing, and takes nothing from a live run
			continue
		}
		if ok && old != c.value || !ok && c.value != "" {
			m.memory.Set(c.key, c.value)
			first = first || !ok && (c.key == keyBefore || c.value == wasTrue || strings.HasPrefix(c.key, keyAt))
		}
	}
	if first && m.quiet && m.arrived != nil {
		return m.arrived(ctx)
	}
	return nil
}

// plan plans the next run of the rule for the entity, if a step waits for a time.
func (m *remembered) plan(gone bool) {
	if !m.wake.IsZero() {
		m.memory.Wake(m.wake, gone)
		m.follows = append(m.follows, "next run at "+m.wake.Format(time.RFC3339))
	}
}

// commitGone empties the memory of an entity that does not exist. What its deleted steps
// remember stays, because late events start them again.
func (m *remembered) commitGone(ctx context.Context) error {
	if m.memory == nil || !m.rule.Remembers() {
		return nil
	}
	if err := m.keepStarts(ctx, true); err != nil {
		return err
	}
	m.plan(true)
	kept := map[string]string{}
	keep := func(kind string, s *engine.Step) (err error) {
		kept[kind+s.Key], _, err = m.lookUp(ctx, kind, s)
		return err
	}
	for _, s := range engine.Flatten(m.rule.Deleted) {
		var err error
		switch {
		case s.Once != nil:
			err = keep(keyOnce, s)
		case s.At != nil:
			err = keep(keyAt, s)
		case s.Entered != nil:
			kept[keyEntered+s.Key] = boolText(m.isTrue[s])
		}
		if err != nil {
			return err
		}
	}
	for _, c := range m.toStore {
		if c.key != keyStarts {
			kept[c.key] = c.value
		}
	}
	m.memory.Forget()
	for key, value := range kept {
		m.memory.Set(key, value)
	}
	return nil
}

func boolText(b bool) string {
	if b {
		return wasTrue
	}
	return wasFalse
}

// moveOld gives values of once that are stored under a step's label its key, so that
// the label of another step never finds them. It reads no memory that no step has read.
func (m *remembered) moveOld(ctx context.Context) error {
	if !m.asked {
		return nil
	}
	for _, s := range m.rule.AllSteps() {
		if s.Once == nil {
			continue
		}
		old, ok, err := m.get(ctx, s.Label)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		m.toStore = slices.Insert(m.toStore, 0, change{keyOnce + s.Key, old}) // the run may have a new value
		m.set(s.Label, "")
	}
	return nil
}

// past returns the value of before.
func (m *remembered) past(ctx context.Context) (map[string]any, error) {
	out := map[string]any{}
	stored := map[string]any{}
	if m.memory != nil {
		text, ok, err := m.memory.Get(ctx, keyBefore)
		if err == nil && ok {
			stored, err = decodePast(text)
		}
		if err != nil {
			return nil, fmt.Errorf("read the memory of the rule: %w", err)
		}
	}
	for _, p := range m.rule.Before {
		at := out
		for _, name := range p.Path[:len(p.Path)-1] {
			inner, ok := at[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[name] = inner
			}
			at = inner
		}
		v := stored[strings.Join(p.Path, ".")]
		if !formula.Is(v, p.Type) {
			v = nil
			if p.Type.Kind == formula.Record {
				v = map[string]any{}
			}
		}
		at[p.Path[len(p.Path)-1]] = v
	}
	return out, nil
}

// keepPast notes the values that later runs read as before.
func (m *remembered) keepPast() error {
	if len(m.rule.Before) == 0 {
		return nil
	}
	values := map[string]any{}
	size, largest := 0, ""
	for _, p := range m.rule.Before {
		name := strings.Join(p.Path, ".")
		v := valueAt(m.results, p.Path)
		if v == nil {
			continue
		}
		values[name] = v
		if n := len(encodePast(map[string]any{name: v})); n > size {
			size, largest = n, name
		}
	}
	text := encodePast(values)
	if len(text) > engine.MaxMemory {
		return engine.ParkError("the run would remember more than %d KiB for before, most of it for before.%s: read a smaller part of it, or compute what you compare", engine.MaxMemory>>10, largest)
	}
	m.set(keyBefore, text)
	return nil
}

func valueAt(vars map[string]any, path []string) any {
	var v any = vars
	for _, name := range path {
		v = formula.FieldOf(v, name)
	}
	return v
}

// onceText returns the text of a value of once. Equal values have equal texts.
func onceText(v any) string {
	text, err := formula.ToText(v)
	if err != nil {
		return canonicalJSON(v)
	}
	return engine.KindOf(v) + ":" + text
}
