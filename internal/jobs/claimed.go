package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// ErrLost is returned for a job that this process may not change any more: another
// process has claimed it, or it was cancelled. The worker returns at once.
var ErrLost = errors.New("the job was cancelled, or another process works it")

// Claimed is a job that is executed, with its columns at the start of the attempt. Due
// is the time at which it was due.
type Claimed struct {
	Job

	table      *Table
	cancel     context.CancelCauseFunc
	progressed atomic.Bool
}

const setPlace = `
UPDATE b24_job SET place = $3, attempts = 1, error = ''
WHERE id = $1 AND claim = $2 AND state = 'running'`

// Progress stores the place of the job, any value that marshals to JSON. The next
// attempt starts there. It returns ErrLost if the job is no longer ours.
func (j *Claimed) Progress(ctx context.Context, place any) error {
	err := j.table.db.Write(ctx, func(ctx context.Context, t store.Tx) error { return j.ProgressIn(ctx, t, place) })
	if err != nil {
		return fmt.Errorf("progress of job %s: %w", j.name(), err)
	}
	return nil
}

// ProgressIn is Progress as a part of another transaction, so that what the job has done
// and its place are stored together. When it fails, the whole transaction must.
func (j *Claimed) ProgressIn(ctx context.Context, t store.Tx, place any) error {
	data, err := json.Marshal(place)
	if err != nil {
		return err
	}
	n, err := t.Exec(ctx, setPlace, j.ID, j.claim, string(data))
	if err == nil && n == 0 {
		err = ErrLost
	}
	if err == nil {
		j.progressed.Store(true)
	}
	return err
}

// failures returns the attempts without progress and the stored error.
func (j *Claimed) failures() (attempts int, text string) {
	if j.progressed.Load() {
		return 1, ""
	}
	return j.Attempts, j.Error
}

type dueAt struct{ time time.Time }

func (d *dueAt) Error() string { return "due at " + d.time.UTC().Format(time.RFC3339) }

// At returns an error that ends an attempt without a failure: the job is due again at a
// time. A kind with its own calendar returns it instead of Job.Every.
func At(t time.Time) error { return &dueAt{t} }

type failed struct{ error }

func (f *failed) Unwrap() error { return f.error }

// Fail returns an error that gives a job up, because another attempt would fail too.
func Fail(err error) error { return &failed{err} }
