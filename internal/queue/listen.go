package queue

import (
	"context"
	"log/slog"
	"time"
)

const (
	// pollEvery is how often a worker looks for what others have stored while
	// nobody tells it, and lookEvery (see dispatcher) while somebody does.
	pollEvery = time.Second

	// listenIdle is how long a connection may say nothing before it is asked
	// whether it is still there.
	listenIdle = 10 * time.Second
)

// watch listens on a connection of its own, and looks every second while there
// is none.
func (db *postgresDB) watch(ctx context.Context, log *slog.Logger, heard func(news string)) {
	logged := false
	for ctx.Err() == nil {
		if !db.pollOnly {
			err := db.listen(ctx, heard)
			if ctx.Err() != nil {
				return
			}
			if !logged {
				log.WarnContext(ctx, "no connection that tells of new events, looking for them every second", slog.Any("error", cleanError(err)))
			}
			logged = true
		}
		heard("")
		if pause(ctx, pollEvery) != nil {
			return
		}
	}
}

// listen returns when the connection is lost.
func (db *postgresDB) listen(ctx context.Context, heard func(news string)) error {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN b24rules"); err != nil {
		return err
	}
	heard("") // what came before
	for {
		waiting, cancel := context.WithTimeout(ctx, listenIdle)
		n, err := conn.WaitForNotification(waiting)
		quiet := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case quiet && !conn.IsClosed():
			if err := conn.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
}
