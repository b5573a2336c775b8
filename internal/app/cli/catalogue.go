package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/setup"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/rules"
)

var catalogueCmd = &command{
	name:  "catalogue",
	args:  "COMMAND",
	short: "list and copy rule sets that are ready to use",
	long: `The catalogue has rule sets for what people often ask for. Each does one thing, has
inputs for what differs between portals, and has tests. Add copies one into your
folder: it is yours then, and you may change it.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{catalogueListCmd, catalogueShowCmd, catalogueAddCmd},
}

var catalogueListCmd = &command{
	name:  "catalogue list",
	args:  "[--lang en|ru] [--format text|json] [WORD...]",
	short: "list the rule sets",
	long: `List prints the name and the title of each rule set. With words, English or Russian, it
prints those that have all of them: in their name, in a title, or among the words that
people use for them. Endings do not matter. If none has all, it prints those that have
the most of them.

Exit codes: 0 success, 1 no rule set has all words, 2 usage error.`,
	setup: func(fs *flag.FlagSet) runFunc {
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		lang := langFlag(fs)
		return func(_ context.Context, env environment, words []string) error {
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			if err := oneOf("lang", *lang, languages...); err != nil {
				return err
			}
			return listCatalogue(env, *format, *lang, words)
		}
	},
}

var catalogueShowCmd = &command{
	name:  "catalogue show",
	args:  "[--file | --tests] NAME",
	short: "describe a rule set",
	long: `Show prints the titles of a rule set, the permissions that its webhook needs, its
inputs, what it does and what it costs. With --file it prints the rule file, with
--tests its tests.

Exit codes: 0 success, 2 usage error.`,
	setup: func(fs *flag.FlagSet) runFunc {
		file := fs.Bool("file", false, "print the rule file")
		tests := fs.Bool("tests", false, "print the tests")
		return func(_ context.Context, env environment, args []string) error {
			if *file && *tests {
				return usagef("--file and --tests cannot be combined")
			}
			set, err := catalogueSet(args)
			switch {
			case err != nil:
				return err
			case *file:
				_, err = env.Out.Write(set.Rules)
			case *tests:
				_, err = env.Out.Write(set.Tests)
			default:
				err = showSet(env, set)
			}
			return err
		}
	},
}

var catalogueAddCmd = &command{
	name:  "catalogue add",
	args:  "[--portal NAME [--config FILE] [--input NAME=VALUE] [--yes]] NAME [DIR]",
	short: "copy a rule set and its tests into a folder",
	long: `Add copies a rule set and its tests to DIR, by default the folder rules. It replaces no
file. It prints what the configuration of a portal needs for its inputs.

With --portal it asks that portal of the configuration for the inputs: lists and smart
processes by their names, fields by their titles. It takes what the portal has for the
defaults, and asks you for the rest. Inputs can be flags, and with --yes it asks nothing.
It also checks that the portal has the permissions, lists and fields of the rules. If an
answer or something in the portal is missing, it writes no file. DIR is then by default
the first folder of rules in the configuration.

If a field takes other values than the rules write, it copies them and shows the place.

Exit codes: 0 success, 1 the portal lacks something or the rules do not fit it, 2 usage
error, 3 the files exist or cannot be written, or the portal does not answer.`,
	setup: func(fs *flag.FlagSet) runFunc {
		a := &addition{}
		configVar(fs, &a.config)
		fs.StringVar(&a.portal, "portal", "", "ask the portal `NAME` for the inputs")
		a.flags(fs)
		return func(ctx context.Context, env environment, args []string) error {
			if len(args) == 2 {
				a.dir = args[1]
				args = args[:1]
			}
			set, err := catalogueSet(args)
			if err != nil {
				return err
			}
			if a.portal == "" && (a.yes || len(a.given) > 0) {
				return usagef("--input and --yes need --portal, the portal that has the inputs")
			}
			return a.run(ctx, env, set)
		}
	},
}

// addition is one run of catalogue add.
type addition struct {
	questions
	config, portal, dir string
}

// run asks the portal, if there is one, and writes the files.
func (a *addition) run(ctx context.Context, env environment, s rules.Set) error {
	a.env = env
	set, err := compileSet(env, s)
	if err != nil {
		return err
	}
	if a.portal == "" {
		return addSet(env, s, set, cmp.Or(a.dir, "rules"), &proposal{file: config.DefaultFile})
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c, service, done, err := openPortals(ctx, env, a.config, a.portal)
	if err != nil {
		return err
	}
	defer done()
	name, err := onePortal(env, c, a.portal)
	if err != nil {
		return err
	}
	if a.dir == "" {
		a.dir = rulesFolder(c)
	}
	// What is in the way is said before the first question.
	if found := setup.Conflicts(a.dir, setFiles(s)); len(found) > 0 {
		return fmt.Errorf("%s has a %s already: add never replaces a file", a.dir, found[0])
	}
	portal, err := snapshot.Pull(ctx, name, service.Portal(name).Client)
	if err != nil {
		return fmt.Errorf("portal %s: %w", name, err)
	}
	inputs, err := a.inputs(ctx, set, portal)
	if err != nil {
		return err
	}
	if err := a.examine(ctx, service.DoctorPortal(name, time.Now), inputs); err != nil {
		return err
	}
	p := &proposal{inputs: inputs, file: a.config, portal: name}
	for _, one := range c.Portals {
		if one.Name == name {
			p.use, p.more = one.Inputs.Only, one.Inputs.Only || len(one.Inputs.Sets) > 0
		}
	}
	if err := addSet(env, s, set, a.dir, p); err != nil {
		return err
	}
	a.sayVariables()
	return a.unfit(s, inputs)
}

// unfit prints what of the copied rules does not fit the portal, such as a number for a field
// that takes money.
func (a *addition) unfit(s rules.Set, inputs *setup.Inputs) error {
	file := filepath.Join(a.dir, s.Name+".yaml")
	known := &engine.Known{Snapshot: inputs.Portal, Inputs: map[string]map[string]string{s.Name: inputs.Values}}
	_, _, list := loadKnown(file, s.Rules, a.env.actions, []*engine.Known{known})
	list = diag.Allow(list, file, s.Rules, docs.FindingCodes())
	if len(list) == 0 {
		return nil
	}
	if err := diag.WriteText(a.env.Out, list, func(string) []byte { return s.Rules }, report.UsesColor(a.env.Out)); err != nil {
		return err
	}
	a.env.say("the rules do not fit the portal yet: change the copy, or choose another input")
	return errFindings
}

// rulesFolder is the first folder of rules in a configuration.
func rulesFolder(c *config.Config) string {
	for _, path := range c.Rules {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
	}
	return "rules"
}

// languages are the languages of titles.
var languages = []string{"en", "ru"}

func langFlag(fs *flag.FlagSet) *string {
	return fs.String("lang", "en", "print titles in `LANG`: en or ru")
}

// catalogueSet returns the rule set that the arguments name.
func catalogueSet(args []string) (rules.Set, error) {
	if len(args) != 1 {
		return rules.Set{}, usagef("want the name of one rule set: b24rules catalogue list shows them")
	}
	set, ok := rules.Find(args[0])
	if !ok {
		text := fmt.Sprintf("the catalogue has no rule set %q", args[0])
		if near := diag.Closest(args[0], rules.Names()); near != "" {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		return rules.Set{}, &usageError{text: text}
	}
	return set, nil
}

// compileSet compiles a rule set of the catalogue.
func compileSet(env environment, s rules.Set) (*engine.RuleSet, error) {
	set, list := load.File(s.Name+".yaml", s.Rules, env.actions)
	return set, list.Err()
}

// listedSet is the JSON form of a rule set of the catalogue.
type listedSet struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Russian string `json:"title_ru"`
}

func listCatalogue(env environment, format, lang string, words []string) error {
	sets, all := rules.Search(words)
	out := []listedSet{}
	for _, s := range sets {
		set, err := compileSet(env, s)
		if err != nil {
			return err
		}
		out = append(out, listedSet{Name: s.Name, Title: set.Title, Russian: s.Russian})
	}
	if format == "json" {
		if err := report.WriteJSON(env.Out, out); err != nil {
			return err
		}
	} else if err := writeSets(env.Out, lang, out); err != nil {
		return err
	}
	switch {
	case all:
		return nil
	case len(out) > 0:
		env.say("no rule set has all of these words; these have the most of them")
	default:
		env.say("no rule set has %s; without words, list prints all", diag.Alternatives(words))
	}
	return errFindings
}

// writeSets prints a rule set in each line.
func writeSets(w io.Writer, lang string, sets []listedSet) error {
	for _, s := range sets {
		title := s.Title
		if lang == "ru" {
			title = s.Russian
		}
		if _, err := fmt.Fprintf(w, "%-21s %s\n", s.Name, title); err != nil {
			return err
		}
	}
	return nil
}

// showSet describes a rule set.
func showSet(env environment, s rules.Set) error {
	set, err := compileSet(env, s)
	if err != nil {
		return err
	}
	scopes := "none"
	if list := describe.Scopes(set); len(list) > 0 {
		scopes = strings.Join(list, ", ")
	}
	if _, err := fmt.Fprintf(env.Out, "%s\n%s\n%s\npermissions of the webhook: %s\n\n", s.Name, set.Title, s.Russian, scopes); err != nil {
		return err
	}
	if err := report.WriteRules(env.Out, "text", []*engine.RuleSet{set}, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Out, "\nb24rules catalogue add %s\n", s.Name)
	return err
}

// proposal is what a configuration needs for a rule set.
type proposal struct {
	inputs *setup.Inputs // nil if no portal was asked
	use    bool          // the portal has use
	more   bool          // the portal has inputs, or use, already
	file   string        // the configuration
	portal string
}

// addSet writes the files of a rule set, and prints what the configuration needs.
func addSet(env environment, s rules.Set, set *engine.RuleSet, dir string, p *proposal) error {
	files := setFiles(s)
	if err := setup.Write(dir, files); err != nil {
		return config.Plain(err)
	}
	for _, f := range files {
		env.say("wrote %s", filepath.Join(dir, f.Path))
	}
	if err := p.write(env, set); err != nil {
		return err
	}
	env.say("next: b24rules test %s", filepath.Join(dir, s.Name+".yaml"))
	return nil
}

// write prints the lines for the configuration.
func (p *proposal) write(env environment, set *engine.RuleSet) error {
	if len(set.Inputs) == 0 && !p.use {
		return nil
	}
	key, mark := "inputs", ":"
	if p.use {
		key = "use"
		if len(set.Inputs) == 0 {
			mark = ": on"
		}
	}
	switch {
	case p.inputs == nil:
		env.say("the portals need its inputs in %s (--portal NAME asks a portal for them):", p.file)
	case p.more:
		env.say("add this in %s, under %s of portal %s:", p.file, key, p.portal)
	default:
		env.say("the portal needs this in %s:", p.file)
	}
	if !p.more {
		if _, err := fmt.Fprintf(env.Out, "    %s:\n", key); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(env.Out, "      %s%s\n", set.Name, mark); err != nil {
		return err
	}
	for _, in := range set.Inputs {
		if _, err := fmt.Fprintf(env.Out, "        %s\n", p.line(in)); err != nil {
			return err
		}
	}
	return nil
}

// line is the line of an input.
func (p *proposal) line(in engine.Input) string {
	if p.inputs != nil {
		return p.inputs.Line(in)
	}
	value, mark := "", ""
	switch {
	case in.Type == engine.TypeSecret:
		value = " ${" + secretVariable(in.Name) + "}"
	case in.HasDefault:
		value, mark = " "+fmt.Sprint(in.Default), "# "
	}
	return fmt.Sprintf("%s%s:%s # %s", mark, in.Name, value, in.Title)
}

// setFiles are the files of a rule set, for the folder rules.
func setFiles(s rules.Set) []setup.File {
	return []setup.File{{Path: s.Name + ".yaml", Data: s.Rules}, {Path: s.Name + "_test.yaml", Data: s.Tests}}
}

// secretVariable is the variable of the environment for a secret input.
func secretVariable(input string) string { return "B24RULES_" + strings.ToUpper(input) }
