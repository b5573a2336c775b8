package queue

import "testing"

// PollOnly opens no connection that listens, because a read that waits for the
// network stops the clock of testing/synctest. The queue looks every second for
// changes by other processes.
func PollOnly(q *Queue) *Queue {
	if db, ok := q.db.backend.(*postgresDB); ok {
		db.pollOnly = true
	}
	return q
}

// FreshPostgres tells the tests of this package how to get a PostgreSQL database.
func FreshPostgres(fresh func(t testing.TB) string) { freshPostgres = fresh }
