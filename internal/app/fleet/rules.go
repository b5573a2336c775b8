package fleet

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/redact"
)

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
	Private *private.Hosts
	// Redactor gets the secret inputs of the rules. It may be nil.
	Redactor *redact.Redactor
	// Before are the rule sets that ran before the first Load. It may be nil.
	Before Before
	// Ledger says what rules have made. A rule set that would make it again does not run. It
	// may be nil.
	Ledger Ledger
	// Applied returns which versions may run. Other new versions wait. It may be nil: then each
	// version on disk may run.
	Applied func(context.Context) (Applied, error)
	// Move is called before rules run that have taken over others, with the earlier ids of
	// each. It may be nil.
	Move func(portal string, rules map[string][]string) error

	mu       sync.Mutex         // one load at a time
	forgot   map[[2]string]bool // see Forget
	current  atomic.Pointer[Generation]
	compiled map[RuleText]compiled // of the last load
	together map[string]diag.List  // of the last load: see builder.check
}

// Before are the rule sets that ran in the portals when the last process ended: portal,
// name of the rule set, text of its last good version.
type Before map[string]map[string]RuleText

// RuleText is the text of a version of a rule file.
type RuleText struct{ File, Text string }

// Current returns the rules that run now. It is nil before the first Load.
func (l *Rules) Current() *Generation { return l.current.Load() }

// Fixed returns rules of which a generation runs, without files.
func Fixed(g *Generation) *Rules {
	l := &Rules{}
	l.current.Store(g)
	return l
}

// Change loads the rules for other portals, private hosts and rule files. A nil source means
// the current one. After an error nothing has changed.
func (l *Rules) Change(portals []config.Portal, private *private.Hosts, source RuleSource) (before, now *Generation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldPortals, oldPrivate, oldSource := l.Portals, l.Private, l.Source
	l.Portals, l.Private = portals, private
	if source != nil {
		l.Source = source
	}
	if before, now, err = l.load(); err != nil {
		l.Portals, l.Private, l.Source = oldPortals, oldPrivate, oldSource
	}
	return before, now, err
}

// Load reads the rule files and returns the generation before and the new one. Of a
// file with errors, the last valid text continues to run.
func (l *Rules) Load() (before, now *Generation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load()
}

func (l *Rules) load() (before, now *Generation, err error) {
	files, err := l.Source()
	if err != nil {
		return nil, nil, fmt.Errorf("read the rules: %w", config.Plain(err))
	}
	before = l.current.Load()
	changing := false
	files = slices.DeleteFunc(files, func(f RuleFile) bool {
		changing = changing || f.Changing
		return f.Data == nil && f.Changing
	})
	b := &builder{rules: l, before: before, next: &Generation{portals: map[string]*portalRules{}, Changing: changing}, compiled: map[RuleText]compiled{}, together: map[string]diag.List{}}
	if b.made, err = readMade(l.Ledger); err != nil {
		return nil, nil, err
	}
	if b.applied, err = l.readApplied(); err != nil {
		return nil, nil, err
	}
	b.build(files)
	if b.failed != nil {
		return nil, nil, b.failed
	}
	if err := l.move(before, b.next); err != nil {
		return nil, nil, err
	}
	l.compiled, l.together = b.compiled, b.together
	l.Redactor.Set("inputs", b.next.secrets()...)
	l.current.Store(b.next)
	return before, b.next, nil
}

// OnDisk returns the rules that a portal would have if the files were loaded now. They do not run. Of a
// file with errors it has the version that runs: see Generation.Refused.
func (l *Rules) OnDisk(portal string) (*Generation, error) {
	l.mu.Lock()
	d := &Rules{Source: l.Source, Actions: l.Actions, Private: l.Private, Before: l.Before, Ledger: l.Ledger}
	for _, p := range l.Portals {
		if p.Name == portal {
			d.Portals = []config.Portal{p}
		}
	}
	hide := l.Redactor
	l.mu.Unlock()
	d.current.Store(l.Current())
	_, now, err := d.Load()
	if err == nil {
		hide.Set("inputs on disk, portal "+portal, now.secrets()...)
	}
	return now, err
}

// Forget makes later loads forget a rule set whose file is missing.
func (l *Rules) Forget(portal, set string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgot == nil {
		l.forgot = map[[2]string]bool{}
	}
	l.forgot[[2]string{portal, set}] = true
}

// HideSecrets makes a redactor hide the secret inputs of the rules, those of later loads
// too.
func (l *Rules) HideSecrets(r *redact.Redactor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Redactor = r
	if now := l.current.Load(); now != nil {
		r.Set("inputs", now.secrets()...)
	}
}

