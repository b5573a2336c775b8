package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

var validateCmd = &command{
	name:  "validate",
	args:  "[--strict] [--schema FILE] [--config FILE] [--format text|json|github|gitlab|sarif] [--stdin-path NAME] [PATH...]",
	short: "check rule files",
	long: `Validate prints all findings in the named rule files, in the order of files and
lines. It needs no portal, no network and no configuration. It searches folders
and their subfolders for *.yaml and *.yml, except *_test.yaml and names that start
with a dot. It skips a subfolder with a file named .b24rulesignore. "-" reads a rule
file from stdin.

Several files are also checked together: rule ids and file names must be unique,
rules must not start each other without end, and no two rules may write the same
data.

If the folder of a rule file, or one of the two above it, has files of schema pull
(NAME.portal.json), the file is also checked for these portals: custom fields, options,
stages, properties, lists and types that a portal does not have are warnings. --config
adds the inputs of the portals; it reads no secrets.

With --config and without PATH, validate checks the whole configuration, as serve
would load it: the files of all portals, their inputs and instances, and in each portal
the rule sets that run together there.

A comment allows a warning on its line or on the next line:
  # b24rules: allow CODE reason

--format json is for programs, github prints annotations for a workflow, gitlab a
Code Quality report, and sarif a log for code scanning.

Exit codes: 0 no findings, or only warnings without --strict, 1 findings, 2 usage
error, 3 a path cannot be read.`,
	setup: func(fs *flag.FlagSet) runFunc {
		v := &validation{sources: map[string][]byte{}}
		fs.BoolVar(&v.strict, "strict", false, "fail on warnings too")
		fs.StringVar(&v.format, "format", "text", "print findings as `FORMAT`: text, json, github, gitlab or sarif")
		fs.StringVar(&v.stdinPath, "stdin-path", "stdin.yaml", "the `NAME` of stdin in findings")
		fs.StringVar(&v.schema, "schema", "", "check the files for the portal of the snapshot `FILE`, instead of those next to them")
		fs.StringVar(&v.config, "config", "", "take the inputs of the portals from the configuration `FILE`")
		return v.run
	},
}

// stdinName is the path that means stdin.
const stdinName = "-"

// validation is one run of the command.
type validation struct {
	strict    bool
	format    string
	stdinPath string
	schema    string
	config    string

	portals   *knownPortals
	actions   []*engine.Action
	sources   map[string][]byte // by name; nil for the text of a file without findings, see source
	summaries []*lint.Summary
	list      diag.List
	// keepsSets says that sets gets the rule sets. Without it they are let go file by file.
	keepsSets bool
	sets      []*engine.RuleSet
}

func (v *validation) run(_ context.Context, env environment, paths []string) error {
	if err := oneOf("format", v.format, "text", "json", "github", "gitlab", "sarif"); err != nil {
		return err
	}
	if len(paths) == 0 && v.config == "" {
		return usagef("no paths: name rule files or folders, or - for stdin; or --config FILE")
	}
	v.actions = env.actions
	var err error
	if v.portals, err = newKnownPortals(v.schema, v.config); err != nil {
		return err
	}
	if len(paths) == 0 {
		err = v.readFleet(env)
	} else if err = v.read(env.In, paths); err == nil {
		v.together()
	}
	if err != nil {
		return err
	}
	if err := v.print(env); err != nil {
		return err
	}
	errs, warnings := count(v.list)
	env.say("%s", summary(len(v.sources), errs, warnings))
	if errs > 0 || (v.strict && warnings > 0) {
		return errFindings
	}
	return nil
}

// readFleet checks a configuration with the rules of all its portals.
func (v *validation) readFleet(env environment) error {
	c, list, err := config.Read(v.config)
	if err != nil {
		return fmt.Errorf("cannot read %w", config.Plain(err))
	}
	v.list.Add(list...)
	if err := v.read(env.In, c.Rules); err != nil {
		return err
	}
	rules := &fleet.Rules{Source: fleet.FilesOf(c.Rules), Actions: v.actions, Portals: c.Portals, Private: c.PrivateHosts}
	_, gen, err := rules.Load()
	if err != nil {
		return err
	}
	v.list.Add(gen.Notes()...)
	v.list.Add(gen.Findings()...)
	v.list = slices.DeleteFunc(v.list, config.AboutSecret)
	v.list.Sort()
	v.list = slices.CompactFunc(v.list, func(a, b diag.Finding) bool { return a.String() == b.String() })
	v.allow()
	return nil
}

// together checks the rule sets together and removes findings that comments allow.
func (v *validation) together() {
	v.list.Add(lint.Together(v.summaries)...)
	v.allow()
}

// allow removes findings that comments allow.
func (v *validation) allow() {
	codes := docs.FindingCodes()
	for _, name := range slices.Sorted(maps.Keys(v.sources)) {
		v.list = diag.Allow(v.list, name, v.sources[name], codes)
	}
	v.list.Sort()
}

