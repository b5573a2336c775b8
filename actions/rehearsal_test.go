package actions_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
)

// rehearse runs the rule without its writes, before every real run of every
// script: whatever an action does, the portal must be the same afterwards. What
// it would have changed is what the parts named "changes" hold.
func (s *script) rehearse(run run.Run) {
	s.t.Helper()
	before := len(s.portal.History())
	dry := &dryrun.Run{}
	run.DryRun, run.Log = dry, nil
	_, err := run.Do(context.Background(), s.rules.Rules[0])
	s.rehearsed = dry.Writes()
	changes, readErr := dry.Changes(context.Background())
	if readErr != nil {
		s.t.Errorf("what the rehearsal would change: %v", readErr)
	}
	if after := len(s.portal.History()); after != before {
		s.t.Errorf("a rehearsal changed the portal: %v", s.portal.History()[before:])
	}
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s\n", c.Kind, strings.TrimSpace(c.Method+" "+c.Record+" "+c.Title))
		for _, f := range c.Fields {
			fmt.Fprintf(&b, "\t%s: %s -> %s\n", f.Name, compact(f.Before), compact(f.After))
		}
	}
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	s.changes = b.String()
}

// sameWrites checks that a run sent what its rehearsal said, as far as the
// portal took it: refusals make an action do more than it had in mind.
func (s *script) sameWrites(trace *history.Trace, calls string) {
	s.t.Helper()
	var sent []string
	for line := range strings.Lines(calls) {
		if _, write, ok := strings.Cut(line, "write "); ok {
			sent = append(sent, strings.TrimSpace(write))
		}
	}
	if len(sent) != trace.Writes || len(sent) != len(s.rehearsed) {
		return
	}
	for i, w := range s.rehearsed {
		if said := w.Call.Method + " " + compact(w.Call.Params); said != sent[i] {
			s.t.Errorf("the rehearsal said %s\nand the run sent %s", said, sent[i])
		}
	}
}
