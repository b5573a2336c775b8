// Package queue keeps events and runs on disk and works the runs off.
//
// [Queue.Push] stores an event and the runs that it asks for, and returns only
// after the commit. [Queue.Work] executes runs until its context ends. A run
// is one execution of one rule for one entity; it takes these states:
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
// and an event that arrives while it runs begins a new one. At most one run of
// a (portal, entity) is queued or running, so two events that race never
// create two things.
//
// River executes: a queued run has one River job, in the River queue of its
// portal, so that a slow portal uses up nobody else's workers. A job is no
// more than a summons. It names a run, the run's row decides, and a job whose
// run is not queued ends without effect; jobs left over by a killed process do
// no harm. Due times are kept here and not in River, because a debounce moves
// them with every event and River looks for scheduled jobs only every five
// seconds.
//
// Any number of processes may open a database. On SQLite one of them works it. On
// PostgreSQL all of them may, each the portals that it has leases for (see lease);
// what makes two workers of one portal harmless does not rest on the leases
// alone: a run's row decides who may claim and who may end it.
//
// All writes travel through one goroutine that puts whatever waits into one
// transaction, each write under a savepoint of its own: while one transaction
// is being synced to disk, the next one fills.
package queue
