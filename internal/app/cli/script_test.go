package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/testkit"

	"github.com/rogpeppe/go-internal/testscript"
)

// asMain is the program's main function.
func asMain() {
	os.Exit(Main(context.Background(), os.Args[1:], Std{os.Stdin, os.Stdout, os.Stderr}, actions.All))
}

func TestMain(m *testing.M) { testkit.Main(m, asMain) }

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
