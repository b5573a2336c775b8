package cli

import (
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// harness is the program with an emulated portal, with what only tests of this
// package do with it.
type harness struct{ *apptest.Harness }

func newHarness(t testing.TB, o apptest.Options) *harness {
	t.Helper()
	return &harness{apptest.New(t, o)}
}

func row(name, price, quantity string) demo.Row {
	return demo.Row{Name: name, Price: price, Quantity: quantity}
}

// onEachDatabase runs a test on SQLite, where the DSN is "", and on PostgreSQL.
func onEachDatabase(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, testkit.NewPostgres(t))
	})
}
