// Package queue keeps events and runs on disk and executes the runs.
//
// [Input.Push] stores an event and the runs that it asks for, and returns only
// after the commit. [Queue.Work] executes runs until its context ends. A run
// is one execution of one rule for one entity. Its states:
//
//	          claimed
//	waiting ───────────> running ─┬─> succeeded
//	 ^   ^                        ├─> parked ──> discarded
//	 │   └── retry, postponed, ───┘      │            │
//	 │           interrupted             │            │
//	 └───────────── replay ──────────────┴────────────┘
//
// A waiting run is claimed when it is due, its rule and portal are not paused, no
// other run of its entity is running, and the portal has room. The previous version
// of the program also had the states blocked and queued.
//
// Two unique indexes hold the two central promises. At most one run of a
// (portal, rule, entity) is waiting: later events join it, and an event that arrives
// while it runs starts a new one. At most one run of a (portal, entity) is running,
// so two events that race never create two records.
//
// Runs are claimed from their own rows (see pool.claim). Each transaction that has
// changed runs claims the next ones as its last step, so an event and the claim of its
// run share one commit, and so do the end of a run and the next claim. Each claim has
// a number. The result of a run is stored only while its row has that number.
//
// Any number of processes may open a database. On SQLite one of them works it. On
// PostgreSQL all of them may, each the portals that it has leases for (see
// internal/lease). Two workers of one portal are harmless not because of the leases
// alone: the row of a run decides which process may claim and which may end it.
//
// All writes go through one goroutine that puts all waiting ones into one
// transaction, each write under its own savepoint: while one transaction is being
// synced to disk, the next one fills. An event, whose portal waits for the answer, does
// not wait for many other writes: they are put off for at most 100 milliseconds.
package queue
