package testkit

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/b24rules/b24rules/internal/pgtemp"
)

// asProgram, set in the environment, makes a test binary the program itself.
const asProgram = "B24RULES_TEST_AS_PROGRAM"

// Main runs the tests of a package and ends the process. The test binary is also the
// program, for StartProcess and for the command b24rules of test scripts.
func Main(m *testing.M, program func()) {
	if os.Getenv(asProgram) != "" {
		program()
	}
	// Tests mostly wait: for a debounce, a lease, another process. A flag on the
	// command line is parsed later and prevails.
	if err := flag.Set("test.parallel", strconv.Itoa(max(10, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(closing{m}, map[string]func(){"b24rules": program})
}

// closing stops PostgreSQL after the tests.
type closing struct{ *testing.M }

// Run implements testscript.TestingM.
func (c closing) Run() int { return postgres.Run(c.M) }

// postgres are databases of one server for all tests of a package.
var postgres pgtemp.Pool

// NewPostgres returns the URL of a new database. It skips the test where
// PostgreSQL is not installed; CI has it.
func NewPostgres(t testing.TB) string {
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

// EnvInt is a number from the environment.
func EnvInt(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
