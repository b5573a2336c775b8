package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/reload"
	"github.com/b24rules/b24rules/internal/wakeup"
)

var reloadCmd = &command{
	name:  "reload",
	args:  "[--config FILE] [--yes] [--format text|json]",
	short: "make serve read the configuration and the rules again, and show the result",
	long: `Reload asks each running serve of the database to read its configuration and its rule
files again, and prints what has changed and what does not run. Serve does this
automatically when files change. Reload waits for the result, and works where serve
cannot see changes.

If more than one portal and more than a tenth of them are missing in the new
configuration, serve keeps the current one, because the file is more likely wrong.
--yes removes these portals.

Exit codes: 0 what is on disk runs, 1 some of it does not, 2 usage error, 3 serve is
not running or does not answer.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		yes := fs.Bool("yes", false, "remove any number of portals")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := errors.Join(none(args), oneOf("format", *format, "text", "json")); err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(_ *config.Config, q *queue.Queue) error {
				answers, silent, err := askReload(ctx, q, reload.Request{ID: rand.Text(), Confirmed: *yes, By: person()})
				if err != nil {
					return err
				}
				if err := note(ctx, q, audit.Entry{Action: audit.Reloaded, Result: reloadText(answers, silent)}); err != nil {
					return err
				}
				if err := report.WriteReload(env.Out, *format, answers); err != nil {
					return err
				}
				if len(silent) > 0 {
					return fmt.Errorf("no answer within %s from %s", reloadPatience, strings.Join(silent, ", "))
				}
				if slices.ContainsFunc(answers, func(a reload.Answer) bool { return !a.Live() }) {
					return errFindings
				}
				return nil
			})
		}
	},
}

const (
	// reloadPatience is how long reload waits for the answers.
	reloadPatience = 30 * time.Second
	// reloadLook is how often it looks for them.
	reloadLook = 100 * time.Millisecond
	// reloadDead is after how long without a heartbeat a process was killed. Others take its
	// portals over in that time.
	reloadDead = 10 * time.Second
)

// askReload asks the processes that work the database, and returns the answers and the
// processes without one.
func askReload(ctx context.Context, q *queue.Queue, r reload.Request) (answers []reload.Answer, silent []string, err error) {
	served, err := q.Served(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !served {
		return nil, nil, errors.New("serve is not running; it reads the configuration and the rules when it starts")
	}
	table := reload.New(q.Database())
	if err := table.Ask(ctx, r); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, table.Forget(context.WithoutCancel(ctx), r.ID)) }()
	alive := heartbeats{}
	for until := time.Now().Add(reloadPatience); ; {
		if answers, err = table.Answers(ctx, r.ID); err != nil {
			return nil, nil, err
		}
		processes, err := q.Processes(ctx) // without those that have ended
		if err != nil {
			return nil, nil, err
		}
		silent = nil
		for _, p := range processes {
			if alive.has(p) && !slices.ContainsFunc(answers, func(a reload.Answer) bool { return a.Process == p.Name }) {
				silent = append(silent, p.Name)
			}
		}
		if len(silent) == 0 && len(answers) > 0 || time.Now().After(until) {
			return answers, silent, nil
		}
		if err := wakeup.Sleep(ctx, reloadLook); err != nil {
			return nil, nil, err
		}
	}
}

// heartbeats are those of processes, with the times since when they have not grown.
type heartbeats map[string]struct {
	last  int64
	since time.Time
}

// has reports whether a process was not killed.
func (h heartbeats) has(p queue.Process) bool {
	old, known := h[p.Name]
	if !known || old.last != p.Heartbeat {
		old.last, old.since = p.Heartbeat, time.Now()
		h[p.Name] = old
	}
	return p.Heartbeat == 0 || time.Since(old.since) < reloadDead
}
