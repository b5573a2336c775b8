package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/snapshot"
)

var schemaPullCmd = &command{
	name:  "schema pull",
	args:  "[--config FILE] [--portal NAME] [--out FILE]",
	short: "write what a portal has to a file, for validate",
	long: `Schema pull asks each portal of the configuration for its types and their fields,
lists and properties, stages and pipelines, directories, currencies and permissions.
It writes them to NAME.portal.json next to the rules. The file has no secrets and no
data of people. Keep it in git: equal portals have equal files.

validate reads the file. It then knows the custom fields, options, stages and
properties of the portal, and reports those that do not exist.

What the user of the credentials may not read is listed under "unread", and validate
assumes nothing about it.

Exit codes: 0 success, 1 the configuration has findings, 2 usage error, 3 a portal
cannot be read or a file cannot be written.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "only the portal")
		out := fs.String("out", "", "write to `FILE`, - is stdout; needs --portal if there are several")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return runSchemaPull(ctx, env, *path, *portal, *out)
		}
	},
}

func runSchemaPull(ctx context.Context, env environment, path, portal, out string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	c, s, done, err := openPortals(ctx, env, path, portal)
	if err != nil {
		return err
	}
	defer done()
	names := portalNames(c, portal)
	if out != "" && len(names) > 1 {
		return usagef("--out takes one portal: name it with --portal")
	}
	for _, name := range names {
		if err := usablePortal(env, c, name); err != nil {
			return err
		}
		now, err := snapshot.Pull(ctx, name, s.Portal(name).Client)
		if err != nil {
			return fmt.Errorf("portal %s: %w", name, err)
		}
		if out == "-" {
			text, err := now.Encode()
			if err == nil {
				_, err = env.Out.Write(text)
			}
			return err
		}
		file := out
		if file == "" {
			file = snapshotPath(c, name)
		}
		if err := now.Write(file); err != nil {
			return config.Plain(err)
		}
		env.say("wrote %s: %s, %s", file, report.Plural(len(now.Types), "type", "types"), report.Plural(len(now.Lists), "list", "lists"))
		for _, part := range slices.Sorted(maps.Keys(now.Unread)) {
			env.say("portal %s: %s could not be read: %s", name, part, now.Unread[part])
		}
	}
	return nil
}

// openPortals opens the service of a configuration to read its portals. Rule files may have
// findings. The caller must call done.
func openPortals(ctx context.Context, env environment, path, portal string) (*config.Config, *service.Service, func(), error) {
	c, err := loadConfig(env, path)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := checkPortal(c, portal); err != nil {
		return nil, nil, nil, err
	}
	rules, _, err := loadRules(env, c)
	if err != nil {
		return nil, nil, nil, err
	}
	s, done, err := openService(ctx, c, rules, true, warnings(env))
	return c, s, done, err
}

// readSnapshot reads the snapshot of a portal of the configuration.
func readSnapshot(c *config.Config, portal string) (*snapshot.Snapshot, error) {
	path := snapshotPath(c, portal)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("portal %s has no snapshot %s: run `b24rules schema pull` first", portal, path)
	}
	s, err := snapshot.Read(path)
	return s, config.Plain(err)
}