// builder makes the next generation.
type builder struct {
	rules    *Rules
	before   *Generation
	next     *Generation
	compiled map[RuleText]compiled
	together map[string]diag.List
	made     map[string][]ledger.Mark // what rules have made, by portal
	applied  Applied                  // nil if each version may run
	failed   error                    // of reading it
}

// compiled is the result of compiling a text. set is nil if it has errors.
type compiled struct {
	set  *engine.RuleSet
	list diag.List
	as   map[string]*engine.RuleSet // the instances of set, by their names
}

// compile compiles a text, once for all portals and loads.
func (b *builder) compile(t RuleText) compiled {
	c, ok := b.compiled[t]
	if !ok {
		if c, ok = b.rules.compiled[t]; !ok {
			c.set, c.list = load.File(t.File, []byte(t.Text), b.rules.Actions)
			c.as = map[string]*engine.RuleSet{}
			if c.set != nil && strings.Contains(c.set.Name, engine.InstanceSign) {
				c.list.Errorf(diag.Pos{File: t.File, Line: 1, Column: 1}, "bad-name", "the name of a rule file cannot have %s", engine.InstanceSign).
					Hintf("rename the file: %s stands before the name of an instance", engine.InstanceSign)
				c.set = nil
			}
		}
		b.compiled[t] = c
	}
	c.list = slices.DeleteFunc(slices.Clone(c.list), func(f diag.Finding) bool {
		return f.Code == private.CodeAddress && len(f.Args) > 0 && b.rules.Private.AllowHost(fmt.Sprint(f.Args[0]))
	})
	return c
}

// compileAs compiles a text as the instance that the name of a rule set has.
func (b *builder) compileAs(t RuleText, name string) compiled {
	c := b.compile(t)
	if _, instance := config.SplitInstance(name); instance != "" && c.set != nil {
		if c.as[instance] == nil {
			c.as[instance] = c.set.As(instance)
		}
		c.set = c.as[instance]
	}
	return c
}

func (b *builder) build(files []RuleFile) {
	texts := make([]RuleText, len(files))
	used := make([]bool, len(files))
	for i, f := range files {
		texts[i] = RuleText{f.Name, string(f.Data)}
		if c := b.compile(texts[i]); c.set != nil {
			b.next.notes.Add(c.list...)
		}
	}
	for _, p := range b.rules.Portals {
		d := &decision{b: b, portal: p, texts: texts}
		for i, t := range texts {
			for _, name := range d.namesOf(SetName(t.File)) {
				used[i] = d.add(t, name) || used[i]
			}
		}
		b.next.portals[p.Name] = d.decide()
	}
	b.addIdle(texts, used)
	b.checkNames(files)
	b.checkSecrets()
	b.next.notes = unique(b.next.notes)
}

// addIdle adds the rule sets that are for no portal.
func (b *builder) addIdle(texts []RuleText, used []bool) {
	for i, t := range texts {
		c := b.compile(t)
		switch {
		case used[i]:
		case c.set != nil:
			b.next.idle = append(b.next.idle, c.set)
		default:
			b.next.notes.Add(c.list...)
		}
	}
}

// checkNames reports inputs for unknown rule sets, and rules for unknown portals.
func (b *builder) checkNames(files []RuleFile) {
	var names []string
	for _, f := range files {
		names = append(names, SetName(f.Name))
	}
	for _, p := range b.rules.Portals {
		for _, s := range p.Inputs.Off {
			b.unknownSet(&b.next.notes, s, p, names)
		}
		if !p.Inputs.Only { // otherwise the portal does not take its configuration
			for _, s := range p.Inputs.Sets {
				b.unknownSet(&b.next.notes, s, p, names)
			}
		}
	}
	for _, s := range append(b.next.sets(), b.next.idle...) {
		for _, r := range s.Rules {
			for _, name := range r.Portals {
				if !slices.ContainsFunc(b.rules.Portals, func(p config.Portal) bool { return p.Name == name }) {
					b.next.notes.Warnf(r.Pos, "unknown-portal", "rule %s is for portal %q, which the configuration does not have", r.ID, name)
				}
			}
		}
	}
}

