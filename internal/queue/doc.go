// Package queue keeps events and runs on disk and executes the runs.
//
// [Queue.Push] stores an event and the runs that it asks for, and returns only
// after the commit. [Queue.Work] executes runs until its context ends. A run
// is one execution of one rule for one entity. Its states:
//
//	             due            free            claimed
//	waiting ───────────> ┬ ───────────> queued ─────────> running ─┬─> succeeded
//	 ^  ^  ^             │ entity busy                             ├─> parked ──> discarded
//	 │  │  └─ blocked <──┘                                         │      │
//	 │  └───────────────────── retry, postponed, interrupted ──────┘      │
//	 └───────────────────────────────── replay ───────────────────────────┘
//
// Two unique indexes hold the two central promises. At most one run of a
// (portal, rule, entity) is waiting, blocked or queued: later events join it,
// and an event that arrives while it runs starts a new one. At most one run of
// a (portal, entity) is queued or running, so two events that race never
// create two records.
//
// River executes runs: a queued run has one River job, in the River queue of its
// portal, so that a slow portal does not use up the workers of other portals. A
// job is only a wake-up. It names a run, and the run's row decides: a job whose
// run is not queued ends without effect. So the jobs of a killed process do no
// harm. Due times are stored here and not in River, because a debounce moves
// them with every event, and River looks for scheduled jobs only every five
// seconds.
//
// Any number of processes may open a database. On SQLite one of them works it. On
// PostgreSQL all of them may, each the portals that it has leases for (see lease).
// Two workers of one portal are harmless not because of the leases alone: the row
// of a run decides which process may claim and which may end it.
//
// All writes go through one goroutine that puts all waiting ones into one
// transaction, each write under its own savepoint: while one transaction is being
// synced to disk, the next one fills.
package queue
