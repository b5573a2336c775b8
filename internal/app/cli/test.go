package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

var testCmd = &command{
	name:  "test",
	args:  "[--run REGEX] [--cover] [--cover-min PERCENT] [--junit FILE] [--format text|json] [-v] PATH...",
	short: "run rule tests",
	long: `Test runs *_test.yaml files. A test has the data of a portal, an event, and the
expected result. Each test has its own portal in memory, sends nothing to the
network and does not wait for real time. A folder means all test files in it and
below it, and a rule file means the test file next to it.

Built-in checks run for each test without being requested: a second run writes
nothing; a doubled event, product rows in another order or saved again, and a crash
after any single write with a retry lead to the same state; an update after the
deletion changes nothing; fields that the rule does not manage stay unchanged;
nothing exists twice at any time. skip_proofs disables a check of a test, with a
reason. docs/testing.md describes the format with examples.

Exit codes: 0 all tests passed, 1 a test failed, a file has findings, or the
coverage is below --cover-min, 2 usage error, 3 a path cannot be read or no test
was found.`,
	setup: func(fs *flag.FlagSet) runFunc {
		t := &testRun{}
		fs.StringVar(&t.match, "run", "", "run only tests whose names match `REGEX`")
		fs.BoolVar(&t.cover, "cover", false, "print the coverage of each rule and the places that no test reaches")
		fs.StringVar(&t.coverMin, "cover-min", "", "fail if tests reach less than `PERCENT` of all places; implies --cover")
		fs.StringVar(&t.junit, "junit", "", "also write JUnit XML to `FILE`")
		fs.StringVar(&t.format, "format", "text", "print results as `FORMAT`: text or json")
		fs.BoolVar(&t.verbose, "v", false, "also print passed tests and all checks")
		return t.run
	},
}

// testRun is one run of the command.
type testRun struct {
	match, coverMin, junit, format string
	cover, verbose                 bool
}

func (t *testRun) run(ctx context.Context, env environment, paths []string) error {
	if err := oneOf("format", t.format, "text", "json"); err != nil {
		return err
	}
	if len(paths) == 0 {
		return usagef("no paths: name test files, rule files or folders")
	}
	match, err := regexp.Compile(t.match)
	if err != nil {
		return usagef("--run %q: %v", t.match, err)
	}
	least, err := t.least()
	if err != nil {
		return err
	}
	tests, rules, err := testfile.Find(paths)
	if err != nil {
		return config.Plain(err)
	}
	if len(tests) == 0 {
		return fmt.Errorf("no test files in %s: their names must end in _test.yaml", strings.Join(paths, ", "))
	}
	report, err := ruletest.Run(ctx, tests, rules, ruletest.Options{Actions: env.actions, Match: match})
	if err != nil {
		return config.Plain(err)
	}
	if err := t.print(env, report); err != nil {
		return err
	}
	env.say("%s", ruletest.Summary(report))
	if len(report.Results) == 0 && !report.Failed() {
		return fmt.Errorf("no test matches --run %q", t.match)
	}
	if got := report.Coverage.Percent(); t.cover && got < least {
		env.say("the coverage is %.1f%%, --cover-min requires %s%%", got, t.coverMin)
		return errFindings
	}
	if report.Failed() {
		return errFindings
	}
	return nil
}

// least reads --cover-min.
func (t *testRun) least() (float64, error) {
	if t.coverMin == "" {
		return 0, nil
	}
	least, err := strconv.ParseFloat(t.coverMin, 64)
	if err != nil || !(least >= 0 && least <= 100) {
		return 0, usagef("--cover-min %q: want a number from 0 to 100", t.coverMin)
	}
	t.cover = true
	return least, nil
}

func (t *testRun) print(env environment, r *ruletest.Report) error {
	if t.junit != "" {
		f, err := os.Create(t.junit)
		if err != nil {
			return config.Plain(err)
		}
		err = ruletest.WriteJUnit(f, r)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", t.junit, err)
		}
	}
	if t.format == "json" {
		return ruletest.WriteJSON(env.Out, r, t.cover)
	}
	return ruletest.WriteText(env.Out, r, ruletest.TextOptions{Verbose: t.verbose, Color: report.UsesColor(env.Out), Cover: t.cover})
}
