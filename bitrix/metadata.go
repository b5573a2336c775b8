package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// metadata remembers what the portal says of its fields. Of several callers
// that want the same thing at once, one asks.
type metadata struct {
	life time.Duration

	mu      sync.Mutex
	entries map[string]*metaEntry
}

// maxMetadata bounds how many descriptions are kept.
const maxMetadata = 1000

// maxDoubt is how old a description must be to be the reason for a refusal.
const maxDoubt = 10 * time.Second

// doubtful are the codes of refusals that an old description can be the reason for.
var doubtful = []string{"INVALID_ARG_VALUE", codeArgument, "ERROR_ELEMENT_FIELD_VALUE"}

type metaEntry struct {
	ready chan struct{} // closed when the rest is set
	value any
	err   error
	at    time.Time
}

func newMetadata(life time.Duration) *metadata {
	return &metadata{life: life, entries: map[string]*metaEntry{}}
}

// get returns what load gave not longer than the metadata's life ago. A failure
// is not remembered, and when the caller who asked gives up, another one asks.
func (m *metadata) get(ctx context.Context, key string, load func() (any, error)) (any, error) {
	for {
		e, mine := m.claim(key)
		if mine {
			e.value, e.err = load()
			m.resolve(key, e)
			return e.value, e.err
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, callerGaveUp(ctx.Err())
		}
		if e.err != nil && ctx.Err() == nil && isGivenUp(e.err) {
			continue
		}
		return e.value, e.err
	}
}

// claim returns the entry of a key, and whether the caller is to fill it.
func (m *metadata) claim(key string) (e *metaEntry, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e = m.entries[key]; e != nil && !m.stale(e) {
		return e, false
	}
	if len(m.entries) >= maxMetadata {
		maps.DeleteFunc(m.entries, func(_ string, e *metaEntry) bool { return m.stale(e) })
	}
	if len(m.entries) >= maxMetadata {
		clear(m.entries)
	}
	e = &metaEntry{ready: make(chan struct{})}
	m.entries[key] = e
	return e, true
}

// resolve hands a filled entry to those who wait for it.
func (m *metadata) resolve(key string, e *metaEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.at = time.Now()
	if e.err != nil && m.entries[key] == e {
		delete(m.entries, key)
	}
	close(e.ready)
}

// stale reports whether an entry is too old. One that is being filled is not.
func (m *metadata) stale(e *metaEntry) bool {
	select {
	case <-e.ready:
		return time.Since(e.at) > m.life
	default:
		return false
	}
}

func isGivenUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// doubt looks at a call that the portal refused for what was in it. The fields
// may have changed since they were described: the description is forgotten, and
// the error says that another attempt, with the new one, may succeed.
func (m *metadata) doubt(call Call, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // an Answer has this type of error
	if !ok || e.Outcome != Executed || !slices.Contains(doubtful, e.code()) || !m.drop(describedBy(call)) {
		return err
	}
	e = e.of(e.Method)
	e.passing = true
	return e
}

// describedBy is the key of the description that a call was made from, "" when
// there is none.
func describedBy(call Call) string {
	method := strings.ToLower(call.Method)
	switch {
	case strings.HasPrefix(method, "lists.element."):
		return fmt.Sprint("list ", call.Params["IBLOCK_TYPE_ID"], " ", call.Params["IBLOCK_ID"])
	case strings.HasPrefix(method, "crm.item.") && !strings.HasPrefix(method, "crm.item.productrow."):
		return fmt.Sprint("item ", call.Params["entityTypeId"])
	}
	return ""
}

// ForgetFields forgets the descriptions of fields and properties that were read before a time,
// so that they are read again. It reports whether there were any.
func (c *Client) ForgetFields(before time.Time) bool { return c.meta.forget(before) }

// forget drops the descriptions that were read before a time, and reports whether there were
// any.
func (m *metadata) forget(before time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.entries)
	maps.DeleteFunc(m.entries, func(_ string, e *metaEntry) bool {
		select {
		case <-e.ready:
			return e.at.Before(before)
		default:
			return false // it is being asked for
		}
	})
	return len(m.entries) < n
}

// renew stores the description in the answer to a call of DescribeList or DescribeItems.
func (m *metadata) renew(call Call, result json.RawMessage, asked time.Time) error {
	e := &metaEntry{ready: make(chan struct{}), at: asked}
	var err error
	if call.Method == methodListFields {
		e.value, err = decodeListFields(result, asked)
	} else {
		e.value, err = decodeItemFields(result)
	}
	if err != nil {
		return err
	}
	close(e.ready)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[call.describes] = e
	return nil
}

// drop forgets a description, unless it is new. It reports whether it did.
func (m *metadata) drop(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		return false
	}
	select {
	case <-e.ready:
		if time.Since(e.at) < maxDoubt {
			return false
		}
		delete(m.entries, key)
		return true
	default:
		return false // it is being asked for
	}
}
