package cli

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/pgtemp"

	"github.com/rogpeppe/go-internal/testscript"
)

// asProgram, set in the environment, makes this test binary the program itself,
// for tests that need processes of their own.
const asProgram = "B24RULES_TEST_AS_PROGRAM"

// asMain is the program's main function.
func asMain() {
	os.Exit(Main(context.Background(), os.Args[1:], Std{os.Stdin, os.Stdout, os.Stderr}, actions.All))
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		asMain()
	}
	// Most of what they do is waiting: for a debounce, a lease, another process.
	// The command line comes later and prevails.
	if err := flag.Set("test.parallel", strconv.Itoa(max(10, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(closing{m}, map[string]func(){"b24rules": asMain})
}

// closing stops what tests have started when they have run.
type closing struct{ *testing.M }

// Run implements testscript.TestingM.
func (c closing) Run() int {
	code := c.M.Run()
	if err := postgres.Close(); err != nil {
		slog.Error("stop PostgreSQL", "error", err)
		code = 1
	}
	return code
}

// postgres are databases of one server for all tests.
var postgres pgtemp.Pool

// newPostgres returns the URL of a fresh database. It skips the test where there
// is no PostgreSQL, which is none of CI's excuses.
func newPostgres(t testing.TB) string {
	t.Helper()
	name, dsn, err := postgres.Create(t.Context(), "")
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Drop(context.WithoutCancel(t.Context()), name); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// TestScripts runs the command line's specification: each script in
// testdata/script. UPDATE_SCRIPTS=1 rewrites what they compare with.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a program that must end with the exit code: exits 2 b24rules help x.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS]")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v: exit code %d, want %s", args[1:], code, args[0])
	}
}
