package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"b24rules": main})
}

// TestScripts runs the command line's specification: each script in
// testdata/script. UPDATE_SCRIPTS=1 rewrites what they compare with.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitcode, "b24rules": b24rules},
	})
}

// b24rules runs the program and keeps its exit code for exitcode.
func b24rules(ts *testscript.TestScript, neg bool, args []string) {
	code := 0
	err := ts.Exec("b24rules", args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("b24rules: %v", err)
	}
	ts.Setenv("EXITCODE", strconv.Itoa(code))
	if neg != (code != 0) {
		ts.Fatalf("b24rules %v: exit code %d", args, code)
	}
}

// exitcode compares the exit code of the last b24rules.
func exitcode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 || ts.Getenv("EXITCODE") != args[0] {
		ts.Fatalf("exit code %s, want %v", ts.Getenv("EXITCODE"), args)
	}
}
