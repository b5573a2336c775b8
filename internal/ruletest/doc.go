// Package ruletest runs the tests of rule files and reports the results.
//
// A test runs the compiled rules on its own emulated portal, through the real REST
// client, in memory: without sockets, a queue or waiting. If its expectations hold,
// the built-in checks repeat it in variations: a second run writes nothing; a doubled
// event, rows in another order and a crash after any write lead to the same state; an
// update after the deletion changes nothing; fields of other people keep their values.
package ruletest