// read compiles all files of paths.
func (v *validation) read(in io.Reader, paths []string) error {
	var named []string
	for _, p := range paths {
		if p != stdinName {
			named = append(named, p)
			continue
		}
		if _, twice := v.sources[v.stdinPath]; twice {
			return usagef("stdin is listed twice")
		}
		data, err := yamlfile.Read(in)
		if err != nil {
			return fmt.Errorf("read stdin: %w", err)
		}
		portals, err := v.portals.of(v.stdinPath)
		if err != nil {
			return err
		}
		v.compile(v.stdinPath, data, portals...)
	}
	files, err := fleet.FindRuleFiles(named)
	if err != nil {
		return config.Plain(err)
	}
	if err := v.readFiles(files); err != nil {
		return err
	}
	if len(v.sources) == 0 {
		return fmt.Errorf("no rule files in %s", strings.Join(named, ", "))
	}
	return nil
}

// compiled is a compiled file.
type compiled struct {
	name    string
	data    []byte
	portals []*engine.Known
	summary *lint.Summary   // nil for a file with errors
	set     *engine.RuleSet // nil unless it is kept
	list    diag.List
	err     error
}

// heapFloor is reserved and never touched, so it is no memory of the process. The garbage
// collector runs when the heap has doubled, and the program's own tables are most of it: without
// the floor it would visit them again after every 25 files.
const heapFloor = 16 << 20 // bytes

// readFiles compiles files in parallel and keeps their order.
func (v *validation) readFiles(names []string) error {
	results := make([]compiled, len(names))
	for i, name := range names {
		var err error
		if results[i].portals, err = v.portals.of(name); err != nil {
			return err
		}
	}
	defer runtime.KeepAlive(make([]byte, heapFloor))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				r := &results[i]
				r.name = names[i]
				if r.data, r.err = yamlfile.ReadFile(r.name); r.err != nil {
					continue
				}
				if v.load(r); len(r.list) == 0 && !diag.HasAllowances(r.data) {
					r.data = nil // source reads it again
				}
			}
		})
	}
	workers.Wait()
	for _, r := range results {
		if r.err != nil {
			return config.Plain(r.err)
		}
		v.add(r)
	}
	return nil
}

func (v *validation) compile(name string, data []byte, portals ...*engine.Known) {
	r := compiled{name: name, data: data, portals: portals}
	v.load(&r)
	v.add(r)
}

// load compiles a file whose text has been read.
func (v *validation) load(r *compiled) {
	var set *engine.RuleSet
	set, r.summary, r.list = loadKnown(r.name, r.data, v.actions, r.portals)
	if v.keepsSets {
		r.set = set
	}
}

func (v *validation) add(r compiled) {
	v.sources[r.name] = r.data
	v.list.Add(r.list...)
	if r.summary != nil {
		v.summaries = append(v.summaries, r.summary)
	}
	if r.set != nil {
		v.sets = append(v.sets, r.set)
	}
}

// source returns the text of a rule file that has been checked, nil for other files. That of a
// file without findings is not kept.
func (v *validation) source(file string) []byte {
	text, checked := v.sources[file]
	if text != nil || !checked {
		return text
	}
	text, err := yamlfile.ReadFile(file)
	if err != nil {
		return nil // the finding is printed without its line
	}
	return text
}

func (v *validation) print(env environment) error {
	switch v.format {
	case "json":
		return diag.WriteJSON(env.Out, v.list)
	case "github":
		return diag.WriteGitHub(env.Out, v.list)
	case "gitlab":
		return diag.WriteGitLab(env.Out, v.list)
	case "sarif":
		return diag.WriteSARIF(env.Out, v.list, diag.Tool{Name: "b24rules", Version: programVersion(debug.ReadBuildInfo()), Help: docs.Finding})
	}
	return diag.WriteText(env.Out, v.list, v.source, report.UsesColor(env.Out))
}

// programVersion returns the version of the module, "" for a build without one.
func programVersion(info *debug.BuildInfo, ok bool) string {
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

func count(l diag.List) (errs, warnings int) {
	for _, f := range l {
		if f.Severity == diag.Error {
			errs++
		} else {
			warnings++
		}
	}
	return errs, warnings
}

func summary(files, errs, warnings int) string {
	if errs+warnings == 0 {
		return report.Plural(files, "file", "files") + ", no findings"
	}
	var parts []string
	if errs > 0 {
		parts = append(parts, report.Plural(errs, "error", "errors"))
	}
	if warnings > 0 {
		parts = append(parts, report.Plural(warnings, "warning", "warnings"))
	}
	return report.Plural(files, "file", "files") + ", " + strings.Join(parts, ", ")
}
