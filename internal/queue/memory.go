package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/b24rules/b24rules/internal/store"
)

// Memory is what the runs of a rule remember about an entity: texts under keys. All
// of it is read once, in one query, and only when a key is asked for. Changes are
// stored together with the success of the run that made them.
type Memory struct {
	db                   store.Reader
	writes               *committer
	portal, rule, entity string

	mu      sync.Mutex
	known   map[string]string // as stored; nil before it was read
	changes map[string]string // "" removes a key
	forgets bool              // all keys are removed before the changes
}

// Memory returns the memory of a rule for an entity, to read it. Changes of it are
// not stored.
func (q *base) Memory(portal, rule, entity string) *Memory {
	return &Memory{db: q.db.Read, writes: q.writes, portal: portal, rule: rule, entity: entity}
}

// Get returns the value of a key when a run last succeeded. It does not see the
// changes of this run.
func (m *Memory) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		known, err := m.read(ctx)
		if err != nil {
			return "", false, fmt.Errorf("read what rule %s remembers about %s: %w", m.rule, m.entity, err)
		}
		m.known = known
	}
	value, ok = m.known[key]
	return value, ok, nil
}

func (m *Memory) read(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	_, err := store.All(ctx, m.db, "", func(row store.Row) (key string, err error) {
		var value string
		err = row.Scan(&key, &value)
		all[key] = value
		return key, err
	}, `SELECT key, value FROM b24_memory WHERE portal = $1 AND rule = $2 AND entity = $3`, m.portal, m.rule, m.entity)
	return all, err
}

const (
	addMemory = `
INSERT INTO b24_memory (portal, rule, entity, key, value) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (portal, rule, entity, key) DO NOTHING`

	replaceMemory = `UPDATE b24_memory SET value = $5 WHERE portal = $1 AND rule = $2 AND entity = $3 AND key = $4 AND value = $6`
)

// Replace changes a value at once, if it is still the old one; "" is a value that is not stored. All
// other changes need a run of the rule for the entity.
func (m *Memory) Replace(ctx context.Context, key, old, value string) error {
	text, args := replaceMemory, []any{m.portal, m.rule, m.entity, key, value, old}
	if old == "" {
		text, args = addMemory, args[:5]
	}
	err := m.writes.doFor(ctx, entityKey(m.portal, m.entity), func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("change what rule %s remembers about %s: %w", m.rule, m.entity, err)
	}
	return nil
}

// Set changes the value of a key, if the run succeeds. The value "" removes the key.
func (m *Memory) Set(key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes == nil {
		m.changes = map[string]string{}
	}
	m.changes[key] = value
}

// Forget removes all keys, if the run succeeds.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets, m.changes = true, nil
}

const (
	setMemory = `
INSERT INTO b24_memory (portal, rule, entity, key, value) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (portal, rule, entity, key) DO UPDATE SET value = excluded.value`

	forgetKey    = `DELETE FROM b24_memory WHERE portal = $1 AND rule = $2 AND entity = $3 AND key = $4`
	forgetEntity = `DELETE FROM b24_memory WHERE portal = $1 AND rule = $2 AND entity = $3`
)

// store stores the changes, in the transaction that ends the run.
func (m *Memory) store(ctx context.Context, t store.Tx) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forgets {
		if _, err := t.Exec(ctx, forgetEntity, m.portal, m.rule, m.entity); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.changes)) {
		var err error
		if value := m.changes[key]; value != "" {
			_, err = t.Exec(ctx, setMemory, m.portal, m.rule, m.entity, key, value)
		} else {
			_, err = t.Exec(ctx, forgetKey, m.portal, m.rule, m.entity, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
