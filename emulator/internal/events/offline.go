package events

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// offlineQueue keeps offline events until the application fetches them. It
// holds what has changed, not how often: an event that is there already only
// gets a new time, unless somebody works on it.
// https://apidocs.bitrix24.com/api-reference/events/offline-events.html
type offlineQueue struct {
	events []*offlineEvent // in the order of their ids
	free   map[offlineKey]*offlineEvent
	ids    int64
	marks  int // process ids given out
}

// offlineKey tells one event from another.
type offlineKey struct{ message, connector string }

type offlineEvent struct {
	offlineKey
	id      int64
	at      time.Time
	name    string
	data    *php.Array
	user    int64
	process string // who has reserved it
	failed  bool
}

// reservationLife is how long a reserved event is kept.
const reservationLife = 30 * 24 * time.Hour

// put adds an event or renews the one that waits.
func (q *offlineQueue) put(e rest.Event, connector string, now time.Time) {
	text, _ := php.EncodeJSON(e.Data) // made of text and numbers
	sum := md5.Sum([]byte(e.Code + "|" + string(text)))
	key := offlineKey{hex.EncodeToString(sum[:]), connector}
	found := q.free[key]
	if found == nil {
		q.ids++
		found = &offlineEvent{offlineKey: key, id: q.ids, name: e.Code, data: e.Data}
		q.events = append(q.events, found)
		if q.free == nil {
			q.free = map[offlineKey]*offlineEvent{}
		}
		q.free[key] = found
	}
	found.at, found.user = now.Truncate(time.Second), e.User
}

// remove drops events.
func (q *offlineQueue) remove(gone func(*offlineEvent) bool) {
	q.events = slices.DeleteFunc(q.events, func(e *offlineEvent) bool {
		if !gone(e) {
			return false
		}
		if q.free[e.offlineKey] == e {
			delete(q.free, e.offlineKey)
		}
		return true
	})
}

// record puts an event into the queue for one handler, unless the application
// itself caused it: by a call with the same source key.
func (h *Hub) record(e rest.Event, sub *subscription, now time.Time) bool {
	if e.App && e.Connector == sub.connector {
		return false
	}
	h.offline.put(e, sub.connector, now)
	return true
}

// notify sends ONOFFLINEEVENT after new offline events, no more often than its
// handlers want.
// https://apidocs.bitrix24.com/api-reference/events/on-offline-event.html
func (h *Hub) notify(by *rest.Origin, now time.Time) {
	for _, sub := range h.subscriptions {
		if sub.event != "ONOFFLINEEVENT" || !sub.app {
			continue
		}
		if sub.minTimeout > 0 && !sub.notified.IsZero() && now.Sub(sub.notified) < sub.minTimeout {
			continue
		}
		sub.notified = now
		e := rest.Event{Code: sub.event, Data: php.NewArray(), Auth: rest.AuthLong, Origin: by}
		h.enqueue(delivery{Event: e, to: sub, due: now.Add(h.cfg.Delay)})
	}
}

// offlineFetch is event.offline.get: it takes events out of the queue, or
// reserves them for a process that confirms them later.
// https://apidocs.bitrix24.com/api-reference/events/event-offline-get.html
func (h eventMethods) offlineFetch(c *rest.Call) (any, error) {
	if err := c.NeedAdmin(""); err != nil {
		return nil, err
	}
	clearing := c.Param("CLEAR") == nil || value.Int(c.Param("CLEAR")) != 0
	if !clearing && !c.Options.Feature(rest.FeatureOfflineExtended) {
		return nil, rest.NoLicense("extended offline events handling")
	}
	limit := int64(rest.PageSize)
	if v := c.Param("LIMIT"); v != nil {
		if limit = value.Int(v); limit <= 0 {
			return nil, &rest.Error{Status: 400, Code: "ERROR_ARGUMENT", Text: "Value must be positive integer", Argument: "LIMIT"}
		}
	}
	q := &h.offline
	q.expire(c.Now)
	process, again := strings.TrimSpace(value.Text(c.Param("PROCESS_ID"))), c.Param("PROCESS_ID") != nil
	failed := value.Int(c.Param("ERROR")) == 1
	events, err := h.offlineRows(c, offlineFields[:4], "TIMESTAMP_X", func(e *offlineEvent) bool {
		return e.process == process && e.failed == failed && e.connector == c.Request.Connector
	})
	if err != nil {
		return nil, err
	}
	events = events[:min(int(limit), len(events))]
	if !again {
		q.marks++
		process = value.DeriveHex(h.cfg.Secret, fmt.Sprint("process ", q.marks), 32)
		for _, e := range events {
			delete(q.free, e.offlineKey)
			e.process = process
		}
	}
	rows := php.NewArray()
	for _, e := range events {
		rows.Append(offlineJSON(c, e, false))
	}
	if clearing {
		q.remove(func(e *offlineEvent) bool { return e.process == process && e.connector == c.Request.Connector })
	}
	var shown any
	if again || !clearing {
		shown = process
	}
	return value.Object("process_id", shown, "events", rows), nil
}

