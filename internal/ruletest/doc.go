// Package ruletest runs the tests that integrators write beside their rule
// files: *_test.yaml with what a portal holds, an event, and what must follow.
//
// A test runs the compiled rule against an emulated portal of its own, through
// the real REST client, in memory: without sockets, a queue, or waiting. Beside
// what its file expects, each test proves what every rule promises: that a
// second run writes nothing, that a doubled event, rows in another order and a
// crash after any write end in the same state, that an update after the
// deletion changes nothing, and that nothing of other people's is lost.
package ruletest
