// Package b24rules is the b24rules program as a function. A program that adds
// its own actions passes them to it:
//
//	var stockActions = append(slices.Clone(actions.All), stock.Reserve)
//
//	func main() {
//		std := b24rules.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
//		os.Exit(b24rules.Main(context.Background(), os.Args[1:], std, stockActions...))
//	}
//
// Its commands then accept the added actions in rule files: validate checks
// them, explain describes them, test and serve run them, and schema has them for
// editors. The module in actions/example_module is a complete example.
//
// An action is made by [github.com/b24rules/b24rules/engine.Define].
package b24rules

import (
	"context"
	"io"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/cli"
)

// Std are the standard streams of the program. Results go to Out, messages to
// Err. A field must not be nil.
type Std struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the program and returns its exit code: 0 success, 1 findings or
// failed runs, 2 usage error, 3 the command could not run. args follow the
// program's name. actions are all actions that rule files may use, in the order
// of the manual; their names must differ.
//
// serve, sync and other commands that take long end early with SIGINT and
// SIGTERM, or when ctx ends. Main uses no global state: programs may call it
// several times, also at once and with different actions.
func Main(ctx context.Context, args []string, std Std, actions ...*engine.Action) int {
	return cli.Main(ctx, args, cli.Std(std), actions)
}
