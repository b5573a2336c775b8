package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

var completionCmd = &command{
	name:  "completion",
	args:  "bash|zsh|fish",
	short: "print a script that completes commands and flags in a shell",
	long: `Completion prints a script for a shell. The script knows all commands and flags of
this program. The packages for Linux install it. Otherwise write it to the folder of
your shell:

  b24rules completion bash > ~/.local/share/bash-completion/completions/b24rules
  b24rules completion zsh  > "${fpath[1]}/_b24rules"
  b24rules completion fish > ~/.config/fish/completions/b24rules.fish

Exit codes: 0 success, 2 usage error.`,
	setup: func(*flag.FlagSet) runFunc { return runCompletion },
}

// shells are the shells that completion knows, with the function that writes the script.
var shells = []struct {
	name  string
	write func(b *bytes.Buffer, commands []completable)
}{{"bash", bashCompletion}, {"zsh", zshCompletion}, {"fish", fishCompletion}}

func runCompletion(_ context.Context, env environment, args []string) error {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	if len(args) != 1 {
		return usagef("want the name of one shell: %s", diag.Alternatives(names))
	}
	for _, s := range shells {
		if s.name == args[0] {
			var b bytes.Buffer
			s.write(&b, completables(env.commands))
			_, err := env.Out.Write(b.Bytes())
			return err
		}
	}
	return usagef("unknown shell %q: want %s", args[0], diag.Alternatives(names))
}

// completable is a command as a shell completes it.
type completable struct {
	path        []string // its words, without the program's name
	short       string
	flags       []completableFlag
	subcommands []completable
	runnable    bool // without a subcommand
}

// name is the last word of the command.
func (c completable) name() string { return c.path[len(c.path)-1] }

type completableFlag struct {
	name, usage string
	value       string // the placeholder of its value, "" for a switch
}

// isPath reports whether the value of the flag is the path of a file or a folder.
func (f completableFlag) isPath() bool { return f.value == "FILE" || f.value == "DIR" }

// completables describes commands and their subcommands.
func completables(commands []*command) []completable {
	var out []completable
	for _, c := range commands {
		d := completable{path: strings.Fields(c.name), short: c.short, subcommands: completables(c.subs), runnable: c.subs == nil || c.runnable}
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		c.setup(fs)
		fs.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			d.flags = append(d.flags, completableFlag{name: dashes(f.Name) + f.Name, usage: usage, value: value})
		})
		out = append(out, d)
	}
	return out
}

// runnable returns the commands that can be run: a command that needs a subcommand is
// replaced by them.
func runnable(commands []completable) []completable {
	var out []completable
	for _, c := range commands {
		if c.runnable {
			out = append(out, c)
		}
		out = append(out, c.subcommands...)
	}
	return out
}

// names returns the last words of commands, separated by blanks.
func names(commands []completable) string {
	var out []string
	for _, c := range commands {
		out = append(out, c.name())
	}
	return strings.Join(out, " ")
}

func bashCompletion(b *bytes.Buffer, commands []completable) {
	b.WriteString(`# bash completion of b24rules, written by: b24rules completion bash
_b24rules() {
	local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= place=$COMP_CWORD
`)
	fmt.Fprintf(b, "\tcase $command in\n")
	for _, c := range commands {
		if len(c.subcommands) == 0 {
			continue
		}
		fmt.Fprintf(b, "\t%s)\n\t\tif ((place == 2)); then\n\t\t\tCOMPREPLY=($(compgen -W %q -- \"$current\"))\n\t\t\treturn\n\t\tfi\n\t\tcommand=\"$command ${COMP_WORDS[2]}\"\n\t\t;;\n", c.name(), names(c.subcommands))
	}
	fmt.Fprintf(b, "\tesac\n\tif ((place == 1)); then\n\t\tCOMPREPLY=($(compgen -W %q -- \"$current\"))\n\t\treturn\n\tfi\n\tcase $command in\n", names(commands)+" help")
	for _, c := range runnable(commands) {
		var flags []string
		for _, f := range c.flags {
			flags = append(flags, f.name)
		}
		fmt.Fprintf(b, "\t%q) words=%q ;;\n", strings.Join(c.path, " "), strings.Join(flags, " "))
	}
	fmt.Fprintf(b, "\thelp) COMPREPLY=($(compgen -W %q -- \"$current\")); return ;;\n\tesac\n", names(commands))
	b.WriteString(`	# Without an answer bash completes names of files.
	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$words" -- "$current"))
	fi
}
complete -o default -F _b24rules b24rules
`)
}

