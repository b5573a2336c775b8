// Package catchup runs rules for entities without an event.
//
// It does so for the first fill of a rule, and for changes during a downtime. A Job
// is stored in the database. The process that works the portal feeds it with a
// Feeder: it reads the ids of the entities page by page and adds a page of runs of
// the lowest priority to the queue, in one transaction with the progress of the job.
// So live events go first, one limiter keeps the portal's limits, and after a kill
// the next process resumes at the last page.
package catchup
