package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
)

var explainCmd = &command{
	name:  "explain",
	args:  "[--event FILE] [--portal NAME] [--format text|json] PATH...|ACTION|CODE",
	short: "describe what rules do, what an action does, or what a finding means",
	long: `Explain describes each rule in the named files: the events that it matches, what
it reads and writes, what stops it, how long it waits for more changes of an
entity, and the cost of an event. The cost is given in REST commands of a run that
finds nothing to change, of one that finds one difference, and of one that writes
everything, and as the number of such events per second within the rate limit of a
portal's standard plan (2 requests a second, up to 50 commands in each). "-" reads
a rule file from stdin.

--event FILE shows which rules match an event, and why the others do not. FILE
is the posted form of an event, or JSON such as
  {"event": "ONCRMDEALUPDATE", "data": {"FIELDS": {"ID": "7"}}}
"-" reads it from stdin. Explain sends nothing. Inputs have their defaults.

With the name of an action or the code of a finding, explain prints its section of
the manual.

Exit codes: 0 success, 1 the rules have errors, 2 usage error, 3 a path cannot be
read.`,
	setup: func(fs *flag.FlagSet) runFunc {
		e := &explanation{}
		fs.StringVar(&e.format, "format", "text", "print as `FORMAT`: text or json")
		fs.StringVar(&e.event, "event", "", "show which rules match the event in `FILE`")
		fs.StringVar(&e.portal, "portal", "", "the `NAME` of the event's portal in the configuration")
		return e.run
	},
}

// explanation is one run of the command.
type explanation struct {
	format, event, portal string
}

func (e *explanation) run(_ context.Context, env environment, args []string) error {
	if err := oneOf("format", e.format, "text", "json"); err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("no arguments: name rule files, an action, or the code of a finding")
	}
	if e.portal != "" && e.event == "" {
		return usagef("--portal requires --event")
	}
	if len(args) == 1 && args[0] != stdinName && e.event == "" {
		if done, err := e.word(env, args[0]); done {
			return err
		}
	}
	var event *engine.Event
	if e.event != "" {
		if e.event == stdinName && contains(args, stdinName) {
			return usagef("stdin is listed twice")
		}
		ev, err := e.readEvent(env.In)
		if err != nil {
			return err
		}
		event = &ev
	}
	v := &validation{actions: env.actions, stdinPath: "stdin.yaml", sources: map[string][]byte{}, keepsSets: true}
	if err := v.read(env.In, args); err != nil {
		return err
	}
	v.list.Add(lint.Together(v.summaries)...)
	v.list.Sort()
	if v.list.HasErrors() {
		if err := diag.WriteText(env.Err, v.list, v.source, report.UsesColor(env.Err)); err != nil {
			return err
		}
		env.say("rules with errors cannot be explained")
		return errFindings
	}
	if event != nil {
		return report.WriteMatches(env.Out, e.format, e.portal, v.sets, *event)
	}
	return report.WriteRules(env.Out, e.format, v.sets, time.Now())
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// word explains a finding code or an action. It returns false if arg is a path.
func (e *explanation) word(env environment, arg string) (bool, error) {
	if text, ok := docs.Finding(arg); ok {
		return true, e.manual(env, "code", arg, text)
	}
	if _, err := os.Stat(arg); err == nil {
		return false, nil
	}
	words := docs.FindingCodes()
	for _, a := range env.actions {
		if a.Name == arg {
			return true, e.manual(env, "action", arg, describe.Action(a))
		}
		words = append(words, a.Name)
	}
	text := fmt.Sprintf("%q is not a rule file, an action or the code of a finding", arg)
	if near := diag.Closest(arg, words); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return true, &usageError{text: text}
}

// manual prints a section of the manual.
func (e *explanation) manual(env environment, kind, word, text string) error {
	if e.format == "json" {
		return report.WriteJSON(env.Out, map[string]any{"version": 1, kind: word, "markdown": text})
	}
	_, err := fmt.Fprintf(env.Out, "%s\n\n%s", word, text)
	return err
}

// readEvent reads an event as a posted form or as JSON.
func (e *explanation) readEvent(in io.Reader) (engine.Event, error) {
	var data []byte
	var err error
	if e.event == stdinName {
		data, err = io.ReadAll(in)
	} else {
		data, err = os.ReadFile(e.event)
	}
	if err != nil {
		return engine.Event{}, config.Plain(err)
	}
	data = bytes.TrimSpace(data)
	var ev engine.Event
	if bytes.HasPrefix(data, []byte("{")) {
		ev, err = jsonEvent(data)
	} else {
		ev, err = formEvent(data)
	}
	if err != nil {
		return engine.Event{}, fmt.Errorf("the event in %s: %w", e.event, err)
	}
	return ev, nil
}

func formEvent(body []byte) (engine.Event, error) {
	ev, err := bitrix.ParseEvent("", body)
	if err != nil {
		return engine.Event{}, err
	}
	data, err := json.Marshal(ev.Data)
	if err != nil {
		return engine.Event{}, err
	}
	v, err := formula.FromJSON(data)
	fields, _ := v.(map[string]any) // PHP writes an empty array for an empty map
	return engine.Event{Code: ev.Code, Data: fields, Time: ev.Time}, err
}

// jsonEvent reads an event from JSON. Values of data become text, because a portal
// sends text.
func jsonEvent(body []byte) (engine.Event, error) {
	var in struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
		TS    json.Number     `json:"ts"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return engine.Event{}, err
	}
	if in.Event == "" {
		return engine.Event{}, fmt.Errorf(`"event" is missing`)
	}
	out := engine.Event{Code: in.Event}
	if ts, err := in.TS.Int64(); err == nil {
		out.Time = time.Unix(ts, 0)
	}
	if len(in.Data) == 0 {
		return out, nil
	}
	v, err := formula.FromJSON(in.Data)
	if err != nil {
		return engine.Event{}, err
	}
	data, ok := textual(v).(map[string]any)
	if !ok {
		return engine.Event{}, fmt.Errorf(`"data" is not an object`)
	}
	out.Data = data
	return out, nil
}

// textual converts scalars to text, as in a form.
func textual(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = textual(x[k])
		}
		return x
	case []any:
		for i := range x {
			x[i] = textual(x[i])
		}
		return x
	case nil:
		return ""
	}
	text, err := formula.ToText(v)
	if err != nil {
		return v
	}
	return text
}
