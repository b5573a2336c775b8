package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/queue"
)

var backupCmd = &command{
	name:  "backup",
	args:  "[--config FILE] FILE | --to postgres://USER@HOST/NAME",
	short: "copy the database to a file, or to PostgreSQL",
	long: `Backup copies the database of the configuration to a new file, also while serve is
running. The copy is one state of the database, and backup checks it. The file holds data
of the portals and, with oauth, tokens: only its owner can read it. A PostgreSQL database
is copied by pg_dump.

--to copies an SQLite database to an empty PostgreSQL database instead and compares the
number of rows of each table. Stop serve first: what it stores after the copy is not in
PostgreSQL. Then write the new database to the configuration and start serve. The password
can be in PGPASSWORD or in a .pgpass file.

Exit codes: 0 copied, 1 the configuration has errors, 2 usage error, 3 the copy failed.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		to := fs.String("to", "", "copy to the empty PostgreSQL database `URL`")
		return func(ctx context.Context, env environment, args []string) error {
			switch {
			case *to != "" && len(args) > 0:
				return usagef("give a file or --to, not both")
			case *to != "" && !strings.HasPrefix(*to, "postgres://") && !strings.HasPrefix(*to, "postgresql://"):
				return usagef("--to: want postgres://USER@HOST/NAME")
			case *to == "" && len(args) != 1:
				return usagef("to which file? b24rules backup FILE")
			}
			c, err := loadConfig(env, *path)
			if err != nil {
				return err
			}
			if err := haveDatabase(c); err != nil {
				return err
			}
			if *to != "" {
				return moveDatabase(ctx, env, c.Database, *to)
			}
			info, err := database.Backup(ctx, c.Database, args[0])
			switch {
			case errors.Is(err, database.ErrNotSQLite):
				return errors.New("the database is PostgreSQL: copy it with pg_dump --format=custom --file=FILE DATABASE, which can run while serve is running")
			case errors.Is(err, os.ErrExist):
				return fmt.Errorf("%s exists already: name a new file", args[0])
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(env.Out, "%s: %s, %s, %d bytes\n", args[0],
				report.Plural(int(info.Events), "event", "events"), report.Plural(int(info.Runs), "run", "runs"), info.Bytes)
			return err
		}
	},
}

// moveDatabase copies an SQLite database to PostgreSQL.
func moveDatabase(ctx context.Context, env environment, from, to string) error {
	if !strings.HasPrefix(from, "sqlite:") {
		return errors.New("the database of the configuration is PostgreSQL already: use pg_dump and pg_restore")
	}
	q, err := queue.Open(ctx, from, queue.Options{Log: warnings(env)})
	if err != nil {
		return err
	}
	served, err := q.Served(ctx)
	if err = errors.Join(err, q.Close()); err != nil {
		return err
	}
	if served {
		return errors.New("serve is running: stop it first, because what it stores after the copy is not in PostgreSQL")
	}
	tables, err := database.Move(ctx, from, to, warnings(env))
	if err != nil {
		return err
	}
	rows := int64(0)
	for _, t := range tables {
		rows += t.Rows
		_, _ = fmt.Fprintf(env.Out, "%-20s %d\n", t.Name, t.Rows)
	}
	_, err = fmt.Fprintf(env.Out, "copied %d rows of %d tables; write the new database to the configuration and start serve\n", rows, len(tables))
	return err
}

var restoreCmd = &command{
	name:  "restore",
	args:  "[--config FILE] --yes FILE",
	short: "replace the database by a backup",
	long: `Restore checks a backup and makes it the SQLite database of the configuration. Stop
serve first. The database before stays next to it, with the time in its name.

At its next start serve notices by the last heartbeat in the backup that it does not know
what happened since then, and catches up on it (catch_up). Nothing is doubled, because
runs compare and write only differences.

OAuth tokens that are newer in the database before are kept. Effects outside the portal's
data, such as notifications, may be repeated if the backup does not know of them.

Exit codes: 0 restored, 1 the configuration has errors, 2 usage error, 3 restore failed.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		yes := fs.Bool("yes", false, "replace the database; without it the backup is only checked")
		return func(ctx context.Context, env environment, args []string) error {
			if len(args) != 1 {
				return usagef("from which file? b24rules restore --yes FILE")
			}
			return restore(ctx, env, *path, args[0], *yes)
		}
	},
}

func restore(ctx context.Context, env environment, config, file string, yes bool) error {
	c, err := loadConfig(env, config)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(c.Database, "sqlite:") {
		return errors.New("the database is PostgreSQL: restore it with pg_restore, then start serve")
	}
	info, err := database.CheckBackup(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist", file)
	}
	if err != nil {
		return err
	}
	has := fmt.Sprintf("%s and %s", report.Plural(int(info.Events), "event", "events"), report.Plural(int(info.Runs), "run", "runs"))
	if !yes {
		return usagef("%s is whole and has %s: add --yes to replace the database by it", file, has)
	}
	replaced, tokens, err := database.Restore(ctx, c.Database, file, ".before-"+time.Now().Format("20060102-150405"))
	switch {
	case errors.Is(err, database.ErrInUse):
		return fmt.Errorf("%w: stop serve first", err)
	case err != nil:
		return err
	}
	if replaced != "" {
		env.say("the database before is %s", replaced)
	}
	if tokens > 0 {
		env.say("kept the newer tokens of %s", report.Plural(int(tokens), "application", "applications"))
	}
	_, err = fmt.Fprintf(env.Out, "restored %s; serve catches up at its next start\n", has)
	return err
}
