package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/redact"
)

// A Generation is the rule sets that run at one time. It does not change.
type Generation struct {
	sets []*boundSet
	// broken are the files whose current text does not run.
	broken []brokenFile
	// notes are findings that do not prevent rules from running.
	notes diag.List
}

// boundSet is a rule set with the inputs of each portal that it is for.
type boundSet struct {
	set    *engine.RuleSet
	inputs map[string]map[string]any
}

// brokenFile is a rule file with mistakes.
type brokenFile struct {
	file     string
	findings diag.List
	// running says that an earlier text of the file still runs.
	running bool
}

// route returns the rules that match an event of a portal.
func (g *Generation) route(portal string, e engine.Event) []engine.Route {
	var out []engine.Route
	for _, s := range g.sets {
		if inputs, ok := s.inputs[portal]; ok {
			out = append(out, s.set.Route(portal, e, inputs)...)
		}
	}
	return out
}

// Rule finds a rule and its inputs for a portal.
func (g *Generation) Rule(id, portal string) (*engine.Rule, map[string]any, bool) {
	for _, s := range g.sets {
		inputs, ok := s.inputs[portal]
		if !ok {
			continue
		}
		for _, r := range s.set.Rules {
			if r.ID == id && servesPortal(r, portal) {
				return r, inputs, true
			}
		}
	}
	return nil, nil, false
}

// CheckRule returns an error for a rule that a portal does not have. With the portal
// "" it returns an error for a rule that no portal has. The error names a similar
// rule.
func (g *Generation) CheckRule(id, portal string) error {
	var here, others []string
	for _, s := range g.sets {
		for _, r := range s.set.Rules {
			for name := range s.inputs {
				switch {
				case !servesPortal(r, name):
					continue
				case portal == "" || portal == name:
					here = append(here, r.ID)
				case r.ID == id:
					others = append(others, name)
				}
			}
		}
	}
	if slices.Contains(here, id) {
		return nil
	}
	text := fmt.Sprintf("portal %s has no rule %q", portal, id)
	if portal == "" {
		text = fmt.Sprintf("no portal has a rule %q", id)
	}
	slices.Sort(others)
	if near := diag.Closest(id, here); len(others) > 0 {
		text += ": it is for " + strings.Join(others, ", ")
	} else if near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return errors.New(text)
}

// Missing reports whether a broken file has no earlier text that runs. It may
// contain a rule that was not found.
func (g *Generation) Missing() bool {
	return slices.ContainsFunc(g.broken, func(b brokenFile) bool { return !b.running })
}

// Findings returns the findings of all broken files.
func (g *Generation) Findings() diag.List {
	var all diag.List
	for _, b := range g.broken {
		all.Add(b.findings...)
	}
	all.Sort()
	return all
}

// Notes returns the findings that do not prevent rules from running.
func (g *Generation) Notes() diag.List { return g.notes }

// StartFindings returns the errors with which serve must not start: those of the
// configuration in path, and those of the rules if no rule set is valid.
func (g *Generation) StartFindings(path string) diag.List {
	var config, all diag.List
	config.Add(g.notes...)
	for _, b := range g.broken {
		all.Add(b.findings...)
		for _, f := range b.findings {
			if f.File == path {
				config.Add(f)
			}
		}
	}
	if config.HasErrors() {
		config.Sort()
		return config
	}
	if len(g.sets) > 0 {
		return nil
	}
	if len(all) == 0 {
		all.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "no-rules", "the paths in rules have no rule file")
	}
	all.Sort()
	return all
}

func (g *Generation) of(file string) *boundSet {
	if g == nil {
		return nil
	}
	for _, s := range g.sets {
		if s.set.File == file {
			return s
		}
	}
	return nil
}

func servesPortal(r *engine.Rule, portal string) bool {
	return len(r.Portals) == 0 || slices.Contains(r.Portals, portal)
}

