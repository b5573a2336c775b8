package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// alert is a stored condition that is not over.
type alert struct {
	key, scope string
	seen, sent time.Time // when it was first seen, and the last message; zero without one
	runs       int       // in the last message
	condition  Condition // as in the last message, or as first seen
}

func readAlerts(ctx context.Context, db store.Reader, scope string) (map[string]alert, error) {
	list, err := store.All(ctx, db, "read alerts", func(row store.Row) (alert, error) {
		var (
			a          = alert{scope: scope}
			seen, sent int64
			condition  string
		)
		if err := row.Scan(&a.key, &seen, &sent, &a.runs, &condition); err != nil {
			return a, err
		}
		if err := json.Unmarshal([]byte(condition), &a.condition); err != nil {
			return a, fmt.Errorf("alert %s: %w", a.key, err)
		}
		a.condition.Key, a.seen, a.sent = a.key, store.Time(seen), store.Time(sent)
		return a, nil
	}, `SELECT alert, seen_at, sent_at, runs, condition FROM b24_alert WHERE scope = $1`, scope)
	if err != nil {
		return nil, err
	}
	all := map[string]alert{}
	for _, a := range list {
		all[a.key] = a
	}
	return all, nil
}

// readOthers reads the conditions that only other processes see.
func readOthers(ctx context.Context, db store.Reader, process string) ([]Condition, error) {
	return store.All(ctx, db, "read alerts", func(row store.Row) (c Condition, err error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return c, err
		}
		return c, json.Unmarshal([]byte(text), &c)
	}, `SELECT condition FROM b24_alert WHERE scope NOT IN ('', $1, $2) ORDER BY scope, alert`, process, scopeDaily)
}

// insertAlert notes a new condition, unless another process has done so.
func insertAlert(ctx context.Context, db store.DB, scope string, c Condition, now time.Time) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `
INSERT INTO b24_alert (scope, alert, seen_at, sent_at, runs, condition) VALUES ($1, $2, $3, 0, 0, $4)
ON CONFLICT (scope, alert) DO NOTHING`, scope, c.Key, now.UnixMicro(), string(text))
		return err
	})
}

// markAlert notes that a message is sent. mine is false if another process has sent it.
func markAlert(ctx context.Context, t store.Tx, a alert, c Condition, now time.Time) (mine bool, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	n, err := t.Exec(ctx, `
UPDATE b24_alert SET sent_at = $4, runs = $5, condition = $6
WHERE scope = $1 AND alert = $2 AND sent_at = $3`, a.scope, a.key, store.Micros(a.sent), now.UnixMicro(), c.Runs, string(text))
	return n > 0, err
}

func deleteAlert(ctx context.Context, t store.Tx, a alert) (mine bool, err error) {
	n, err := t.Exec(ctx, `DELETE FROM b24_alert WHERE scope = $1 AND alert = $2 AND seen_at = $3`, a.scope, a.key, store.Micros(a.seen))
	return n > 0, err
}

// stored is a message that waits.
type stored struct {
	id           int64
	body         string
	created, due time.Time
	attempts     int
}

// readMessages reads the waiting messages of a receiver, oldest first.
func readMessages(ctx context.Context, db store.Reader, receiver string) ([]stored, error) {
	return store.All(ctx, db, "read messages", func(row store.Row) (s stored, err error) {
		var created, due int64
		err = row.Scan(&s.id, &s.body, &created, &due, &s.attempts)
		s.created, s.due = store.Time(created), store.Time(due)
		return s, err
	}, `
SELECT id, body, created_at, due_at, attempts FROM b24_alert_message WHERE receiver = $1 AND sent_at = 0 ORDER BY id`, receiver)
}

func insertMessage(ctx context.Context, t store.Tx, receiver, body string, now time.Time) error {
	_, err := t.Exec(ctx, `
INSERT INTO b24_alert_message (receiver, body, created_at, due_at) VALUES ($1, $2, $3, $3)`, receiver, body, now.UnixMicro())
	return err
}

// claimMessage lets one process send a message.
func claimMessage(ctx context.Context, db store.DB, s stored, now time.Time) (mine bool, err error) {
	err = db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		n, err := t.Exec(ctx, `
UPDATE b24_alert_message SET due_at = $3, attempts = attempts + 1
WHERE id = $1 AND sent_at = 0 AND attempts = $2`, s.id, s.attempts, now.Add(claimFor).UnixMicro())
		mine = n > 0
		return err
	})
	return mine, err
}

func messageSent(ctx context.Context, db store.DB, id int64, now time.Time) error {
	return db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `UPDATE b24_alert_message SET sent_at = $2, error = '' WHERE id = $1`, id, now.UnixMicro())
		return err
	})
}

func messageFailed(ctx context.Context, db store.DB, id int64, text string, due time.Time) error {
	return db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `UPDATE b24_alert_message SET due_at = $2, error = $3 WHERE id = $1`, id, due.UnixMicro(), text)
		return err
	})
}

// dropMessages deletes the waiting messages of a receiver up to one.
func dropMessages(ctx context.Context, t store.Tx, receiver string, last int64) (n int64, err error) {
	return t.Exec(ctx, `DELETE FROM b24_alert_message WHERE receiver = $1 AND sent_at = 0 AND id <= $2`, receiver, last)
}

// sentSince counts the messages that a receiver got since a time.
func sentSince(ctx context.Context, db store.DB, receiver string, since time.Time) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT COUNT(*) FROM b24_alert_message WHERE receiver = $1 AND sent_at > $2`, receiver, since.UnixMicro()).Scan(&n)
	return n, err
}

// deleteOld deletes messages from before a time, and returns how many of them were never
// sent.
func deleteOld(ctx context.Context, db store.DB, before time.Time) (lost int64, err error) {
	var old bool
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM b24_alert_message WHERE created_at < $1)`, before.UnixMicro()).Scan(&old)
	if err != nil || !old {
		return 0, err
	}
	err = db.Write(ctx, func(ctx context.Context, t store.Tx) (err error) {
		lost, err = t.Exec(ctx, `DELETE FROM b24_alert_message WHERE created_at < $1 AND sent_at = 0`, before.UnixMicro())
		if err != nil {
			return err
		}
		_, err = t.Exec(ctx, `DELETE FROM b24_alert_message WHERE created_at < $1`, before.UnixMicro())
		return err
	})
	return lost, err
}

// Waiting is how many messages a receiver has not taken.
type Waiting struct {
	Receiver string
	Messages int
	Since    time.Time // the oldest
	Error    string    // of the last attempt to send it; "" before the first
}

// WaitingMessages returns the receivers with messages that were tried and not taken.
func WaitingMessages(ctx context.Context, db store.Reader) ([]Waiting, error) {
	return store.All(ctx, db, "read messages", func(row store.Row) (w Waiting, err error) {
		var since int64
		err = row.Scan(&w.Receiver, &w.Messages, &since, &w.Error)
		w.Since = store.Time(since)
		return w, err
	}, `
SELECT receiver, COUNT(*), MIN(created_at), MAX(error) FROM b24_alert_message WHERE sent_at = 0
GROUP BY receiver HAVING MAX(attempts) > 0 ORDER BY receiver`)
}