// expire drops what was reserved and never confirmed.
func (q *offlineQueue) expire(now time.Time) {
	q.remove(func(e *offlineEvent) bool { return e.process != "" && now.Sub(e.at) > reservationLife })
}

// offlineList is event.offline.list: it reads the queue and changes nothing.
// https://apidocs.bitrix24.com/api-reference/events/event-offline-list.html
func (h eventMethods) offlineList(c *rest.Call) (any, error) {
	if err := c.NeedAdmin(""); err != nil {
		return nil, err
	}
	h.offline.expire(c.Now)
	events, err := h.offlineRows(c, offlineFields[:], "ID", func(e *offlineEvent) bool { return e.connector == c.Request.Connector })
	if err != nil {
		return nil, err
	}
	rows := php.NewArray()
	// Unlike other lists this one does not round start down to a page.
	from := min(max(c.Start, 0), len(events))
	to := min(from+rest.PageSize, len(events))
	for _, e := range events[from:to] {
		rows.Append(offlineJSON(c, e, true))
	}
	c.Total, c.HasTotal = len(events), true
	if to < len(events) {
		c.Next = to
	}
	return rows, nil
}

// offlineClear is event.offline.clear: it confirms what a process has reserved.
// https://apidocs.bitrix24.com/api-reference/events/event-offline-clear.html
func (h eventMethods) offlineClear(c *rest.Call) (any, error) {
	process, err := offlineProcess(c)
	if err != nil {
		return nil, err
	}
	chosen, err := offlineIDs(c, "ID", func(e *offlineEvent) string { return value.Text(value.FromInt(e.id)) })
	if chosen == nil && err == nil {
		chosen, err = offlineIDs(c, "MESSAGE_ID", func(e *offlineEvent) string { return e.message })
	}
	if err != nil {
		return nil, err
	}
	h.offline.remove(func(e *offlineEvent) bool {
		return e.process == process && e.connector == c.Request.Connector && (chosen == nil || chosen(e))
	})
	return true, nil
}

// offlineError is event.offline.error: events that could not be processed come
// back only to a call that asks for failed ones.
// https://apidocs.bitrix24.com/api-reference/events/event-offline-error.html
func (h eventMethods) offlineError(c *rest.Call) (any, error) {
	process, err := offlineProcess(c)
	if err != nil {
		return nil, err
	}
	chosen, err := offlineIDs(c, "MESSAGE_ID", func(e *offlineEvent) string { return e.message })
	if err != nil {
		return nil, err
	}
	if chosen == nil {
		return nil, rest.WrongArgument("message_id", "Value must be array of MESSAGE_ID values")
	}
	q := &h.offline
	mine := func(e *offlineEvent) bool { return e.connector == c.Request.Connector && chosen(e) && !e.failed }
	// The failed one replaces all others of the same message.
	if !slices.ContainsFunc(q.events, func(e *offlineEvent) bool { return mine(e) && e.process == process }) {
		return true, nil
	}
	q.remove(func(e *offlineEvent) bool { return mine(e) && e.process != process })
	for _, e := range q.events {
		if mine(e) {
			e.failed, e.process = true, ""
			if q.free[e.offlineKey] == nil {
				q.free[e.offlineKey] = e
			}
		}
	}
	return true, nil
}

func offlineProcess(c *rest.Call) (string, error) {
	if err := c.NeedAdmin(""); err != nil {
		return "", err
	}
	if c.Param("PROCESS_ID") == nil {
		return "", rest.MissingArgument("PROCESS_ID")
	}
	return strings.TrimSpace(value.Text(c.Param("PROCESS_ID"))), nil
}

