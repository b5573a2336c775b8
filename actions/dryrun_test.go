package actions_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
)

// simulate runs the rule without its writes before every real run of a script. The
// portal must be the same afterwards. The parts named "changes" have what the run
// would change.
func (s *script) simulate(run run.Run) {
	s.t.Helper()
	before := len(s.portal.History())
	dry := &dryrun.Run{}
	run.DryRun, run.Log = dry, nil
	_, err := run.Do(context.Background(), s.rules.Rules[0])
	s.simulated = dry.Writes()
	changes, readErr := dry.Changes(context.Background())
	if readErr != nil {
		s.t.Errorf("what the dry run would change: %v", readErr)
	}
	if after := len(s.portal.History()); after != before {
		s.t.Errorf("a dry run changed the portal: %v", s.portal.History()[before:])
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

// sameWrites checks that a run sent what its dry run said, unless the
// portal refused a write, because the action then tries another one.
func (s *script) sameWrites(trace *history.Trace, calls string) {
	s.t.Helper()
	var sent []string
	for line := range strings.Lines(calls) {
		if _, write, ok := strings.Cut(line, "write "); ok {
			sent = append(sent, strings.TrimSpace(write))
		}
	}
	if len(sent) != trace.Writes || len(sent) != len(s.simulated) {
		return
	}
	for i, w := range s.simulated {
		if said := w.Call.Method + " " + compact(w.Call.Params); said != sent[i] {
			s.t.Errorf("the dry run said %s\nand the run sent %s", said, sent[i])
		}
	}
}
