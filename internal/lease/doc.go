// Package lease decides which process works a portal, where processes share a
// database.
//
// A lease is a row for each portal: its owner, and a token that grows with every owner
// and each return. A process has a row with a heartbeat, which it counts up for all its
// leases. No clock of another machine is read and no lock is held: a process measures by
// its own clock for how long a heartbeat has not changed.
//
// The states of a portal's lease in one process:
//
//	            1 acquire                 3 drain                   5 return
//	not held ─────────────> held ───────────────────> leaving ────────────> not held
//	    ^                    │  └─ 2 renew ──> held      │
//	    │                    └────── 4 lose ──────────> lost ── 5 return ──> not held
//
// The steps. Each database step is one transaction:
//
//  1. acquire: the row has no owner, or neither it nor its owner's heartbeat has changed
//     for longer than a term (Options.Term and a tenth), counted from when this process
//     read it first. The heartbeat is read again and locked: it must be the one that was
//     read. UPDATE ... WHERE the token is the one that was read. The token grows. In the
//     same transaction, the caller makes the runs of the last owner wait again.
//  2. renew, five times a term: the heartbeat of the process grows, and in the same
//     transaction it reads the heartbeats of the others and, if their sums have changed,
//     the rows of all leases. The term of its leases counts from before this was sent.
//  3. drain: no run starts any more; those that are running may end. Reasons: a
//     shutdown, or a process that has more than its share.
//  4. lose: the term is over without a renewal, or the row has another owner or
//     token. The context of the lease ends, and with it the context of each run.
//  5. return, when the last run has ended: the owner is removed if the row still has
//     this owner and token, and the others receive News.
//
// Why two processes never work one portal: the term of the holder starts before its
// renewal was sent, and that of the others after they have read it. So the holder
// stops first, if it is running. A heartbeat and an acquisition wait for each other by the
// lock of step 1: either the acquisition finds the new heartbeat and gives up, or the
// holder finds the new token and loses. If it was frozen, Holds refuses each request, and
// [Fence] each claim. Fence locks the row until the claim is stored, so that step 1
// waits for the claim, or the claim finds another token. The result of a run is stored
// only under the number of its claim, which step 1 changes.
//
// Earlier versions had a heartbeat in the row of each lease. While such a
// process works on the database, the others count these up, too.
package lease
