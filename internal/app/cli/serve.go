package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
)

var serveCmd = &command{
	name:  "serve",
	args:  "[--config FILE]",
	short: "receive events and run the rules",
	long: `Serve reads a configuration, receives the events of its portals at
/hooks/PORTAL and runs the rules that hear them. GET /healthz tells whether it
can take events.

Rule files are read again when they change, or on SIGHUP. A file with mistakes
is reported and leaves what runs of it in place; it also keeps nothing else from
starting, as long as one rule set is fine. The configuration is read once.

Ctrl-C (SIGTERM) takes no more events, lets runs finish for a while and keeps
the others for the next start. A second one ends the program at once; that loses
nothing either.

Exit codes: 0 stopped, 1 the configuration or all rules have mistakes, 2 wrong
usage, 3 it could not start, such as when the port or the database is taken.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := fs.String("config", config.DefaultFile, "read the configuration from `FILE`")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return serve(ctx, env, *path)
		}
	},
}

func serve(ctx context.Context, env environment, path string) error {
	c, rules, err := prepare(env, path)
	if err != nil {
		return err
	}
	log, closeLog, err := openLog(c.Log, env.Err)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer closeLog()

	ctx, stop := interruptibleBy(ctx, func() {
		env.say("stopping: runs have %s to end, the others wait for the next start; a second Ctrl-C ends at once", c.Limits.ShutdownGrace())
	})
	defer stop()

	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return listenError(c.Listen, err)
	}
	defer func() { _ = ln.Close() }() // the server closes it too
	a, err := newApp(ctx, c, rules, log)
	if err != nil {
		return err
	}
	defer a.close()
	// Before any event is taken: another process may work the database.
	if err := a.queue.Lock(ctx); err != nil {
		return err
	}
	if c.Metrics != "" {
		end, err := a.startMetrics(ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	endWatch, err := a.watch(ctx)
	if err != nil {
		return fmt.Errorf("watch the rules: %w", err)
	}
	defer endWatch()

	for _, p := range c.Portals {
		env.say("portal %s: events at http://%s/hooks/%s", p.Name, ln.Addr(), p.Name)
	}
	if err := a.serve(ctx, ln); err != nil {
		return err
	}
	env.say("stopped")
	return nil
}

// prepare reads the configuration and the rules, and tells what is wrong with
// them.
func prepare(env environment, path string) (*config.Config, *ruleLoader, error) {
	c, err := loadConfig(env, path)
	if err != nil {
		return nil, nil, err
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return nil, nil, err
	}
	if found := startFindings(path, gen); len(found) > 0 {
		return nil, nil, tell(env, found)
	}
	return c, rules, nil
}

// watch logs what runs and reloads rules that change, until the returned
// function is called.
func (a *app) watch(ctx context.Context) (end func(), err error) {
	logChanges(a.log, nil, a.rules.current.Load())
	w, err := newWatcher(a.config.Rules, a.rules, a.log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	asked := make(chan os.Signal, 1)
	notifyReload(asked)
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx, asked) }()
	return func() {
		signal.Stop(asked)
		cancel()
		<-ended
	}, nil
}

// startFindings are the mistakes that a start does not overlook: those of the
// configuration, and those of the rules when nothing would run.
func startFindings(path string, gen *generation) diag.List {
	var config, all diag.List
	config.Add(gen.notes...)
	for _, b := range gen.broken {
		all.Add(b.findings...)
		for _, f := range b.findings {
			if f.File == path {
				config.Add(f)
			}
		}
	}
	if config.HasErrors() {
		config.Sort()
		return config
	}
	if len(gen.sets) > 0 {
		return nil
	}
	if len(all) == 0 {
		all.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "no-rules", "the rules paths hold no rule file")
	}
	all.Sort()
	return all
}

// tell prints findings of a configuration. Their source lines are left out:
// they may hold secrets.
func tell(env environment, list diag.List) error {
	if err := diag.WriteText(env.Err, list, nil, color(env.Err)); err != nil {
		return err
	}
	return errFindings
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot listen on %s: another program does already", addr)
	}
	return fmt.Errorf("cannot listen on %s: %v", addr, plain(err))
}

// plain removes the operation and the path from a system error where the
// sentence around it says them.
func plain(err error) error {
	var path *fs.PathError
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &path):
		return errors.New(path.Path + ": " + path.Err.Error())
	}
	return err
}