// unknownSet reports inputs for a rule set, or a use of one, that no file has.
func (b *builder) unknownSet(list *diag.List, s config.SetInputs, p config.Portal, names []string) {
	set, instance := s.Name, ""
	if p.Inputs.Only {
		set, instance = config.SplitInstance(s.Name)
	}
	if slices.Contains(names, set) {
		return
	}
	var f *diag.Finding
	if p.Inputs.Only {
		f = list.Errorf(s.Pos, "unknown-set", "no rule file is named %q, so portal %s cannot use it", set, p.Name)
	} else {
		f = list.Errorf(s.Pos, "unknown-set", "no rule file is named %q, so portal %s cannot have inputs for it", set, p.Name)
	}
	if near := diag.Closest(set, names); near != "" {
		if instance != "" {
			near += engine.InstanceSign + instance
		}
		f.Hint = "did you mean " + near + "?"
	}
}

// checkSecrets warns of hooks and robots of rules for which a portal has no secret.
func (b *builder) checkSecrets() {
	for _, p := range b.rules.Portals {
		for r := range b.next.Rules(p.Name) {
			if r.Hook != nil {
				if _, ok := p.Hooks[r.Hook.Name]; !ok {
					b.next.notes.Warnf(r.Set.Source.Pos(r.Hook.Node), "no-source-secret", "portal %s has no secret for the hook %s, so it refuses all requests", p.Name, r.Hook.Name).
						Hintf("portals: {%s: {hooks: {%s: {secret_file: …}}}}", p.Name, r.Hook.Name)
				}
			}
			if len(r.Robots) > 0 && p.Robots.Secret == "" {
				b.next.notes.Warnf(r.Set.Source.Pos(r.Robots[0].Node), "no-source-secret", "portal %s has no secret for robots, so it refuses all calls of the robot %s", p.Name, r.Robots[0].Code).
					Hintf("portals: {%s: {robots: {secret_file: …}}}", p.Name)
			}
		}
	}
}

// unique sorts findings and removes those that several portals have.
func unique(list diag.List) diag.List {
	list.Sort()
	return slices.CompactFunc(list, func(a, b diag.Finding) bool { return a.String() == b.String() && a.Code == b.Code })
}

// lastGood returns the version of a rule set that ran in a portal last, with the inputs
// that the portal has now. If these do not fit it, the version keeps its inputs.
func (b *builder) lastGood(p config.Portal, set string) *Instance {
	old := b.before.of(p.Name).find(set)
	var last *engine.RuleSet
	if old != nil {
		last = old.Set
	} else if t, ok := b.rules.Before[p.Name][set]; ok && b.before == nil {
		last = b.compileAs(t, set).set
	}
	if last == nil || !isFor(last, p.Name) {
		return nil
	}
	if now, problems := bind(last, p); !problems.HasErrors() && !b.doubles(p.Name, now, old) {
		return now
	}
	return old
}

// removed returns the rule sets that ran in the portal, or should have, and that now have no
// file, or that the portal no longer uses. Their events are kept for a while, because a
// deployment may remove a file for a short time.
func (d *decision) removed() []Refused {
	var ran []Refused
	b, portal := d.b, d.portal.Name
	if b.before == nil {
		for name, t := range b.rules.Before[portal] {
			ran = append(ran, Refused{Portal: portal, Set: name, File: t.File, last: b.compileAs(t, name).set})
		}
	}
	for _, i := range b.before.of(portal).live {
		ran = append(ran, Refused{Portal: portal, Set: i.Set.Name, File: i.Set.File, last: i.Set})
	}
	for _, r := range b.before.of(portal).refused {
		// Its events wait, also if it had errors before the file was removed. A rule that would
		// have made again what another one has made, or has its id, never had any.
		if r.Running == "" && !r.has("would-double") && !r.has("duplicate-rule") && !r.unknown {
			r.Findings = nil
			ran = append(ran, r)
		}
	}
	return slices.DeleteFunc(ran, func(r Refused) bool {
		key := [2]string{portal, r.Set}
		if uses(d.portal, d.texts, r.Set) {
			delete(b.rules.forgot, key)
			return true
		}
		return b.rules.forgot[key]
	})
}

// namesOf returns the names under which the portal runs a rule set: its own, or those of its
// instances. There are none if the portal does not use it.
func (d *decision) namesOf(set string) []string {
	if !d.portal.Inputs.Only {
		return []string{set}
	}
	var out []string
	for _, s := range d.portal.Inputs.Sets {
		if name, _ := config.SplitInstance(s.Name); name == set {
			out = append(out, s.Name)
		}
	}
	return out
}

// uses reports whether a portal runs a rule set, or an instance, that a file has.
func uses(p config.Portal, texts []RuleText, name string) bool {
	set := name
	if p.Inputs.Only {
		if _, ok := p.Inputs.Set(name); !ok {
			return false
		}
		set, _ = config.SplitInstance(name)
	}
	return slices.ContainsFunc(texts, func(t RuleText) bool { return SetName(t.File) == set })
}

