// Package cli is the command line of b24rules.
package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/redact"
)

// Main runs the program with the arguments that follow its name and returns its
// exit code.
func Main(ctx context.Context, args []string, std Std, actions []*engine.Action) int {
	return runCommand(ctx, args, environment{Std: std, actions: actions})
}

// Exit codes. They are part of the command line: scripts rely on them.
const (
	exitFine     = 0
	exitFindings = 1 // findings, or runs that failed
	exitUsage    = 2 // the command line is wrong
	exitFailure  = 3 // the command could not run
)

// Std are the standard streams: results go to Out, everything else to Err.
type Std struct {
	In       io.Reader
	Out, Err io.Writer
}

// environment is what a command gets from its caller.
type environment struct {
	Std
	actions  []*engine.Action // that rules may use
	commands []*command       // all commands of the program
	// redactor hides secrets in everything that the command shows or stores.
	redactor *redact.Redactor
	// lines is the log of a command whose stderr is a stream of JSON; nil means text.
	lines *slog.Logger
}

// say writes a line to stderr, in a stream of JSON as one of its lines.
func (env environment) say(format string, args ...any) {
	if env.lines != nil {
		env.lines.Info(fmt.Sprintf(format, args...))
		return
	}
	env.Std.say(format, args...)
}

// errLogged is returned by a command that has logged why it failed.
var errLogged = errors.New("logged")

// logged logs an error of a command whose stderr is a stream of JSON.
func (env environment) logged(err error) error {
	switch {
	case env.lines == nil || errors.Is(err, errFindings):
		return err
	case errors.Is(err, context.Canceled):
		env.lines.Info("interrupted")
	default:
		env.lines.Error("serve has ended", "error", env.redactor.Error(err))
	}
	return errLogged
}

// say writes a line to stderr.
func (s Std) say(format string, args ...any) {
	// A failure cannot be reported anywhere else.
	_, _ = fmt.Fprintf(s.Err, "b24rules: "+format+"\n", args...)
}

// shared returns a writer that the log and say can use at the same time. A file is
// one already.
func shared(w io.Writer) io.Writer {
	if _, ok := w.(*os.File); ok {
		return w
	}
	return &lockedWriter{w: w}
}

// lockedWriter lets one Write of w run at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// A command is one entry of the command table.
type command struct {
	name  string
	args  string // what may follow the name, for the usage line
	short string // for the list of commands
	long  string // for help
	// setup declares the command's flags and returns the function that runs the
	// command with the other arguments.
	setup func(fs *flag.FlagSet) runFunc
	// subs are subcommands. Their names start with the name of this command: "runs
	// list". A command with subcommands does nothing else, unless it is runnable.
	subs     []*command
	runnable bool
}

type runFunc func(ctx context.Context, env environment, args []string) error

// group are commands under one title of the help text.
type group struct {
	title    string
	commands []*command
}

// groups are all commands, in the order of the help text. The first five are those that
// everybody needs.
var groups = []group{
	{"Every day", []*command{validateCmd, testCmd, planCmd, serveCmd, statusCmd}},
	{"Getting started", []*command{initCmd, doctorCmd, catalogueCmd, emulatorCmd, demoCmd}},
	{"Writing rules", []*command{explainCmd, fmtCmd, schemaCmd}},
	{"Running rules", []*command{runCmd, syncCmd, driftCmd, shadowCmd}},
	{"Looking back", []*command{runsCmd, eventsCmd, whyCmd, auditCmd}},
	{"Changing rules that have made records", []*command{applyCmd, adoptCmd, releaseCmd, pruneCmd}},
	{"Operating", []*command{reloadCmd, catchupCmd, alertsCmd, consoleCmd, backupCmd, restoreCmd, unbindCmd, completionCmd, versionCmd}},
}

// commands are all commands.
var commands = func() (all []*command) {
	for _, g := range groups {
		all = append(all, g.commands...)
	}
	return all
}()

// errFindings ends a command that has printed findings.
var errFindings = errors.New("findings")

// usageError is an error of the command line. The usage line follows it, unless it is about
// a value.
type usageError struct {
	text    string
	isValue bool
}

func (e *usageError) Error() string { return e.text }

// usageOf converts err to a usageError. nil stays nil.
func usageOf(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{text: err.Error()}
}

func usagef(format string, args ...any) error { return &usageError{text: fmt.Sprintf(format, args...)} }

// valuef is an error of a value that was given.
func valuef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), isValue: true}
}

