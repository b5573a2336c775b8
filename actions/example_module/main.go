// Command erp is b24rules with one more action, reserve_stock.
package main

import (
	"context"
	"os"
	"slices"

	"example.com/erp/stock"
	"github.com/b24rules/b24rules"
	"github.com/b24rules/b24rules/actions"
)

func main() {
	std := b24rules.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(b24rules.Main(context.Background(), os.Args[1:], std, append(slices.Clone(actions.All), stock.Reserve)...))
}
