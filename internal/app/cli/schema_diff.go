package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

var schemaDiffCmd = &command{
	name:  "schema diff",
	args:  "[--config FILE] [--portal NAME] [--format text|json] [OLD NEW [PATH...]]",
	short: "show what has changed in a portal since schema pull, and which rules it breaks",
	long: `Schema diff compares the file of schema pull with the portal, and prints what was
added, removed or changed. Then it prints the findings that the rules get by the
changes: the rules that are broken now. It writes nothing; schema pull takes the new
state over.

With two files it compares these and needs no portal: the snapshots OLD and NEW, and
the rule files and folders that follow.

Exit codes: 0 no difference, 1 differences, or the configuration has findings, 2 usage
error, 3 a portal or a file cannot be read.`,
	setup: func(fs *flag.FlagSet) runFunc {
		d := &schemaDiff{}
		configVar(fs, &d.config)
		portalsVar(fs, &d.portal, "only the portal")
		fs.StringVar(&d.format, "format", "text", "print as `FORMAT`: text or json")
		return d.run
	},
}

type schemaDiff struct {
	config, portal, format string

	known *knownPortals
	files []string
}

// portalDiff is the result for one portal.
type portalDiff struct {
	Portal  string            `json:"portal"`
	Changes []snapshot.Change `json:"changes"`
	// Breaks are the findings that the rules get by the changes.
	Breaks []brokenRule `json:"breaks"`
}

type brokenRule struct {
	Place string `json:"place"`
	Code  string `json:"code"`
	Text  string `json:"text"`
	f     diag.Finding
}

func (d *schemaDiff) run(ctx context.Context, env environment, args []string) error {
	if err := oneOf("format", d.format, "text", "json"); err != nil {
		return err
	}
	if len(args) == 1 {
		return usagef("want two snapshots, OLD and NEW, or none")
	}
	compare := d.live
	if len(args) > 0 {
		compare = func(context.Context, environment) ([]portalDiff, error) {
			return d.offline(env, args[0], args[1], args[2:])
		}
	}
	found, err := compare(ctx, env)
	if err != nil {
		return err
	}
	if err := d.print(env, found); err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(p portalDiff) bool { return len(p.Changes) > 0 }) {
		return errFindings
	}
	return nil
}

// live compares the snapshots with the portals of the configuration.
func (d *schemaDiff) live(ctx context.Context, env environment) ([]portalDiff, error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	c, s, done, err := openPortals(ctx, env, d.config, d.portal)
	if err != nil {
		return nil, err
	}
	defer done()
	d.known = &knownPortals{}
	d.known.use(c)
	if d.files, err = fleet.FindRuleFiles(c.Rules); err != nil {
		return nil, config.Plain(err)
	}
	var out []portalDiff
	for _, name := range portalNames(c, d.portal) {
		if err := usablePortal(env, c, name); err != nil {
			return nil, err
		}
		before, err := readSnapshot(c, name)
		if err != nil {
			return nil, err
		}
		now, err := snapshot.Pull(ctx, name, s.Portal(name).Client)
		if err != nil {
			return nil, fmt.Errorf("portal %s: %w", name, err)
		}
		p, err := d.compare(env, before, now)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// offline compares two files.
func (d *schemaDiff) offline(env environment, before, after string, paths []string) ([]portalDiff, error) {
	old, err := snapshot.Read(before)
	if err != nil {
		return nil, config.Plain(err)
	}
	now, err := snapshot.Read(after)
	if err != nil {
		return nil, config.Plain(err)
	}
	if old.Portal != now.Portal {
		return nil, usagef("%s is of portal %s, and %s of portal %s", before, old.Portal, after, now.Portal)
	}
	d.known = &knownPortals{}
	if d.config != config.DefaultFile {
		if d.known, err = newKnownPortals("", d.config); err != nil {
			return nil, err
		}
	}
	if d.files, err = fleet.FindRuleFiles(paths); err != nil {
		return nil, config.Plain(err)
	}
	p, err := d.compare(env, old, now)
	return []portalDiff{p}, err
}

// compare lists the changes and what they break.
func (d *schemaDiff) compare(env environment, before, after *snapshot.Snapshot) (portalDiff, error) {
	out := portalDiff{Portal: after.Portal, Changes: snapshot.Diff(before, after), Breaks: []brokenRule{}}
	if len(out.Changes) == 0 {
		out.Changes = []snapshot.Change{}
		return out, nil
	}
	for _, file := range d.files {
		data, err := yamlfile.ReadFile(file)
		if err != nil {
			return out, config.Plain(err)
		}
		_, old := load.FileFor(file, data, env.actions, d.known.known(before))
		_, now := load.FileFor(file, data, env.actions, d.known.known(after))
		if old.HasErrors() {
			env.say("%s has errors, so it is not known what the changes break there: run b24rules validate", file)
		}
		for _, f := range now {
			if !slices.ContainsFunc(old, func(g diag.Finding) bool { return g.Pos == f.Pos && g.Code == f.Code }) {
				out.Breaks = append(out.Breaks, brokenRule{f.Pos.String(), f.Code, f.Text(), f})
			}
		}
	}
	return out, nil
}

func (d *schemaDiff) print(env environment, found []portalDiff) error {
	if d.format == "json" {
		return report.WriteJSON(env.Out, found)
	}
	for _, p := range found {
		if len(p.Changes) == 0 {
			env.say("portal %s has not changed", p.Portal)
		}
		var errs []error
		for _, c := range p.Changes {
			_, err := fmt.Fprintf(env.Out, "%s  %s\n", p.Portal, c)
			errs = append(errs, err)
		}
		for _, b := range p.Breaks {
			_, err := fmt.Fprintf(env.Out, "%s  %-8s %s\n", p.Portal, "breaks", b.f.String())
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
