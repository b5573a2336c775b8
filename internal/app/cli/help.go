package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// runHelp is the command "help [COMMAND]".
func runHelp(args []string, env environment) int {
	if len(args) == 0 || args[0] == "help" {
		printOverview(env.Out)
		return exitFine
	}
	c := find(args[0])
	if c == nil {
		env.say("%s", unknown("command", args[0]))
		return exitUsage
	}
	if len(args) > 1 && c.subs != nil {
		if c, _ = c.sub(env, args[1:]); c == nil {
			return exitUsage
		}
	}
	printHelp(env.Out, c)
	return exitFine
}

const overviewHead = `b24rules runs rules for the events of Bitrix24 portals.

Usage: b24rules COMMAND [FLAGS] [ARGUMENTS]

`

const overviewTail = `Run 'b24rules help COMMAND' for a description of a command and its flags.
Exit codes: 0 success, 1 findings or failed runs, 2 usage error, 3 the command could
not run.
`

func printOverview(w io.Writer) {
	var b strings.Builder
	b.WriteString(overviewHead)
	for _, g := range groups {
		fmt.Fprintf(&b, "%s:\n", g.title)
		for _, c := range g.commands {
			fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.short)
		}
		b.WriteString("\n")
	}
	b.WriteString(overviewTail)
	_, _ = io.WriteString(w, b.String())
}

// dashes returns the prefix of a flag: -v, --format.
func dashes(name string) string {
	if len(name) == 1 {
		return "-"
	}
	return "--"
}

func printHelp(w io.Writer, c *command) {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: b24rules %s\n\n%s\n", strings.TrimSpace(c.name+" "+c.args), strings.TrimSpace(c.long))
	if c.subs != nil {
		b.WriteString("\nCommands:\n")
		for _, s := range c.subs {
			fmt.Fprintf(&b, "  %-14s %s\n", s.name, s.short)
		}
		fmt.Fprintf(&b, "\nRun 'b24rules help %s COMMAND' for a description of a command and its flags.\n", c.name)
	}
	if c.subs != nil && !c.runnable {
		_, _ = io.WriteString(w, b.String())
		return
	}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	first := true
	fs.VisitAll(func(f *flag.Flag) {
		if first {
			b.WriteString("\nFlags:\n")
			first = false
		}
		value, text := flag.UnquoteUsage(f)
		name := strings.TrimSpace(dashes(f.Name) + f.Name + " " + value)
		fmt.Fprintf(&b, "  %-24s %s", name, text)
		if !slices.Contains([]string{"", "false", "0", "0s", "-1"}, f.DefValue) {
			fmt.Fprintf(&b, " (default %s)", f.DefValue)
		}
		b.WriteString("\n")
	})
	_, _ = io.WriteString(w, b.String())
}
