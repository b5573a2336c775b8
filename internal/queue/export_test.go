package queue

// Deaf opens no connection that listens: a read that waits for the network keeps
// the clock of testing/synctest from moving. What others store is found by
// looking for it every second.
func PollOnly(q *Queue) *Queue {
	if db, ok := q.db.backend.(*postgresDB); ok {
		db.pollOnly = true
	}
	return q
}