// Rules are the rules of a service, loaded from files that may change.
type Rules struct {
	// Source reads the rule files.
	Source RuleSource
	// Actions are the actions that rules may use.
	Actions []*engine.Action
	// Portals are those of the configuration, with the inputs of rule sets.
	Portals []config.Portal
	// Private are the private hosts that the configuration allows: rules with their
	// addresses have no warning.
	Private *engine.PrivateHosts
	// Redactor gets the secret inputs of the rules. It may be nil.
	Redactor *redact.Redactor

	mu      sync.Mutex // one load at a time
	current atomic.Pointer[Generation]
}

// Current returns the rules that run now. It is nil before the first Load.
func (l *Rules) Current() *Generation { return l.current.Load() }

// Load reads the rule files and returns the generation before and the new one. Of a
// file with errors, the last valid text continues to run.
func (l *Rules) Load() (before, now *Generation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files, err := l.Source()
	if err != nil {
		return nil, nil, fmt.Errorf("read the rules: %w", Plain(err))
	}
	before = l.current.Load()
	b := &builder{actions: l.Actions, portals: l.Portals, private: l.Private, old: before, next: &Generation{}}
	for _, f := range files {
		b.add(f)
	}
	b.finish()
	b.checkNames(files)
	l.Redactor.Set("inputs", b.next.secrets()...)
	l.current.Store(b.next)
	return before, b.next, nil
}

// hideSecrets makes a redactor hide the secret inputs of the rules, those of later loads
// too.
func (l *Rules) hideSecrets(r *redact.Redactor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Redactor = r
	if now := l.current.Load(); now != nil {
		r.Set("inputs", now.secrets()...)
	}
}

