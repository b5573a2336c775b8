package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// State says where a run stands.
type State string

// The states of a run. The package comment draws the ways between them.
const (
	Waiting   State = "waiting"   // for its due time
	Blocked   State = "blocked"   // due, but another run of its entity is under way
	Queued    State = "queued"    // handed to River, not yet begun
	Running   State = "running"   // under way
	Succeeded State = "succeeded" // ended well
	Parked    State = "parked"    // failed for good: a dead letter
	Discarded State = "discarded" // given up by somebody
)

// Info is what is known of a run.
type Info struct {
	ID                   int64
	Portal, Rule, Entity string
	State                State
	Priority             Priority

	// Added: an event of this run says that the entity is new. Deleted: the
	// entity is gone.
	Added, Deleted bool

	Count       int   // events that became this run
	Attempt     int   // the attempt under way or last made, from 1; 0 before the first
	MaxAttempts int   // with the last of which it is parked
	Event       Event // the latest

	First     time.Time // when the first event was received
	Due       time.Time // when it may start
	NotBefore time.Time // what Postpone said; zero when it said nothing
	Started   time.Time // the last attempt; zero before the first
	Finished  time.Time // zero until it succeeded, was parked or discarded

	Error string // of the last attempt; "" after a success
}

// Run is a run under way. Its methods may be called until the function that
// Work was given has returned.
type Run struct {
	Info

	q      *Queue
	claim  int64 // proves that the run is still ours
	mu     sync.Mutex
	once   map[string]string
	record json.RawMessage
}

// Once returns the value that the step had when a run of this rule for this
// entity last succeeded.
func (r *Run) Once(ctx context.Context, step string) (value string, ok bool, err error) {
	return r.q.Once(ctx, r.Portal, r.Rule, r.Entity, step)
}

// Once returns what a step had when a run of the rule for the entity last
// succeeded.
func (q *Queue) Once(ctx context.Context, portal, rule, entity, step string) (value string, ok bool, err error) {
	err = q.db.read.QueryRowContext(ctx,
		`SELECT value FROM b24_once WHERE portal = $1 AND rule = $2 AND entity = $3 AND step = $4`,
		portal, rule, entity, step).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("once value of step %s: %w", step, err)
	}
	return value, true, nil
}

// SetOnce sets what Once will return to later runs, if this one succeeds.
func (r *Run) SetOnce(step, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.once == nil {
		r.once = map[string]string{}
	}
	r.once[step] = value
}

// Done reports whether MarkDone was called with the key since the run began,
// in this attempt or an earlier one. Events that join a run between two
// attempts do not change that; a key that should not outlive them holds
// something of Event.
func (r *Run) Done(ctx context.Context, key string) (bool, error) {
	var done bool
	err := r.q.db.read.QueryRowContext(ctx,
		`SELECT EXISTS (SELECT 1 FROM b24_done WHERE run_id = $1 AND key = $2)`, r.ID, key).Scan(&done)
	if err != nil {
		return false, fmt.Errorf("done mark %s: %w", key, err)
	}
	return done, nil
}

const insertDone = `
INSERT INTO b24_done (run_id, key, done_at) VALUES ($1, $2, $3)
ON CONFLICT (run_id, key) DO NOTHING`

// MarkDone notes at once and for good that something with an effect has been
// done, so that a later attempt can skip it. The end of ctx does not keep it
// from being noted. Marks are cleared when the run has succeeded or has been
// discarded.
func (r *Run) MarkDone(ctx context.Context, key string) error {
	err := r.q.writes.doFor(context.WithoutCancel(ctx), entityKey(r.Portal, r.Entity), func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, insertDone, r.ID, key, micros(time.Now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("done mark %s: %w", key, err)
	}
	return nil
}

// Record sets what is kept of this attempt: the rule's version, the steps and
// what they did. The last call counts. It must hold no secret.
func (r *Run) Record(v json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record = append(json.RawMessage(nil), v...)
}

type postponed struct {
	until time.Time
	err   error
}

func (p *postponed) Error() string {
	return fmt.Sprintf("postponed until %s: %v", p.until.UTC().Format(time.RFC3339), p.err)
}
func (p *postponed) Unwrap() error { return p.err }

// Postpone makes an error that says: not now, and not before until, as when a
// portal is over its limits. It does not count as an attempt. A time that is
// past or very near means in a second.
func Postpone(until time.Time, err error) error { return &postponed{until, err} }

type retryFrom struct {
	until time.Time
	err   error
}

func (u *retryFrom) Error() string { return u.err.Error() }
func (u *retryFrom) Unwrap() error { return u.err }

// RetryFrom makes an error that says: try again, and not before until, as when
// what was sent may still be at work. It counts as an attempt.
func RetryFrom(until time.Time, err error) error { return &retryFrom{until, err} }

type parked struct{ err error }

func (p *parked) Error() string { return p.err.Error() }
func (p *parked) Unwrap() error { return p.err }

// Park makes an error that says: trying again is no use. The run is parked at
// once.
func Park(err error) error { return &parked{err} }
