package run

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
)

// start notes an entity for which the run starts another rule.
func (m *remembered) start(rule string, e engine.Entity) {
	if m.named[rule] == nil {
		m.named[rule] = map[string]bool{}
	}
	m.named[rule][e.String()] = true
}

// keepStarts decides which runs follow: those that this run names, and once more those
// that the last successful run has named and this one does not, such as the company that
// a deal has left. gone says that the entity does not exist any more: then all of them are
// forgotten.
func (m *remembered) keepStarts(ctx context.Context, gone bool) error {
	if !m.rule.Starts() {
		return nil
	}
	before, err := Named(ctx, m.memory)
	if err != nil {
		return err
	}
	now := map[string][]string{}
	for rule, entities := range m.named {
		now[rule] = slices.Sorted(maps.Keys(entities))
	}
	rules := map[string][]string{}
	maps.Copy(rules, before)
	maps.Copy(rules, now)
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		var words []string
		for _, entity := range now[rule] {
			words = append(words, entity)
			m.add(rule, entity)
		}
		if m.look { // it starts nothing, and a live run may know better
			if len(words) > 0 && before == nil {
				m.follows = append(m.follows, "remembers for "+rule+": "+strings.Join(words, ", "))
			}
			continue
		}
		for _, entity := range before[rule] {
			if !m.named[rule][entity] {
				words = append(words, entity+" (left)")
				m.add(rule, entity)
			}
		}
		m.follows = append(m.follows, "starts "+rule+" for "+strings.Join(words, ", "))
	}
	switch {
	case gone:
	case len(now) == 0:
		m.set(keyStarts, "")
	default:
		b, err := json.Marshal(now)
		if err != nil {
			return fmt.Errorf("remember which runs follow: %w", err)
		}
		if len(b) > engine.MaxMemory {
			return engine.ParkError("the run would remember more than %d KiB: the entities for which it starts rules", engine.MaxMemory>>10)
		}
		m.set(keyStarts, string(b))
	}
	return nil
}

// A Reader reads a memory.
type Reader interface {
	Get(ctx context.Context, key string) (value string, ok bool, err error)
}

// Named returns the entities that the last successful run of a rule for an entity has named, by the
// rules that it has started for them. It is nil if no run has named any.
func Named(ctx context.Context, m Reader) (named map[string][]string, err error) {
	text, ok, err := m.Get(ctx, keyStarts)
	if err == nil && ok {
		err = json.Unmarshal([]byte(text), &named)
	}
	if err != nil {
		return nil, fmt.Errorf("read which runs the last run has started: %w", err)
	}
	return named, nil
}

// Name returns how a memory changes if its last run had also named an entity for which it starts a rule:
// the value of a key. changed is false if the run has named it, or if the memory is full.
func Name(ctx context.Context, m Reader, rule, entity string) (key, old, value string, changed bool, err error) {
	named, err := Named(ctx, m)
	if err != nil || slices.Contains(named[rule], entity) {
		return "", "", "", false, err
	}
	if old, _, err = m.Get(ctx, keyStarts); err != nil {
		return "", "", "", false, err
	}
	if named == nil {
		named = map[string][]string{}
	}
	named[rule] = append(named[rule], entity)
	slices.Sort(named[rule])
	b, err := json.Marshal(named)
	return keyStarts, old, string(b), err == nil && len(b) <= engine.MaxMemory, err
}

func (m *remembered) add(rule, entity string) {
	if e, err := engine.ParseEntity(entity); err == nil { // it was written by String
		m.starts = append(m.starts, engine.Start{Rule: rule, Entity: e})
	}
}

// follow starts the runs that follow. A start counts as a write of the entity, so that
// rules that start each other without end are stopped.
func (m *remembered) follow(r *Run) error {
	if len(m.starts) == 0 || m.look || m.memory == nil {
		return nil
	}
	if err := r.Guard.checkChain(r, ""); err != nil {
		return err
	}
	if r.DryRun != nil {
		r.DryRun.Start(m.starts)
	}
	m.memory.Follow(m.starts)
	r.Guard.noteStarts(r, m.starts)
	return nil
}

// due returns why a step with at does not run now, and its time. A time that has not come
// plans the next run.
func (m *remembered) due(ctx context.Context, s *engine.Step, sc engine.Scope) (skipped, at string, err error) {
	v, err := s.At.Eval(ctx, sc)
	if err != nil {
		return "", "", err
	}
	if v == nil {
		return "at has no time", "", nil
	}
	t, ok := v.(time.Time)
	if !ok {
		return "", "", s.At.Errorf("at takes a time, but the formula gives %s", engine.KindOf(v))
	}
	at = t.UTC().Format(time.RFC3339Nano)
	before, known, err := m.lookUp(ctx, keyAt, s)
	switch {
	case err != nil:
		return "", "", err
	case before == at:
		return "the step has run for the time " + t.Format(time.RFC3339), at, nil
	case m.now.Before(t):
		m.wakeAt(t)
		return "the time " + t.Format(time.RFC3339) + " has not come", at, nil
	case m.look && known && !m.now.After(t.Add(s.Late)): // the rule has run for another time, and has changed
		m.wakeAt(m.now.Add(time.Millisecond))
		return "the time " + t.Format(time.RFC3339) + " has passed, and the next run is for it", at, nil
	case m.look:
		m.set(keyAt+s.Key, at)
		return "the time " + t.Format(time.RFC3339) + " had passed before the rule's first look", at, nil
	case m.now.After(t.Add(s.Late)):
		return fmt.Sprintf("the time %s passed more than %s ago", t.Format(time.RFC3339), s.Late), at, nil
	}
	return "", at, nil
}

// wakeAt plans the next run for a time, unless it is earlier.
func (m *remembered) wakeAt(t time.Time) {
	if t = t.Add(time.Microsecond - 1).Truncate(time.Microsecond); m.wake.IsZero() || t.Before(m.wake) {
		m.wake = t
	}
}
