package cli

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/setup"
	"github.com/b24rules/b24rules/internal/snapshot"
)

// questions get answers from flags, from the portal, and at last from a person.
type questions struct {
	yes       bool
	given     map[string]string // inputs by flags
	variables []string          // of the environment, for secret inputs

	lines chan string // of stdin
	env   environment
}

// flags declares --input and --yes.
func (q *questions) flags(fs *flag.FlagSet) {
	q.given = map[string]string{}
	fs.BoolVar(&q.yes, "yes", false, "ask nothing")
	fs.Func("input", "the value of an input: `NAME=VALUE`, a number or what people call it; can be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("want NAME=VALUE")
		}
		q.given[name] = value
		return nil
	})
}

// ask prints a question and reads a line. hint says how to answer without a question.
func (q *questions) ask(ctx context.Context, question, hint string) (string, error) {
	if q.yes {
		return "", fmt.Errorf("%s: %s", strings.TrimRight(question, ": "), hint)
	}
	if q.lines == nil {
		q.lines = make(chan string)
		go func() {
			defer close(q.lines)
			for in := bufio.NewScanner(q.env.In); in.Scan(); {
				select {
				case q.lines <- strings.TrimSpace(in.Text()):
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	if _, err := fmt.Fprintf(q.env.Err, "%s ", question); err != nil {
		return "", err
	}
	select {
	case line, ok := <-q.lines:
		if !ok {
			q.env.say("")
			return "", fmt.Errorf("no answer, so nothing was written: %s", hint)
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// askFor asks until there is an answer, unless a flag has given one.
func (q *questions) askFor(ctx context.Context, given, question, hint string) (string, error) {
	for given == "" {
		var err error
		if given, err = q.ask(ctx, question, hint); err != nil {
			return "", err
		}
	}
	return given, nil
}

// inputs sets all inputs of a rule set. portal is what the portal has, nil if it cannot be
// asked.
func (q *questions) inputs(ctx context.Context, set *engine.RuleSet, portal *snapshot.Snapshot) (*setup.Inputs, error) {
	for name := range q.given {
		if !slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == name }) {
			return nil, valuef("--input %s: rule set %s has no input %s", name, set.Name, name)
		}
	}
	inputs := setup.NewInputs(set, portal)
	for _, in := range inputs.Order() {
		if err := q.input(ctx, inputs, in); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// input sets one input: by a flag, by what the portal has for the default, or by a
// question.
func (q *questions) input(ctx context.Context, inputs *setup.Inputs, in engine.Input) error {
	if given, ok := q.given[in.Name]; ok {
		if err := inputs.Put(in.Name, given); err != nil {
			return valuef("--input %s: %v", in.Name, err)
		}
		return nil
	}
	if in.Type == engine.TypeSecret {
		// A secret belongs into the environment, not into a file that may be in git.
		q.variables = append(q.variables, secretVariable(in.Name))
		return inputs.Put(in.Name, "${"+secretVariable(in.Name)+"}")
	}
	if guess, ok := inputs.Guess(in); ok {
		if !in.HasDefault {
			q.env.say("%s, %s: %s%s is the only one with what the rules need", in.Name, in.Title, guess, inputs.Called(in.Name, guess))
		}
		return inputs.Put(in.Name, guess)
	}
	question := fmt.Sprintf("%s, %s", in.Name, in.Title)
	if options, known := inputs.Options(in.Name); known {
		if len(options) == 0 {
			return fmt.Errorf("%s: the portal has none that the user of the credentials can see, so nothing was written", question)
		}
		if list := inputs.List(in.Name); list != "" {
			question += ": " + list
		} else {
			question += " (the portal has no custom fields there: add one, or name a standard field)"
		}
	}
	for {
		answer, err := q.askFor(ctx, "", question+":", fmt.Sprintf("name it with --input %s=VALUE", in.Name))
		if err != nil {
			return err
		}
		if err := inputs.Put(in.Name, answer); err == nil {
			return nil
		} else {
			q.env.say("%v", err)
		}
	}
}

// sayVariables names the variables of the environment that secret inputs need.
func (q *questions) sayVariables() {
	for _, name := range q.variables {
		q.env.say("next: set the variable %s of the environment, also for serve", name)
	}
}

// examine checks that the portal has what the rules need. It prints what is missing.
func (q *questions) examine(ctx context.Context, p doctor.Portal, inputs *setup.Inputs) error {
	values, _ := inputs.Set.BindInputs(inputs.Values)
	p.Rules = nil
	for _, r := range inputs.Set.Rules {
		p.Rules = append(p.Rules, doctor.Rule{Rule: r, Inputs: values})
	}
	var bad []doctor.Check
	for _, c := range doctor.Examine(ctx, p) {
		// Whether events arrive is not known before serve runs.
		if (c.State == doctor.Failed || c.State == doctor.Unknown && c.Name == "places") && c.Name != "events" && c.Name != "reachability" {
			bad = append(bad, c)
		}
	}
	if err := ctx.Err(); err != nil || len(bad) == 0 {
		return err
	}
	if err := writeChecks(q.env.Out, bad); err != nil {
		return err
	}
	q.env.say("nothing was written: follow the advice and run the command again")
	return errFindings
}
