package journal

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/store"
)

// Conditions on a run r.
const (
	// WhereFree: no other run of its entity is running. Another version of the program
	// may have queued one.
	WhereFree = `NOT EXISTS (
    SELECT 1 FROM b24_run b
    WHERE b.portal = r.portal AND b.entity = r.entity AND b.state IN ('queued', 'running'))`

	// waitsForAnother: another run of its entity is running.
	waitsForAnother = `(r.state = 'waiting' AND NOT ` + WhereFree + `)`

	// WhereAsleep: it waits for a time, later than $1, that its rule has planned. The run
	// of an event that a process with a fast clock has stored is none.
	WhereAsleep = `(r.state = 'waiting' AND r.priority = 1 AND r.opened_at > $1 AND r.due_at > $1)`

	// WhereNotPaused: no person holds it back. Mostly nothing is paused: SQLite looks once.
	WhereNotPaused = `(NOT EXISTS (SELECT 1 FROM b24_pause) OR NOT EXISTS (
    SELECT 1 FROM b24_pause p
    WHERE p.portal IN (r.portal, '') AND p.rule IN (r.rule, '')))`

	// notHeld: no fault holds it back. Mostly nothing is held: SQLite looks once.
	notHeld = `(NOT EXISTS (SELECT 1 FROM b24_hold) OR NOT EXISTS (
    SELECT 1 FROM b24_hold h
    WHERE h.portal = r.portal AND h.rule IN (r.rule, '') AND h.pass <> r.id))`

	// WhereStartable: no person and no fault holds it back.
	WhereStartable = WhereNotPaused + ` AND ` + notHeld

	// unfinished, in the words of the index of open runs.
	unfinished = `r.state IN ('waiting', 'blocked', 'queued', 'running', 'parked')`

	// notRecorded: an older version of the program has finished it, and has not stored
	// what it did.
	notRecorded = `(r.state = 'succeeded' AND r.outcome = '')`
)

// A where is the end of a statement: conditions and their arguments.
type where struct {
	conditions []string
	args       []any
}

// place adds an argument, and returns its place in the statement.
func (w *where) place(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// add adds a condition if a filter asks for it. The condition has %s or %[1]s for the
// place of the value.
func (w *where) add(asked bool, condition string, value any) {
	if asked {
		w.conditions = append(w.conditions, fmt.Sprintf(condition, w.place(value)))
	}
}

// oneOf adds a condition that a column has one of the values; nil is no condition.
func (w *where) oneOf(column string, values []string) {
	if values == nil {
		return
	}
	if len(values) == 0 {
		w.conditions = append(w.conditions, "1 = 0")
		return
	}
	places := store.Placeholders(len(w.args)+1, len(values))
	for _, v := range values {
		w.args = append(w.args, v)
	}
	w.conditions = append(w.conditions, column+" IN ("+places+")")
}

func (w *where) text() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// page ends a statement with up to limit rows, those with the highest ids first.
func (w *where) page(id string, limit int) string {
	return w.text() + " ORDER BY " + id + " DESC LIMIT " + w.place(limit)
}

// window is page for rows whose ids are at least low.
func (w *where) window(id string, low int64, limit int) string {
	w.add(true, id+" >= %s", low)
	return w.page(id, limit)
}

// likeText is the pattern for LIKE that finds a text, whatever its capital letters are.
func likeText(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(text)) + "%"
}
