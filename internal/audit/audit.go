// Package audit keeps what people and programs did: who replayed, paused, signed in.
//
// Rows are only inserted, and deleted when they are 400 days old. The row of an act on many
// runs counts the changed runs.
package audit

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Action is what somebody did.
type Action string

// The actions.
const (
	Replayed     Action = "replayed"
	Discarded    Action = "discarded"
	Paused       Action = "paused"
	Resumed      Action = "resumed"
	Ran          Action = "ran"
	Planned      Action = "planned"
	Applied      Action = "applied"
	Pruned       Action = "pruned"
	Adopted      Action = "adopted"
	Released     Action = "released"
	Reloaded     Action = "reloaded"
	Acknowledged Action = "acknowledged"
	SignedIn     Action = "signed in"
	SignedOut    Action = "signed out"
	Refused      Action = "sign-in refused"
)

// Actions are all actions, in the order in which people choose from them.
func Actions() []Action {
	return []Action{Replayed, Discarded, Paused, Resumed, Ran, Planned, Applied, Pruned, Adopted, Released, Reloaded, Acknowledged, SignedIn, SignedOut, Refused}
}

// From where somebody did something.
const (
	ViaConsole = "console"
	ViaCLI     = "cli"
	ViaToken   = "token"
)

// Entry is one thing that somebody did.
type Entry struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Via    string    `json:"via"`
	Action Action    `json:"action"`
	Portal string    `json:"portal,omitempty"`
	// Target is what it was done to, such as run 7, cause 8c1e or rule total.
	Target string `json:"target,omitempty"`
	Runs   int    `json:"runs,omitempty"`
	Result string `json:"result,omitempty"`
}

// keepFor is how long entries are kept.
const keepFor = 400 * 24 * time.Hour

// Log is the audit log of a database.
type Log struct{ db store.DB }

// New returns the log in a database.
func New(db store.DB) *Log { return &Log{db} }

const insert = `
INSERT INTO b24_audit (at, who, via, action, portal, target, runs, result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`

// maxText bounds each text of an entry, in bytes: names and texts may come from strangers.
const maxText = 500

// Add stores an entry. A zero At means now. It also deletes entries that are too old.
func (l *Log) Add(ctx context.Context, e Entry) error {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	err := l.db.Write(ctx, func(ctx context.Context, t store.Tx) error { return AddIn(ctx, t, e) })
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// AddIn stores entries in the transaction of what was done.
func AddIn(ctx context.Context, t store.Tx, entries ...Entry) error {
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = time.Now()
		}
		if _, err := add(ctx, t, e); err != nil {
			return err
		}
	}
	return nil
}

// Counting returns what stores an entry in the transactions of one act: n is how many runs it has
// changed so far.
func Counting(e Entry) func(ctx context.Context, t store.Tx, n int) error {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	var id int64
	return func(ctx context.Context, t store.Tx, n int) (err error) {
		if id != 0 && n > 1 {
			_, err = t.Exec(ctx, `UPDATE b24_audit SET runs = $2 WHERE id = $1`, id, n)
			return err
		}
		e.Runs = n
		id, err = add(ctx, t, e)
		return err
	}
}

// An Act is what somebody does in many transactions. Its entry is stored before anything is done,
// and says what was done so far.
type Act struct {
	db     store.DB
	id     int64
	result func(n int) string
	mu     sync.Mutex
	n      int
}

// Begin stores the entry of an act. result is its Result when the act has done n.
func (l *Log) Begin(ctx context.Context, e Entry, result func(n int) string) (*Act, error) {
	a := &Act{db: l.db, result: result}
	e.At, e.Result = cmp.Or(e.At, time.Now()), result(0)
	err := l.db.Write(ctx, func(ctx context.Context, t store.Tx) (err error) {
		a.id, err = add(ctx, t, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return a, nil
}

// Do stores with do, in one transaction, what the act has done besides: n.
func (a *Act) Do(ctx context.Context, n int, do func(ctx context.Context, t store.Tx) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		if err := do(ctx, t); err != nil {
			return err
		}
		_, err := t.Exec(ctx, `UPDATE b24_audit SET result = $2 WHERE id = $1`, a.id, short(a.result(a.n+n)))
		return err
	})
	if err == nil {
		a.n += n
	}
	return err
}

func add(ctx context.Context, t store.Tx, e Entry) (id int64, err error) {
	err = t.QueryRow(ctx, insert, store.Micros(e.At), short(e.Who), short(e.Via), string(e.Action), short(e.Portal), short(e.Target), e.Runs, short(e.Result)).Scan(&id)
	if err != nil {
		return 0, err
	}
	_, err = t.Exec(ctx, `DELETE FROM b24_audit WHERE at < $1`, store.Micros(e.At.Add(-keepFor)))
	return id, err
}

func short(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// Filter selects entries. Zero fields select all.
type Filter struct {
	Who, Portal string
	Action      Action
	Portals     []string // only these and those of no portal; nil means all
	Before      int64    // only entries with a smaller ID: the next page
	Limit       int      // 0 means 100
}

// List returns the entries that f selects, newest first.
func (l *Log) List(ctx context.Context, f Filter) ([]Entry, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	if f.Who != "" {
		add("who = ?", f.Who)
	}
	if f.Portal != "" {
		add("portal = ?", f.Portal)
	}
	if f.Action != "" {
		add("action = ?", string(f.Action))
	}
	if f.Before != 0 {
		add("id < ?", f.Before)
	}
	if f.Portals != nil {
		values := []any{""}
		for _, p := range f.Portals {
			values = append(values, p)
		}
		add("portal IN (?"+strings.Repeat(", ?", len(f.Portals))+")", values...)
	}
	text := `SELECT id, at, who, via, action, portal, target, runs, result FROM b24_audit`
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, cmp.Or(f.Limit, 100))
	return store.All(ctx, l.db, "read the audit log", func(row store.Row) (e Entry, err error) {
		var at int64
		err = row.Scan(&e.ID, &at, &e.Who, &e.Via, &e.Action, &e.Portal, &e.Target, &e.Runs, &e.Result)
		e.At = store.Time(at)
		return e, err
	}, text+fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args)), args...)
}
