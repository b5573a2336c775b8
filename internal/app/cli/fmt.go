package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/rulefmt"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

var fmtCmd = &command{
	name:  "fmt",
	args:  "[--check] [--diff] [-w] PATH...",
	short: "write rule files in one layout",
	long: `Fmt prints rule files in the canonical layout: keys in the order in which people
look for them, two spaces a level, an empty line between rules, formulas in
quotes where YAML makes them need it and nowhere else, {{ formula }} for
{{= formula }}. Comments stay where they belong. {} and [] stay where they are
short. What a file means never changes, and a formatted file is left as it is.

-w writes the files instead; --check names those that are not formatted, --diff
shows what would change. Both are for CI: they write nothing and end with 1 when
there is something to do. A file with errors is not touched: they are printed.

Folders are searched as by validate. "-" reads a rule file from stdin.

Exit codes: 0 fine; 1 findings, or not formatted; 2 wrong usage; 3 a file cannot
be read, written or formatted.`,
	setup: func(fs *flag.FlagSet) runFunc {
		f := &formatting{}
		fs.BoolVar(&f.check, "check", false, "name the files that are not formatted and write nothing")
		fs.BoolVar(&f.diff, "diff", false, "show what would change and write nothing")
		fs.BoolVar(&f.write, "w", false, "write the files instead of printing them")
		return f.run
	},
}

// formatting is one run of the command.
type formatting struct {
	check, diff, write bool

	findings, changed bool
	failed            []error
}

func (f *formatting) run(_ context.Context, env environment, paths []string) error {
	if f.write && (f.check || f.diff) {
		return usagef("-w writes files, --check and --diff do not: choose")
	}
	if len(paths) == 0 {
		return usagef("no paths: name rule files or folders, or - for stdin")
	}
	var named []string
	stdin := false
	for _, p := range paths {
		switch {
		case p != stdinName:
			named = append(named, p)
		case stdin:
			return usagef("stdin can be read once")
		case f.write:
			return usagef("-w cannot write stdin")
		default:
			stdin = true
		}
	}
	if stdin {
		data, err := yamlfile.Read(env.In)
		if err != nil {
			return fmt.Errorf("read stdin: %w", err)
		}
		if err := f.file(env, "stdin.yaml", data); err != nil {
			return err
		}
	}
	if err := f.files(env, named); err != nil {
		return err
	}
	switch {
	case len(f.failed) > 0:
		return errors.Join(f.failed...)
	case f.findings || f.changed && (f.check || f.diff):
		return errFindings
	}
	return nil
}

func (f *formatting) files(env environment, paths []string) error {
	names, err := service.FindRuleFiles(paths)
	if err != nil {
		return service.Plain(err)
	}
	if len(paths) > 0 && len(names) == 0 {
		return fmt.Errorf("no rule files in %s", diag.Alternatives(paths))
	}
	for _, name := range names {
		data, err := yamlfile.ReadFile(name)
		if err != nil {
			return service.Plain(err)
		}
		if err := f.file(env, name, data); err != nil {
			return err
		}
	}
	return nil
}

// file formats one file. Only what makes going on useless is an error.
func (f *formatting) file(env environment, name string, data []byte) error {
	_, list := load.File(name, data, env.actions)
	if list.HasErrors() {
		return f.refuse(env, name, data, list)
	}
	out, list, err := rulefmt.Format(name, data)
	switch {
	case err != nil:
		f.failed = append(f.failed, fmt.Errorf("%s: %w", name, err))
		return nil
	case list.HasErrors():
		return f.refuse(env, name, data, list)
	}
	same := bytes.Equal(data, out)
	f.changed = f.changed || !same
	switch {
	case f.check || f.diff:
		return f.show(env.Out, name, data, out)
	case !f.write:
		_, err = env.Out.Write(out)
		return err
	case same:
		return nil
	}
	env.say("%s: formatted", name)
	return service.Plain(replaceFile(name, out))
}

// refuse prints the errors of a file.
func (f *formatting) refuse(env environment, name string, data []byte, list diag.List) error {
	f.findings = true
	var errs diag.List
	for _, x := range list {
		if x.Severity == diag.Error {
			errs.Add(x)
		}
	}
	env.say("%s: left as it is, it has %s", name, report.Plural(len(errs), "error", "errors"))
	return diag.WriteText(env.Err, errs, func(string) []byte { return data }, report.UsesColor(env.Err))
}

func (f *formatting) show(w io.Writer, name string, data, out []byte) error {
	if bytes.Equal(data, out) {
		return nil
	}
	if f.diff {
		_, err := w.Write(diff.Diff(name, data, name+" (formatted)", out))
		return err
	}
	_, err := fmt.Fprintln(w, name)
	return err
}

// replaceFile gives a file another text. Nobody ever sees half of it.
func replaceFile(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".b24rules-fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // it is gone when all went well
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