// A decision is which rule sets a portal runs.
type decision struct {
	b      *builder
	portal config.Portal
	texts  []RuleText // of all files
	// running are versions that already ran, added are new ones.
	running, added []*Instance
	refused        []Refused
	partial        bool // see Rules.CheckMade
}

// add decides about a rule file under a name. It reports whether the file is for the portal.
func (d *decision) add(t RuleText, name string) bool {
	c := d.b.compileAs(t, name)
	if c.set == nil {
		d.refuse(name, t.File, c.list)
		return true
	}
	if !isFor(c.set, d.portal.Name) {
		return false
	}
	now, problems := bind(c.set, d.portal)
	if problems.HasErrors() {
		d.refuse(c.set.Name, t.File, problems)
		return true
	}
	d.b.next.notes.Add(problems...)
	if waits(d, now) {
		d.refuse(c.set.Name, t.File, notApplied(d.portal.Name, now))
		return true
	}
	if old := d.b.before.of(d.portal.Name).find(c.set.Name); old != nil && old.Set == c.set && reflect.DeepEqual(old.Inputs, now.Inputs) {
		now = old
	}
	if d.ranAs(c.set, now.Inputs) {
		d.running = append(d.running, now)
	} else {
		d.added = append(d.added, now)
	}
	return true
}

// ranAs reports whether this version of a rule set ran in the portal before, with these inputs.
func (d *decision) ranAs(set *engine.RuleSet, inputs map[string]any) bool {
	if old := d.b.before.of(d.portal.Name).find(set.Name); old != nil {
		return old.Set.Version == set.Version && reflect.DeepEqual(old.Inputs, inputs)
	}
	t, ok := d.b.rules.Before[d.portal.Name][set.Name]
	return ok && d.b.before == nil && t.Text == string(set.Source.Bytes())
}

// refuse notes a rule set whose current text does not run. Its last good version
// continues to run.
func (d *decision) refuse(set, file string, list diag.List) {
	r := Refused{Portal: d.portal.Name, Set: set, File: file, Findings: list, Text: textIn(d.texts, file)}
	r.Findings.Sort()
	old := d.b.lastGood(d.portal, set)
	if slices.ContainsFunc(list, func(f diag.Finding) bool { return f.Code == "same-place" }) {
		old = d.b.before.of(d.portal.Name).find(set) // with its inputs: the new ones are wrong
	}
	if old != nil && (old.Set.File == file || !d.hasFile(old.Set.File)) {
		d.running = append(d.running, old)
		r.Running = old.Set.Version
	}
	d.refused = append(d.refused, r)
}

// hasFile reports whether there is a rule file with a path.
func (d *decision) hasFile(path string) bool {
	return slices.ContainsFunc(d.texts, func(t RuleText) bool { return t.File == path })
}

// textIn returns the text of a rule file, "" if there is none.
func textIn(texts []RuleText, path string) string {
	if i := slices.IndexFunc(texts, func(t RuleText) bool { return t.File == path }); i >= 0 {
		return texts[i].Text
	}
	return ""
}

// decide removes rule sets that conflict with others until none does. It removes
// new versions before those that already ran.
func (d *decision) decide() *portalRules {
	unknown := d.unknown()
	if old := d.b.before.of(d.portal.Name); len(unknown) > 0 && len(old.live) > 0 {
		// It is not known what is meant, so the portal keeps all that it runs.
		kept := slices.DeleteFunc(slices.Clone(old.refused), func(r Refused) bool { return r.unknown })
		return &portalRules{live: old.live, refused: append(kept, unknown...), orphans: old.orphans}
	}
	d.refused = append(d.refused, unknown...)
	for {
		all := slices.Concat(d.running, d.added)
		wrong := map[string]diag.List{}
		for _, f := range d.b.check(all) {
			if f.Severity != diag.Error {
				d.b.next.notes.Add(f)
				continue
			}
			for _, i := range all {
				if i.Set.File == f.File {
					wrong[i.key()] = append(wrong[i.key()], f)
				}
			}
		}
		if len(wrong) == 0 {
			wrong = checkPlaces(all, d.portal)
		}
		if len(wrong) == 0 {
			wrong = d.checkMade(all)
		}
		if len(wrong) == 0 {
			return d.portalRules(all)
		}
		d.without(wrong)
	}
}

