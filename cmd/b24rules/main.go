// Command b24rules runs rules for the events of Bitrix24 portals.
package main

import (
	"context"
	"os"

	"github.com/b24rules/b24rules/internal/app/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
