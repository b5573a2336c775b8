// Package catchup queues runs without events: for the initial sync of a rule, and for
// changes during downtime.
//
// A Job is kept in the database. Whoever works the portal feeds it with a
// Feeder: it reads the ids of the entities page by page and asks the queue for a
// page of runs of the lowest priority, in one transaction with how far it has
// come. So live events go first, one limiter keeps the portal's limits, and a
// process that is killed goes on at the page where it was.
package catchup