// unknown returns the rule sets that the portal uses and no file has.
func (d *decision) unknown() []Refused {
	if !d.portal.Inputs.Only {
		return nil
	}
	var names []string
	for _, t := range d.texts {
		names = append(names, SetName(t.File))
	}
	var out []Refused
	for _, s := range d.portal.Inputs.Sets {
		var list diag.List
		d.b.unknownSet(&list, s, d.portal, names)
		if len(list) > 0 {
			out = append(out, Refused{Portal: d.portal.Name, Set: s.Name, File: s.Pos.File, Findings: list, unknown: true})
		}
	}
	return out
}

// checkPlaces returns what is wrong with instances of one rule set that make the same kind of
// records in one place, by instance.
func checkPlaces(all []*Instance, portal config.Portal) map[string]diag.List {
	wrong := map[string]diag.List{}
	if !portal.Inputs.Only {
		return wrong
	}
	for n, b := range all {
		for _, a := range all[:n] {
			set, _ := config.SplitInstance(a.Set.Name)
			if other, _ := config.SplitInstance(b.Set.Name); other != set || a.Set.Name == b.Set.Name {
				continue
			}
			if place := samePlace(a, b, portal.Name); place != "" {
				s, _ := portal.Inputs.Set(b.Set.Name)
				var list diag.List
				list.Errorf(s.Pos, "same-place", "portal %s: %s and %s both write %s, so it would have the same records twice", portal.Name, a.Set.Name, b.Set.Name, PlaceName(place)).
					Hint = "give each instance another place, or remove one"
				wrong[b.key()] = list
			}
		}
	}
	return wrong
}

// samePlace returns a place in which two instances make records, "" if there is none.
func samePlace(a, b *Instance, portal string) string {
	for _, x := range candidates([]*Instance{a}, portal) {
		for _, y := range candidates([]*Instance{b}, portal) {
			if x.Place != "" && x.Kind == y.Kind && x.Place == y.Place {
				return x.Place
			}
		}
	}
	return ""
}

func (d *decision) portalRules(live []*Instance) *portalRules {
	p := &portalRules{live: live, refused: d.refused, moved: map[string]*engine.RuleSet{}}
	for _, r := range d.removed() {
		if r.last != nil && p.runAll(r.last) {
			p.moved[r.Set] = r.last
		} else {
			p.refused = append(p.refused, r)
		}
	}
	for name, last := range d.b.before.of(d.portal.Name).moved { // events may still wait for it
		if !uses(d.portal, d.texts, name) && p.runAll(last) {
			p.moved[name] = last
		}
	}
	d.findOrphans(p)
	slices.SortFunc(p.live, func(x, y *Instance) int { return strings.Compare(x.Set.File, y.Set.File) })
	slices.SortFunc(p.refused, func(x, y Refused) int { return strings.Compare(x.File, y.File) })
	return p
}

// check returns the findings of rule sets that run in one portal. Portals with the same
// versions share the work.
func (b *builder) check(all []*Instance) diag.List {
	sets := make([]*engine.RuleSet, len(all))
	var key strings.Builder
	for i, one := range all {
		sets[i] = one.Set
		fmt.Fprintf(&key, "%s\x00%s\x00", one.key(), one.Set.Version)
	}
	list, ok := b.together[key.String()]
	if !ok {
		if list, ok = b.rules.together[key.String()]; !ok {
			list = lint.Together(lint.Summarize(sets...))
		}
		b.together[key.String()] = list
	}
	return list
}

// without removes the rule sets with conflicts: the new ones if there are any, otherwise
// those that already run. So each call removes a rule set.
func (d *decision) without(wrong map[string]diag.List) {
	blamed := func(i *Instance) bool { return wrong[i.key()] != nil }
	if !slices.ContainsFunc(d.added, blamed) {
		for _, i := range d.running {
			if blamed(i) {
				d.stop(i, wrong[i.key()])
			}
		}
		d.running = slices.DeleteFunc(d.running, blamed)
		return
	}
	added := d.added
	d.added = slices.DeleteFunc(slices.Clone(added), blamed)
	for _, i := range added {
		if blamed(i) {
			d.refuse(i.Set.Name, i.Set.File, wrong[i.key()])
		}
	}
}

// stop notes that a version that already ran no longer runs.
func (d *decision) stop(i *Instance, list diag.List) {
	at := slices.IndexFunc(d.refused, func(r Refused) bool { return r.File == i.Set.File && r.Set == i.Set.Name })
	if at < 0 {
		at, d.refused = len(d.refused), append(d.refused, Refused{Portal: d.portal.Name, Set: i.Set.Name, File: i.Set.File, Text: textIn(d.texts, i.Set.File)})
	}
	d.refused[at].Running = ""
	d.refused[at].Findings.Add(list...)
}
