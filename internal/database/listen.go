package database

import (
	"context"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// pollEvery is how often a worker looks for changes of other processes without
	// a connection that listens.
	pollEvery = time.Second

	// listenIdle is how long a connection may receive nothing before it is checked.
	listenIdle = 10 * time.Second
)

// Watch listens on its own connection, and looks every second while it has none.
func (db *postgresDB) Watch(ctx context.Context, log *slog.Logger, received func(news string)) error {
	logged := false
	for ctx.Err() == nil {
		err := db.listen(ctx, received)
		if ctx.Err() != nil {
			break
		}
		if !logged {
			log.WarnContext(ctx, "cannot listen for new events, looking for them every second", slog.Any("error", cleanError(err)))
		}
		logged = true
		received("")
		_ = wakeup.Sleep(ctx, pollEvery) // the loop sees the end
	}
	return nil
}

// listen returns when the connection is lost.
func (db *postgresDB) listen(ctx context.Context, received func(news string)) error {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN b24rules"); err != nil {
		return err
	}
	received("") // for changes before LISTEN
	for {
		waiting, cancel := context.WithTimeout(ctx, listenIdle)
		n, err := conn.WaitForNotification(waiting)
		quiet := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			received(n.Payload)
		case quiet && !conn.IsClosed():
			if err := conn.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
}