// quoteShell quotes text for zsh and fish.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func zshCompletion(b *bytes.Buffer, commands []completable) {
	// A colon or a bracket would end a description.
	plain := strings.NewReplacer(":", `\:`, "[", "(", "]", ")")
	describe := func(indent string, commands []completable) {
		fmt.Fprintf(b, "%slocal -a commands=(\n", indent)
		for _, c := range commands {
			fmt.Fprintf(b, "%s\t%s\n", indent, quoteShell(c.name()+":"+plain.Replace(c.short)))
		}
		fmt.Fprintf(b, "%s)\n%s_describe command commands\n", indent, indent)
	}
	b.WriteString("#compdef b24rules\n# zsh completion of b24rules, written by: b24rules completion zsh\n_b24rules() {\n\tif ((CURRENT == 2)); then\n")
	describe("\t\t", append(commands, completable{path: []string{"help"}, short: "describe a command"}))
	b.WriteString("\t\treturn\n\tfi\n\tlocal command=$words[2]\n\tcase $command in\n")
	for _, c := range commands {
		if len(c.subcommands) == 0 {
			continue
		}
		fmt.Fprintf(b, "\t%s)\n\t\tif ((CURRENT == 3)); then\n", c.name())
		describe("\t\t\t", c.subcommands)
		b.WriteString("\t\t\treturn\n\t\tfi\n\t\tcommand=\"$command $words[3]\"\n\t\t;;\n")
	}
	b.WriteString("\thelp)\n")
	describe("\t\t", commands)
	b.WriteString("\t\treturn\n\t\t;;\n\tesac\n\tcase $command in\n")
	for _, c := range runnable(commands) {
		fmt.Fprintf(b, "\t%q)\n\t\t_arguments -S", strings.Join(c.path, " "))
		for _, f := range c.flags {
			spec := f.name + "[" + plain.Replace(f.usage) + "]"
			switch {
			case f.isPath():
				spec += ":" + f.value + ":_files"
			case f.value != "":
				spec += ":" + f.value + ":"
			}
			fmt.Fprintf(b, " \\\n\t\t\t%s", quoteShell(spec))
		}
		b.WriteString(" \\\n\t\t\t'*:file:_files'\n\t\t;;\n")
	}
	b.WriteString("\tesac\n}\n# zsh runs this file as the function; a file that is sourced registers it.\nif [[ $funcstack[1] == _b24rules ]]; then\n\t_b24rules \"$@\"\nelse\n\tcompdef _b24rules b24rules\nfi\n")
}

func fishCompletion(b *bytes.Buffer, commands []completable) {
	b.WriteString("# fish completion of b24rules, written by: b24rules completion fish\n")
	all := names(commands)
	command := func(condition string, c completable) {
		fmt.Fprintf(b, "complete -c b24rules -f -n %s -a %s -d %s\n", quoteShell(condition), c.name(), quoteShell(c.short))
	}
	first := "not __fish_seen_subcommand_from " + all + " help"
	for _, c := range commands {
		command(first, c)
		command("__fish_seen_subcommand_from help", c)
	}
	command(first, completable{path: []string{"help"}, short: "describe a command"})
	for _, c := range commands {
		for _, s := range c.subcommands {
			command("__fish_seen_subcommand_from "+c.name()+"; and not __fish_seen_subcommand_from "+names(c.subcommands), s)
		}
	}
	for _, c := range runnable(commands) {
		var conditions []string
		for _, word := range c.path {
			conditions = append(conditions, "__fish_seen_subcommand_from "+word)
		}
		for _, f := range c.flags {
			kind := "-l"
			if len(strings.TrimLeft(f.name, "-")) == 1 {
				kind = "-s"
			}
			fmt.Fprintf(b, "complete -c b24rules -n %s %s %s -d %s", quoteShell(strings.Join(conditions, "; and ")), kind, strings.TrimLeft(f.name, "-"), quoteShell(f.usage))
			switch {
			case f.isPath():
				b.WriteString(" -r")
			case f.value != "":
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
	}
}