// runCommand runs the command that args name and returns the exit code.
func runCommand(ctx context.Context, args []string, env environment) int {
	if env.redactor == nil {
		env.redactor = redact.New()
	}
	if len(args) == 0 {
		printOverview(env.Err)
		return exitUsage
	}
	name := args[0]
	env.Err = shared(env.Err)
	switch name {
	case "help", "-h", "-help", "--help":
		return runHelp(args[1:], env)
	case "-version", "--version":
		name = versionCmd.name
	}
	c := find(name)
	if c == nil {
		env.say("%s", unknown("command", name))
		env.say("run 'b24rules help' for the list of commands")
		return exitUsage
	}
	args = args[1:]
	env.commands = commands
	if c.subs != nil && !c.runsItself(args) {
		if c, args = c.sub(env, args); c == nil {
			return exitUsage
		}
	}
	return exitCode(c, env, execute(ctx, c, env, args))
}

// runsItself reports whether args name none of the subcommands of a command that can run
// without one.
func (c *command) runsItself(args []string) bool {
	return c.runnable && (len(args) == 0 || !slices.ContainsFunc(c.subs, func(s *command) bool { return s.name == c.name+" "+args[0] }))
}

// sub returns the subcommand that args name and its arguments. It prints an error if
// args name none.
func (c *command) sub(env environment, args []string) (*command, []string) {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		if len(args) > 0 {
			return &command{name: c.name, setup: func(*flag.FlagSet) runFunc {
				return func(context.Context, environment, []string) error { printHelp(env.Out, c); return nil }
			}}, nil
		}
		printHelp(env.Err, c)
		return nil, nil
	}
	for _, s := range c.subs {
		if s.name == c.name+" "+args[0] {
			return s, args[1:]
		}
	}
	words := make([]string, len(c.subs))
	for i, s := range c.subs {
		words[i] = strings.TrimPrefix(s.name, c.name+" ")
	}
	text := fmt.Sprintf("%s: unknown command %q: want %s", c.name, args[0], diag.Alternatives(words))
	if near := diag.Closest(args[0], words); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	env.say("%s", text)
	return nil, nil
}

func execute(ctx context.Context, c *command, env environment, args []string) error {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	do := c.setup(fs)
	rest, err := parseFlags(fs, args)
	if err != nil {
		return err
	}
	return do(ctx, env, rest)
}

// exitCode prints err, unless the command has printed it, and returns the exit code.
func exitCode(c *command, env environment, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, flag.ErrHelp):
		printHelp(env.Out, c)
		return exitFine
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.As(err, &usage):
		env.say("%s: %s", c.name, env.redactor.Text(usage.text))
		if !usage.isValue {
			env.say("usage: b24rules %s", strings.TrimSpace(c.name+" "+c.args))
		}
		return exitUsage
	case errors.Is(err, errLogged):
		return exitFailure
	case errors.Is(err, context.Canceled):
		env.say("interrupted")
		return exitFailure
	}
	env.say("%v", env.redactor.Error(err))
	return exitFailure
}

// parseFlags reads the flags at any place and returns the other arguments. After "--"
// all are arguments.
func parseFlags(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, flagError(fs, err)
		}
		used := len(args) - fs.NArg()
		if used > 0 && args[used-1] == "--" {
			return append(rest, args[used:]...), nil
		}
		args = fs.Args()
		if len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// wrongValue matches the flag package's error for a value of the wrong type.
var wrongValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]+): `)

// valueKinds describe the values of flags by placeholder.
var valueKinds = map[string]string{"": "true or false", "N": "a number", "RUN": "a number"}

// flagError rewords an error of the flag package.
func flagError(fs *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		what, _ := flag.UnquoteUsage(fs.Lookup(name))
		return usagef("--%s needs a value: --%s %s", name, name, what)
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		what, _ := flag.UnquoteUsage(fs.Lookup(m[2]))
		return usagef("--%s %s: want %s", m[2], m[1], cmp.Or(valueKinds[what], what))
	}
	name, ok := strings.CutPrefix(text, "flag provided but not defined: ")
	if !ok {
		return usagef("%v", err)
	}
	name = strings.TrimLeft(name, "-")
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	text = fmt.Sprintf("unknown flag --%s", name)
	if near := diag.Closest(name, names); near != "" {
		text += fmt.Sprintf(" (did you mean --%s?)", near)
	}
	return usagef("%s", text)
}

func find(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func unknown(what, name string) string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	text := fmt.Sprintf("unknown %s %q", what, name)
	if near := diag.Closest(name, append(names, "help")); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return text
}

// oneOf checks that the value of a flag is one of words.
func oneOf(name, value string, words ...string) error {
	for _, w := range words {
		if value == w {
			return nil
		}
	}
	text := fmt.Sprintf("--%s %q: want %s", name, value, diag.Alternatives(words))
	if near := diag.Closest(value, words); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return usagef("%s", text)
}

// none returns an error if there are arguments.
func none(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