// offlineIDs reads a list of ids; nil without one.
func offlineIDs(c *rest.Call, name string, id func(*offlineEvent) string) (func(*offlineEvent) bool, error) {
	v := c.Param(name)
	if v == nil {
		return nil, nil
	}
	a, ok := value.Array(v)
	if !ok {
		return nil, rest.WrongArgument(strings.ToLower(name), "Value must be array of "+name+" values")
	}
	chosen := map[string]bool{}
	for _, x := range a.All() {
		chosen[strings.TrimSpace(value.Text(x))] = true
	}
	return func(e *offlineEvent) bool { return chosen[id(e)] }, nil
}

// offlineFields are what can be filtered and ordered by; event.offline.get
// knows the first four.
var offlineFields = [...]query.Column[*offlineEvent]{
	{Name: "ID", Kind: query.Int, Get: func(e *offlineEvent) any { return e.id }},
	{Name: "TIMESTAMP_X", Kind: query.Time, Get: func(e *offlineEvent) any { return e.at }},
	{Name: "EVENT_NAME", Get: func(e *offlineEvent) any { return e.name }},
	{Name: "MESSAGE_ID", Get: func(e *offlineEvent) any { return e.message }},
	{Name: "PROCESS_ID", Get: func(e *offlineEvent) any { return e.process }},
	{Name: "ERROR", Kind: query.Int, Get: func(e *offlineEvent) any { return e.flag() }},
}

func (e *offlineEvent) flag() int64 {
	if e.failed {
		return 1
	}
	return 0
}

// offlinePrefixes are the operations that the server's source allows.
var offlinePrefixes = [...]string{"", "=", ">", "<", ">=", "<=", "@", "%"}

// offlineRows filters and orders the events of the queue.
func (h eventMethods) offlineRows(c *rest.Call, fields []query.Column[*offlineEvent], byDefault string, mine query.Predicate[*offlineEvent]) ([]*offlineEvent, error) {
	find := query.InAnyCase(query.Among(fields))
	filter, ok := c.OptionalArray("FILTER")
	if !ok {
		return nil, rest.WrongFilter("The filter is not an array")
	}
	order, ok := c.OptionalArray("ORDER")
	if !ok {
		return nil, rest.WrongArgument("order", "The order is not an array")
	}
	rules := &query.Rules[*offlineEvent]{
		Find:    find,
		Unknown: func(name string) error { return rest.WrongFilter("Filter field not allowed: " + name) },
		Prefix: func(prefix, _ string) error {
			if slices.Contains(offlinePrefixes[:], prefix) {
				return nil
			}
			return rest.WrongFilter("Filter operation not allowed: " + prefix)
		},
		Invalid: func(name string) error { return rest.WrongFilter("Filter value not allowed: " + name) },
		Zone:    c.Store.Zone,
	}
	pass, err := rules.Compile(filter)
	if err != nil {
		return nil, err
	}
	keys, err := offlineOrder(order, find)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		if col, ok := find(byDefault); ok {
			keys = []query.SortKey[*offlineEvent]{{Column: col}}
		}
	}
	rows := query.Keep(h.offline.events, func(e *offlineEvent) bool { return mine(e) && pass(e) })
	query.Sort(rows, keys)
	return rows, nil
}

func offlineOrder(order *php.Array, find func(string) (query.Column[*offlineEvent], bool)) (keys []query.SortKey[*offlineEvent], err error) {
	for name, v := range order.All() {
		col, ok := find(name)
		if !ok {
			return nil, rest.WrongArgument("", "Order field not allowed: "+strings.ToUpper(name))
		}
		direction := strings.ToUpper(value.Text(v))
		if direction != "ASC" && direction != "DESC" {
			return nil, rest.WrongArgument("", "Order direction should be one of {ASC|DESC}")
		}
		keys = append(keys, query.SortKey[*offlineEvent]{Column: col, Desc: direction == "DESC"})
	}
	return keys, nil
}

// offlineJSON is an event as the methods show it.
func offlineJSON(c *rest.Call, e *offlineEvent, whole bool) *php.Array {
	var user any = value.Text(value.FromInt(e.user))
	if e.user == 0 { // no user: a robot or an agent
		user = 0
	}
	row := value.Object(
		"ID", value.Text(value.FromInt(e.id)), "TIMESTAMP_X", e.at.In(c.Store.Zone.Location).Format(time.RFC3339), "EVENT_NAME", e.name,
		"EVENT_DATA", e.data, "EVENT_ADDITIONAL", value.Object("user_id", user), "MESSAGE_ID", e.message,
	)
	if whole {
		row.Set("PROCESS_ID", e.process)
		row.Set("ERROR", value.Text(value.FromInt(e.flag())))
	}
	return row
}
