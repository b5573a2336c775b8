// Command b24rules runs rules for the events of Bitrix24 portals.
package main

import (
	"context"
	"os"

	"github.com/b24rules/b24rules"
	"github.com/b24rules/b24rules/actions"
)

func main() {
	std := b24rules.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(b24rules.Main(context.Background(), os.Args[1:], std, actions.All...))
}
