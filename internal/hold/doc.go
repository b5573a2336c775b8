// Package hold decides when no run of a portal or a rule may start.
//
// A portal's fault is a state of the portal, not a failure of the runs that meet
// it: without network, or with a revoked webhook, every run would end as a dead
// letter. A run that fails with an answer that may speak of the whole portal asks
// Portal.Judge. One probe decides. If the portal is at fault, a hold starts: runs
// wait, their attempts do not count, and events are still stored. Keep probes until
// the portal answers again, and ends the hold.
//
// If the probe succeeds, the failure is the run's own.
package hold
