package queue

import (
	"context"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

const (
	insertAct = `INSERT INTO b24_run_act (run_id, action, who, joined, done_at) VALUES ($1, $2, $3, $4, $5)`

	// A run that others have joined can itself join another one.
	moveActs = `UPDATE b24_run_act SET run_id = $1 WHERE run_id = $2`
)

// noteAct stores an action.
func noteAct(ctx context.Context, t *tx, run int64, action journal.Action, who string, joined int64) error {
	_, err := t.Exec(ctx, insertAct, run, string(action), who, joined, store.Micros(clock()))
	return err
}
