package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// newRun returns a run of a claim with this number.
func (q *base) newRun(i journal.Run, claim int64) *Run {
	return &Run{Run: i, q: q, claim: claim, memory: q.Memory(i.Portal, i.Rule, i.Entity)}
}

// Run is a running run. Its methods may be called until the function passed to Work
// has returned.
type Run struct {
	journal.Run

	// Repeated says that the run may have been started before, and killed or interrupted after its
	// writes. Such a start does not count as an attempt.
	Repeated bool

	q      *base
	claim  int64 // the number of our claim: while the row has it, the run is ours
	memory *Memory
	mu     sync.Mutex
	record json.RawMessage
	next   following
	atEnd  []func(ctx context.Context, t store.Tx) error
	cause  string

	outcome string // of a success
	writes  int
	logged  []slog.Attr
}

// Get, Set and Forget are those of the memory of the run's rule for its entity.
func (r *Run) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	return r.memory.Get(ctx, key)
}

// MemoryOf returns the memory of another rule or entity of the portal.
func (r *Run) MemoryOf(rule, entity string) *Memory {
	return r.q.Memory(r.Portal, rule, entity)
}

// Set changes a value of the memory, if the run succeeds.
func (r *Run) Set(key, value string) { r.memory.Set(key, value) }

// Forget empties the memory, if the run succeeds.
func (r *Run) Forget() { r.memory.Forget() }

// Done reports whether MarkDone was called with the key in this attempt or an
// earlier one of the run. Events that join the run between two attempts do not
// change that; a key that must not outlive them contains a part of Event.
func (r *Run) Done(ctx context.Context, key string) (bool, error) {
	var done bool
	err := r.q.db.Read.QueryRow(ctx,
		`SELECT EXISTS (SELECT 1 FROM b24_done WHERE run_id = $1 AND key = $2)`, r.ID, key).Scan(&done)
	if err != nil {
		return false, fmt.Errorf("done mark %s: %w", key, err)
	}
	return done, nil
}

const insertDone = `
INSERT INTO b24_done (run_id, key, done_at) VALUES ($1, $2, $3)
ON CONFLICT (run_id, key) DO NOTHING`

// MarkDone stores at once and permanently that something with an effect has been
// done, so that a later attempt can skip it. It does so even if ctx has ended. Marks
// are deleted when the run has succeeded or has been discarded.
func (r *Run) MarkDone(ctx context.Context, key string) error {
	err := r.q.writes.doFor(context.WithoutCancel(ctx), entityKey(r.Portal, r.Entity), func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, insertDone, r.ID, key, store.Micros(clock()))
		return err
	})
	if err != nil {
		return fmt.Errorf("done mark %s: %w", key, err)
	}
	return nil
}

// SetCause sets the stored cause of this attempt's failure.
func (r *Run) SetCause(cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = cause
}

// Record sets the stored record of this attempt: the rule's version, the steps and
// what they did. The last call counts. The record must not contain a secret.
func (r *Run) Record(v json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record = append(json.RawMessage(nil), v...)
}

// Describe says what this attempt did if it succeeds, for Filter.Did, and adds to the line that the
// log has of it.
func (r *Run) Describe(outcome string, writes int, attrs ...slog.Attr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcome, r.writes, r.logged = outcome, writes, attrs
}

// AtEnd adds a write to the transaction that stores the result of this attempt, whatever
// the result is. So it is written exactly once if the attempt counts, and never if the
// run was taken from this process. Its error undoes the whole result, which is then
// stored again.
func (r *Run) AtEnd(write func(ctx context.Context, t store.Tx) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.atEnd = append(r.atEnd, write)
}

type postponed struct {
	until   time.Time
	byEvent bool // an event that joins the run starts it earlier
	err     error
}

func (p *postponed) Error() string {
	return fmt.Sprintf("postponed until %s: %v", p.until.UTC().Format(time.RFC3339), p.err)
}
func (p *postponed) Unwrap() error { return p.err }

// Postpone returns an error that postpones the run until a time, such as when a
// portal is over its limits. It does not count as an attempt. A time in the past or
// the next second means in a second.
func Postpone(until time.Time, err error) error { return &postponed{until: until, err: err} }

// AwaitEvent is Postpone for a run that waits for an event: one that joins it starts it at
// its own time.
func AwaitEvent(until time.Time, err error) error {
	return &postponed{until: until, byEvent: true, err: err}
}

type retryFrom struct {
	until time.Time
	err   error
}

func (u *retryFrom) Error() string { return u.err.Error() }
func (u *retryFrom) Unwrap() error { return u.err }

// RetryFrom returns an error after which the run is tried again, but not before
// until, such as when the portal may still be processing a request. It counts as an
// attempt.
func RetryFrom(until time.Time, err error) error { return &retryFrom{until, err} }

type parked struct{ err error }

func (p *parked) Error() string { return p.err.Error() }
func (p *parked) Unwrap() error { return p.err }

type givenUp struct{ err error }

func (g *givenUp) Error() string { return g.err.Error() }
func (g *givenUp) Unwrap() error { return g.err }

// GiveUp returns an error that discards the run, because there is nothing left to do.
func GiveUp(err error) error { return &givenUp{err} }

// Park returns an error that parks the run at once, because another attempt would
// fail too.
func Park(err error) error { return &parked{err} }
