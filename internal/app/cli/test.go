package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

var testCmd = &command{
	name:  "test",
	args:  "[--run REGEX] [--cover] [--cover-min PERCENT] [--junit FILE] [--format text|json] [-v] PATH...",
	short: "run the tests beside rule files",
	long: `Test runs *_test.yaml files: what a portal holds, an event, and what must follow.
Each test has a portal of its own in memory; nothing is sent anywhere and
nothing waits. A folder stands for the test files in it and below it, a rule
file for the test file beside it.

Without being asked each test also proves that a second run writes nothing, that
a doubled event, product rows in another order or saved anew, and a crash after
any single write with a retry end in the same state, that an update after the
deletion changes nothing, that fields which the rule does not manage stay, and
that nothing ever existed twice. A test opts out of a proof with skip_proofs and
a reason. docs/testing.md has the format with examples.

Exit codes: 0 all passed; 1 a test failed, a file has findings, or the coverage
is below --cover-min; 2 wrong usage; 3 a path cannot be read, or no test is
there to run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		t := &testRun{}
		fs.StringVar(&t.match, "run", "", "run only tests whose names match `REGEX`")
		fs.BoolVar(&t.cover, "cover", false, "print the coverage of each rule and the places that no test reached")
		fs.StringVar(&t.coverMin, "cover-min", "", "fail when less than `PERCENT` of all places are reached; implies --cover")
		fs.StringVar(&t.junit, "junit", "", "also write JUnit XML to `FILE`")
		fs.StringVar(&t.format, "format", "text", "print results as `FORMAT`: text or json")
		fs.BoolVar(&t.verbose, "v", false, "print passed tests and all proofs too")
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
		return service.Plain(err)
	}
	if len(tests) == 0 {
		return fmt.Errorf("no test files in %s: they are named *_test.yaml", strings.Join(paths, ", "))
	}
	report, err := ruletest.Run(ctx, tests, rules, ruletest.Options{Actions: env.actions, Match: match})
	if err != nil {
		return service.Plain(err)
	}
	if err := t.print(env, report); err != nil {
		return err
	}
	env.say("%s", ruletest.Summary(report))
	if len(report.Results) == 0 && !report.Failed() {
		return fmt.Errorf("no test matches --run %q", t.match)
	}
	if got := report.Coverage.Percent(); t.cover && got < least {
		env.say("the coverage is %.1f%%, --cover-min wants %s%%", got, t.coverMin)
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
			return service.Plain(err)
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
