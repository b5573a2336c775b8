package service_test

import (
	"context"
	"os"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/cli"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, func() {
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, actions.All))
	})
}