// secrets returns the secret inputs of the rules.
func (g *Generation) secrets() []string {
	var out []string
	for _, s := range g.sets {
		for _, inputs := range s.inputs {
			for _, v := range inputs {
				if secret, ok := v.(bitrix.Secret); ok {
					out = append(out, secret.Reveal())
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// builder makes the next generation.
type builder struct {
	actions []*engine.Action
	portals []config.Portal
	private *engine.PrivateHosts
	old     *Generation
	next    *Generation
	// running are sets that already run, added are new ones.
	running, added []*boundSet
}

func (b *builder) add(f RuleFile) {
	set, list := load.File(f.Name, f.Data, b.actions)
	list = slices.DeleteFunc(list, func(f diag.Finding) bool {
		return f.Code == engine.CodePrivateAddress && len(f.Args) > 0 && b.private.AllowHost(fmt.Sprint(f.Args[0]))
	})
	if set == nil {
		b.breaks(f.Name, list)
		return
	}
	bound, problems := bind(set, b.portals)
	if problems.HasErrors() {
		b.breaks(f.Name, problems)
		return
	}
	b.next.notes.Add(append(list, problems...)...)
	if old := b.old.of(f.Name); old != nil && old.set.Version == set.Version {
		b.running = append(b.running, old)
		return
	}
	b.added = append(b.added, bound)
}

// breaks notes a broken file. Its last valid text continues to run.
func (b *builder) breaks(file string, list diag.List) {
	old := b.old.of(file)
	if old != nil {
		b.running = append(b.running, old)
	}
	list.Sort()
	b.next.broken = append(b.next.broken, brokenFile{file: file, findings: list, running: old != nil})
}

// finish removes sets that conflict with others until no set does. It removes new
// sets before sets that already run.
func (b *builder) finish() {
	for {
		all := append(slices.Clone(b.running), b.added...)
		sets := make([]*engine.RuleSet, len(all))
		for i, s := range all {
			sets[i] = s.set
		}
		wrong := map[string]diag.List{}
		for _, f := range lint.Together(sets) {
			if f.Severity == diag.Error {
				wrong[f.File] = append(wrong[f.File], f)
			} else {
				b.next.notes.Add(f)
			}
		}
		if len(wrong) == 0 {
			slices.SortFunc(all, func(x, y *boundSet) int { return strings.Compare(x.set.File, y.set.File) })
			b.next.sets = all
			return
		}
		b.without(wrong)
	}
}

// without removes the sets of files with conflicts: the new ones if there are any,
// otherwise those that already run. So each call removes a set.
func (b *builder) without(wrong map[string]diag.List) {
	blamed := func(s *boundSet) bool { _, ok := wrong[s.set.File]; return ok }
	from := &b.added
	if !slices.ContainsFunc(b.added, blamed) {
		from = &b.running
	}
	taken := slices.Clone(*from)
	*from = slices.DeleteFunc(*from, blamed)
	for _, s := range taken {
		if !blamed(s) {
			continue
		}
		if from == &b.added {
			b.breaks(s.set.File, wrong[s.set.File])
		} else {
			b.next.broken = append(b.next.broken, brokenFile{file: s.set.File, findings: wrong[s.set.File]})
		}
	}
}

// checkNames reports inputs for unknown rule sets, and rules for unknown portals.
func (b *builder) checkNames(files []RuleFile) {
	var names []string
	for _, f := range files {
		names = append(names, SetName(f.Name))
	}
	for _, p := range b.portals {
		for _, s := range p.Inputs.Sets {
			if slices.Contains(names, s.Name) {
				continue
			}
			f := b.next.notes.Errorf(s.Pos, "unknown-set", "no rule file is named %q, so portal %s cannot have inputs for it", s.Name, p.Name)
			if near := diag.Closest(s.Name, names); near != "" {
				f.Hint = "did you mean " + near + "?"
			}
		}
	}
	for _, s := range b.next.sets {
		for _, r := range s.set.Rules {
			for _, name := range r.Portals {
				if !slices.ContainsFunc(b.portals, func(p config.Portal) bool { return p.Name == name }) {
					b.next.notes.Warnf(r.Pos, "unknown-portal", "rule %s is for portal %q, which the configuration does not have", r.ID, name)
				}
			}
		}
	}
	b.next.notes.Sort()
}

// bind gives a rule set the inputs of its portals.
func bind(set *engine.RuleSet, portals []config.Portal) (*boundSet, diag.List) {
	out := &boundSet{set: set, inputs: map[string]map[string]any{}}
	var list diag.List
	for _, p := range portals {
		if !slices.ContainsFunc(set.Rules, func(r *engine.Rule) bool { return servesPortal(r, p.Name) }) {
			continue
		}
		here, ok := p.Inputs.Set(set.Name)
		if !ok {
			here.Pos = p.Pos
		}
		given, missing := inputsFor(set, p.Inputs, here)
		list.Add(missing...)
		values, problems := set.BindInputs(given)
		if len(problems) == 0 {
			problems = lint.BindProblems(set, values)
		}
		for _, problem := range problems {
			known := slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == problem.Name })
			f := problem.Finding
			f.Pos, f.Message, f.Args = here.Place(problem.Name, known), "portal %s: "+f.Message, append([]any{p.Name}, f.Args...)
			list.Add(f)
		}
		out.inputs[p.Name] = values
	}
	return out, list
}

// inputsFor returns the given inputs of a rule set. In secrets it replaces ${x} by a
// variable of the environment; in other inputs ${x} is text.
func inputsFor(set *engine.RuleSet, all config.Inputs, given config.SetInputs) (map[string]string, diag.List) {
	out := given.Values()
	var list diag.List
	for _, in := range set.Inputs {
		text, ok := out[in.Name]
		if ok && in.Type != engine.TypeSecret && strings.Contains(text, "${") {
			list.Warnf(given.Place(in.Name, true), "invalid-value", "the input %s is not a secret, so ${ in it is text", in.Name).
				Hint = "write the value itself"
		}
		if in.Type != engine.TypeSecret || !ok {
			continue
		}
		filled, missing := all.Expand(text)
		for _, name := range missing {
			list.Errorf(given.Place(in.Name, true), "missing-variable", "%s", config.MissingVariable(name))
		}
		if len(missing) == 0 { // otherwise the text stays, it is no secret
			out[in.Name] = strings.TrimSpace(filled)
		}
	}
	return out, list
}
