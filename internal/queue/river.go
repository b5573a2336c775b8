package queue

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
)

// A riverClient is River, whatever the database.
type riverClient interface {
	// insert inserts jobs as a part of a write transaction.
	insert(ctx context.Context, t *tx, jobs []river.InsertManyParams) error

	start(ctx context.Context) error
	stopped() <-chan struct{}

	addQueue(name string, workers int) error
	// removeQueue waits for its jobs.
	removeQueue(ctx context.Context, name string) error
}

// riverOf is River over transactions of type T.
type riverOf[T any] struct {
	client *river.Client[T]
	tx     func(txConn) T
}

func newRiver[T any](driver riverdriver.Driver[T], config *river.Config, b *notifier, tx func(txConn) T) (riverClient, error) {
	client, err := river.NewClient(&riverDriver[T]{driver, b}, config)
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	return &riverOf[T]{client, tx}, nil
}

func (r *riverOf[T]) insert(ctx context.Context, t *tx, jobs []river.InsertManyParams) error {
	_, err := r.client.InsertManyFastTx(ctx, r.tx(t.txConn), jobs)
	return err
}

func (r *riverOf[T]) start(ctx context.Context) error { return r.client.Start(ctx) }

func (r *riverOf[T]) stopped() <-chan struct{} { return r.client.Stopped() }

func (r *riverOf[T]) addQueue(name string, workers int) error {
	return r.client.Queues().Add(name, river.QueueConfig{MaxWorkers: workers})
}

func (r *riverOf[T]) removeQueue(ctx context.Context, name string) error {
	return r.client.Queues().Remove(ctx, name)
}

// riverDriver is a driver of River with another notification of new jobs. Only the
// process that works a portal inserts its jobs, so a notifier in memory is enough:
// it is immediate, writes nothing and costs nothing while idle. River itself uses
// a connection that listens on PostgreSQL, and on SQLite a table that it polls 20
// times a second.
//
// The notifier only saves time: without it River would find the same jobs later.
type riverDriver[T any] struct {
	riverdriver.Driver[T]
	notifier *notifier
}

// SupportsListener makes River ask for GetListener.
func (d *riverDriver[T]) SupportsListener() bool { return true }

// SupportsListenNotify keeps River from sending notifications.
func (d *riverDriver[T]) SupportsListenNotify() bool { return false }

// GetListener gives River the notifier to listen to.
func (d *riverDriver[T]) GetListener(*riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.notifier
}

// quiet is the log for River, without messages below warnings: they are about River
// itself.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
