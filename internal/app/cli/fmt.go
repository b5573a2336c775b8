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
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/rulefmt"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

var fmtCmd = &command{
	name:  "fmt",
	args:  "[--check] [--diff] [-w] PATH...",
	short: "format rule files",
	long: `Fmt prints rule files in the canonical layout: keys in a fixed order, two spaces
per level, an empty line between rules, formulas in quotes only where YAML
requires it, {{ formula }} instead of {{= formula }}. Comments keep their places.
Short values in {} and [] stay on one line. The meaning of a file never changes,
and fmt does not change a formatted file.

-w writes the files instead. --check lists the files that are not formatted, and
--diff shows the changes. Both are for CI: they write nothing, and the exit code
is 1 if a file is not formatted. Fmt does not change a file with errors, but prints
the errors.

Folders are searched as by validate. "-" reads a rule file from stdin.

Exit codes: 0 success, 1 findings or files that are not formatted, 2 usage error,
3 a file cannot be read, written or formatted.`,
	setup: func(fs *flag.FlagSet) runFunc {
		f := &formatting{}
		fs.BoolVar(&f.check, "check", false, "list the files that are not formatted, write nothing")
		fs.BoolVar(&f.diff, "diff", false, "show the changes, write nothing")
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
		return usagef("-w cannot be combined with --check or --diff")
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
			return usagef("stdin is listed twice")
		case f.write:
			return usagef("-w cannot be used with stdin")
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
	names, err := fleet.FindRuleFiles(paths)
	if err != nil {
		return config.Plain(err)
	}
	if len(paths) > 0 && len(names) == 0 {
		return fmt.Errorf("no rule files in %s", diag.Alternatives(paths))
	}
	for _, name := range names {
		data, err := yamlfile.ReadFile(name)
		if err != nil {
			return config.Plain(err)
		}
		if err := f.file(env, name, data); err != nil {
			return err
		}
	}
	return nil
}

// file formats one file. It returns only errors that prevent the formatting of other
// files.
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
	return config.Plain(replaceFile(name, out))
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
	env.say("%s: unchanged, it has %s", name, report.Plural(len(errs), "error", "errors"))
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

// replaceFile replaces the content of a file atomically.
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
	defer os.Remove(tmp.Name()) // fails after the rename
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
