// Package jobs keeps and executes work that is no run of a rule.
//
// A sync, a catch-up and the retention are jobs, each of a kind. A job is a row:
//
//	          claimed
//	waiting ───────────> running ──┬─> done
//	   ^                           ├─> failed
//	   └── At, retry, repetition, ─┘
//	       interrupted                 waiting, running ──> cancelled
//
// A job belongs to a portal, and the process that holds the lease of the portal executes
// it. The work that belongs to no portal has the portal "", which has its own lease. So the
// process that holds it is the leader.
//
// Each claim draws a number, and a job can be changed only under the number of its last
// claim. A process that has lost its lease, or was frozen, therefore can neither store
// progress nor end a job that another process has claimed since.
//
// A new kind needs a [Kind] in the [Runner] of internal/app/service, and a [Table.Add],
// [Table.AddOnce] or [Table.Replace] where its jobs start.
package jobs
