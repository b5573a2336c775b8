package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
)

// A generation is the rule sets that run at one moment. It does not change.
type generation struct {
	sets []*boundSet
	// broken are the files whose text of now does not run.
	broken []brokenFile
	// notes are findings that do not keep anything from running.
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
	// running says that an earlier text of the file is still at work.
	running bool
}

// route returns the rules that hear an event of a portal.
func (g *generation) route(portal string, e engine.Event) []engine.Route {
	var out []engine.Route
	for _, s := range g.sets {
		if inputs, ok := s.inputs[portal]; ok {
			out = append(out, s.set.Route(portal, e, inputs)...)
		}
	}
	return out
}

// rule finds a rule and its inputs for a portal.
func (g *generation) rule(id, portal string) (*engine.Rule, map[string]any, bool) {
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

// checkRule refuses a rule that a portal does not have, or that no portal has
// (portal ""), and says what would be right.
func (g *generation) checkRule(id, portal string) error {
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
	return &usageError{text}
}

// missing reports whether a file is broken of which nothing runs: a rule that
// cannot be found may stand in it.
func (g *generation) missing() bool {
	return slices.ContainsFunc(g.broken, func(b brokenFile) bool { return !b.running })
}

// findings are those of all broken files.
func (g *generation) findings() diag.List {
	var all diag.List
	for _, b := range g.broken {
		all.Add(b.findings...)
	}
	all.Sort()
	return all
}

func (g *generation) of(file string) *boundSet {
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

// ruleLoader makes generations of the rule files of now.
type ruleLoader struct {
	source  ruleSource
	actions []*engine.Action // that rules may use
	portals []config.Portal

	mu      sync.Mutex // one load at a time
	current atomic.Pointer[generation]
}

// load reads the rule files again and returns the generation before and the
// one that runs now. A file with mistakes leaves what runs of it in place.
func (l *ruleLoader) load() (before, now *generation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files, err := l.source()
	if err != nil {
		return nil, nil, fmt.Errorf("read the rules: %w", plain(err))
	}
	before = l.current.Load()
	b := &builder{actions: l.actions, portals: l.portals, old: before, next: &generation{}}
	for _, f := range files {
		b.add(f)
	}
	b.settle()
	b.checkNames(files)
	l.current.Store(b.next)
	return before, b.next, nil
}

// builder makes the next generation.
type builder struct {
	actions []*engine.Action
	portals []config.Portal
	old     *generation
	next    *generation
	// same are sets that run already, fresh are those that would be new.
	same, fresh []*boundSet
}

func (b *builder) add(f ruleFile) {
	set, list := load.File(f.name, f.data, b.actions)
	if set == nil {
		b.breaks(f.name, list)
		return
	}
	bound, problems := bind(set, b.portals)
	if problems.HasErrors() {
		b.breaks(f.name, problems)
		return
	}
	b.next.notes.Add(append(list, problems...)...)
	if old := b.old.of(f.name); old != nil && old.set.Version == set.Version {
		b.same = append(b.same, old)
		return
	}
	b.fresh = append(b.fresh, bound)
}

// breaks notes a file that does not run; what runs of it stays.
func (b *builder) breaks(file string, list diag.List) {
	old := b.old.of(file)
	if old != nil {
		b.same = append(b.same, old)
	}
	list.Sort()
	b.next.broken = append(b.next.broken, brokenFile{file: file, findings: list, running: old != nil})
}

// settle takes sets back that do not get along with the others. Those that run
// already are asked first, so that the blame falls on what is new.
func (b *builder) settle() {
	for {
		all := append(slices.Clone(b.same), b.fresh...)
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

// without removes the sets of the files, new ones if there are any: every call
// leaves less that can be wrong.
func (b *builder) without(wrong map[string]diag.List) {
	blamed := func(s *boundSet) bool { _, ok := wrong[s.set.File]; return ok }
	from := &b.fresh
	if !slices.ContainsFunc(b.fresh, blamed) {
		from = &b.same
	}
	taken := slices.Clone(*from)
	*from = slices.DeleteFunc(*from, blamed)
	for _, s := range taken {
		if !blamed(s) {
			continue
		}
		if from == &b.fresh {
			b.breaks(s.set.File, wrong[s.set.File])
		} else {
			b.next.broken = append(b.next.broken, brokenFile{file: s.set.File, findings: wrong[s.set.File]})
		}
	}
}

// checkNames looks for inputs of rule sets, and rules for portals, that are not
// there.
func (b *builder) checkNames(files []ruleFile) {
	var names []string
	for _, f := range files {
		names = append(names, setName(f.name))
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

// bind gives a rule set the inputs of the portals that it is for.
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

// inputsFor are the given inputs of a rule set, with the environment's variables
// in those that are secrets. Elsewhere ${x} is text.
func inputsFor(set *engine.RuleSet, all config.Inputs, given config.SetInputs) (map[string]string, diag.List) {
	out := given.Values()
	var list diag.List
	for _, in := range set.Inputs {
		text, ok := out[in.Name]
		if in.Type != engine.TypeSecret || !ok {
			continue
		}
		filled, missing := all.Expand(text)
		for _, name := range missing {
			list.Errorf(given.Place(in.Name, true), "missing-variable", "the environment has no variable %s", name)
		}
		if len(missing) == 0 { // else the text stays: it is no secret
			out[in.Name] = filled
		}
	}
	return out, list
}
