package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

var runCmd = &command{
	name:  "run",
	args:  "[--config FILE] [--rule ID] [--portal NAME] --entity ENTITY [--deleted] [--format text|json] [-v]",
	short: "run rules for an entity now",
	long: `Run does the same as an event of the entity: it queues a run of each rule and
waits for its first attempt. If serve is running, it does the work. Otherwise run
does the work itself, together with other runs that are due. So an entity is never
processed twice at the same time. Plan shows in advance what run would change.

Run prints a report of each run, as runs show does. If a run fails, serve tries it
again later.

Exit codes: 0 all runs succeeded, 1 a run failed or a rule file has findings, 2
usage error, 3 run could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		o := &oneRun{}
		o.flags(fs)
		fs.StringVar(&o.show.format, "format", "text", "print as `FORMAT`: text or json")
		fs.BoolVar(&o.show.options.Verbose, "v", false, "print parameters and answers too")
		return o.run
	},
}

type oneRun struct {
	single
	show runsShow
}

// manualEvent is the code of the event that run stores. No portal sends it.
const manualEvent = "RUN-BY-HAND"

func (o *oneRun) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := oneOf("format", o.show.format, "text", "json"); err != nil {
		return err
	}
	if o.config != config.DefaultFile {
		o.show.options.ConfigFlag = " --config " + o.config
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	a, targets, done, err := o.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	o.show.options.Known = o.known
	if a.Portal(o.portal).Shadow() {
		return fmt.Errorf("portal %s is in shadow mode, so run would write nothing: use plan to see what a rule would write", o.portal)
	}
	if o.deleted && targets[0].Entity.TypeID == 0 {
		return usagef("--deleted: the portal has no method that shows whether %s is deleted, so only its event can trigger this run", o.entity)
	}
	ids, err := o.push(ctx, a, targets)
	if err != nil {
		return err
	}
	if _, err := probeNow(ctx, env, a.Queue(), o.portal, ""); err != nil {
		return err
	}
	end, err := workUnlessServed(ctx, env, a)
	if err != nil {
		return err
	}
	defer end()
	failed := false
	for _, id := range ids {
		st, err := tried(ctx, a.Queue(), id, a.Portal(o.portal).Zone)
		if err != nil {
			return err
		}
		failed = failed || st.Listed.State != journal.Succeeded
		if err := o.show.print(env.Out, st); err != nil {
			return err
		}
	}
	if failed {
		return errFindings
	}
	return nil
}

// push queues the runs and returns their ids.
func (o *oneRun) push(ctx context.Context, a *service.Service, targets []service.Target) ([]int64, error) {
	routes := make([]queue.Route, len(targets))
	for i, t := range targets {
		routes[i] = queue.Route{Rule: t.Rule.ID, Entity: t.Entity.String(), Deleted: o.deleted}
	}
	data, err := json.Marshal(targets[0].Event.Data)
	if err != nil {
		return nil, err
	}
	ran := noted(audit.Entry{Action: audit.Ran, Portal: o.portal, Target: routes[0].Entity})
	if err := a.Queue().Push(ctx, journal.Event{Portal: o.portal, Code: manualEvent, Data: data, Sent: time.Now()}, routes, ran); err != nil {
		return nil, err
	}
	ids := make([]int64, len(routes))
	for i, r := range routes {
		runs, err := journal.FindRuns(ctx, a.Queue().Database(), journal.Filter{Portal: o.portal, Rule: r.Rule, Entity: r.Entity, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(runs) == 0 {
			return nil, fmt.Errorf("the run of rule %s for %s is not in the queue", r.Rule, r.Entity)
		}
		ids[i] = runs[0].ID
	}
	return ids, nil
}

// workUnlessServed executes runs until end is called, unless another process does.
func workUnlessServed(ctx context.Context, env environment, s *service.Service) (end func(), err error) {
	end, err = s.Work(ctx, "")
	if errors.Is(err, database.ErrInUse) {
		env.say("serve is running and does the work")
		return func() {}, nil
	}
	return end, err
}

// lookAgain is the interval between two reads of a run.
const lookAgain = 100 * time.Millisecond

// tried waits until a run has ended or its next attempt has failed.
func tried(ctx context.Context, q *queue.Queue, id int64, zone *time.Location) (*report.Run, error) {
	before, err := report.ReadRun(ctx, q, id)
	if err != nil {
		return nil, err
	}
	ticks := time.NewTicker(lookAgain)
	defer ticks.Stop()
	for {
		st, err := report.ReadRun(ctx, q, id)
		if err != nil {
			return nil, err
		}
		switch st.Listed.State {
		case journal.Succeeded, journal.Parked, journal.Discarded:
			return st, nil
		case journal.Waiting:
			if len(st.Attempts) > len(before.Attempts) {
				return st, nil
			}
			if len(st.Pauses) > 0 {
				return nil, fmt.Errorf("%s: the run waits", report.PauseText(st.Pauses[0], zone))
			}
		case journal.Running:
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("run %d is queued: serve will execute it", id)
		}
	}
}
