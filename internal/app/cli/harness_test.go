package cli

import (
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
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
