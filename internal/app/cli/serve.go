package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
)

var serveCmd = &command{
	name:  "serve",
	args:  "[--config FILE]",
	short: "receive events and run the rules",
	long: `Serve reads a configuration, receives the events of its portals at
/hooks/PORTAL and runs the rules that match them. GET /healthz shows whether it
can store events.

Serve reads the configuration, its files with secrets and the rule files again when
they change, and on SIGHUP. It reports a file with errors and keeps its last valid
version, also after a restart. Other rule files and portals are not affected. Serve
starts if at least one portal and one rule set are valid. Events that find their rule
set or portal invalid wait until it is valid. Changes of listen, metrics, database,
log, limits, history, public_url, alerts, reload and of the console's address need a
restart.

On Ctrl-C (SIGTERM) serve stops receiving events and waits for current runs for a
limited time. Other runs wait for the next start. A second Ctrl-C ends the program
at once, and loses nothing either.

Exit codes: 0 stopped, 1 the configuration or all rules have errors, 2 usage
error, 3 serve could not start, for example because the port or the database is in
use.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return serve(ctx, env, *path)
		}
	},
}

func serve(ctx context.Context, env environment, path string) error {
	if path == config.DefaultFile {
		path = config.FindDefault(".")
	}
	c, err := loadConfig(env, path)
	if err != nil {
		return err
	}
	rules, err := newRules(env, c)
	if err != nil {
		return err
	}
	logs := service.OpenLogs(c.Log, env.redactor, env.Err)
	defer logs.Close()
	if c.Log.JSON && c.Log.Dir == "" && !c.Log.Off {
		env.lines = logs.Log // stderr is a stream of JSON
	}
	if err := serveWith(ctx, env, path, c, rules, logs); err != nil {
		return env.logged(err)
	}
	return nil
}

// serveWith serves until ctx ends.
func serveWith(ctx context.Context, env environment, path string, c *config.Config, rules *fleet.Rules, logs *service.Logs) error {
	log := logs.Log
	ctx, stop := interruptibleBy(ctx, func() {
		env.say("stopping: current runs have %s to finish, others wait for the next start; a second Ctrl-C stops at once", c.Limits.ShutdownGrace())
	})
	defer stop()

	ln, err := service.Listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // the server closes it too
	s, err := service.New(ctx, service.Options{
		Config: c, Rules: rules, Log: log, Logs: logs,
		Path: path, Read: func() (*config.Config, diag.List, error) { return config.Read(path) },
	})
	if err != nil {
		return err
	}
	defer s.Close()
	if found := rules.Current().StartFindings(path); len(found) > 0 {
		return printFindings(env, found)
	}
	// Before the first event, because another process may use the database.
	if err := s.Queue().Lock(ctx); err != nil {
		return err
	}
	if c.Metrics != "" {
		end, err := s.ServeMetrics(ctx, c.Metrics)
		if err != nil {
			return err
		}
		defer end()
	}
	if c.Console.Listen != "" {
		end, err := serveConsole(ctx, env, s, log)
		if err != nil {
			return err
		}
		defer end()
	}
	reload := make(chan os.Signal, 1)
	notifyReload(reload)
	defer signal.Stop(reload)
	endWatch, err := s.Watch(ctx, reload)
	if err != nil {
		return fmt.Errorf("watch the rules: %w", err)
	}
	defer endWatch()

	for _, p := range c.Portals {
		address := "http://" + ln.Addr().String()
		if c.HTTPS != nil {
			address = c.SecureURL()
		}
		env.say("portal %s: events at %s/hooks/%s", p.Name, address, p.Name)
		if p.HasPlaceholder() {
			env.say("portal %s: its events are refused until its application token, the placeholder of init, is that of the outbound webhook", p.Name)
		}
		if p.Shadow != 0 {
			env.say("portal %s: in shadow mode, its rules write nothing; 'b24rules shadow' shows how often the portal agrees with them", p.Name)
		}
	}
	if err := s.Serve(ctx, ln); err != nil {
		return err
	}
	env.say("stopped")
	return nil
}

// printFindings prints findings of a configuration without source lines, because
// these may have secrets.
func printFindings(env environment, list diag.List) error {
	if env.lines != nil {
		for _, f := range list {
			env.lines.Error("finding", "finding", f.String())
		}
		return errFindings
	}
	if err := diag.WriteText(env.Err, list, nil, report.UsesColor(env.Err)); err != nil {
		return err
	}
	return errFindings
}
