package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// The two lists of steps that a rule has.
const (
	partSteps   = "steps"
	partDeleted = "deleted"
)

// Defaults of a rule.
const (
	defaultDebounce = time.Second
	ceilingFactor   = 10 // a debounce of 1s delays a run by at most 10s
)

func (c *ruleCompiler) readRule(e yamlfile.Entry, vars formula.Type) *engine.Rule {
	r := &engine.Rule{ID: e.Name, Node: e.Key, Set: c.set, Owner: e.Name, Pos: c.file.Pos(e.Key), Debounce: defaultDebounce, Ceiling: defaultDebounce * ceilingFactor}
	c.rule = r
	if !ruleID(e.Name) {
		c.Errorf(e.Key, "bad-name", "%q cannot be the id of a rule", e.Name).Hint = ruleIDHint
	}
	m, ok := c.mapping(e.Value)
	if !ok {
		return nil
	}
	c.keys(m, diag.Phrasef("a rule"), ruleKeyNames...)
	c.ruleOptions(r, m)
	if s := c.portal.Portal(); s != nil && (len(r.Portals) == 0 || slices.Contains(r.Portals, s.Portal)) {
		c.known = c.portal
	}
	about, hasAbout := m.Get("about")
	on, ok := m.Get("on")
	if !ok && !hasAbout {
		if key := inStep(m, "on"); key != nil {
			c.Errorf(key, "missing-key", "rule %q has no events: on belongs to the rule and not to a step", e.Name).Hint = "write it next to steps"
			return nil
		}
		c.Errorf(e.Key, "missing-key", "rule %q has no events", e.Name).Hint = "add on: [ONCRMDEALUPDATE]"
		return nil
	}
	if ok {
		c.readTriggers(r, on)
	}
	if hasAbout && r.Hook == nil {
		c.readAbout(r, about.Value)
	} else if len(r.Schedules) > 0 && len(r.Triggers)+len(r.Robots) == 0 {
		r.AboutKind = &engine.About{Portal: true}
	}
	sources := &sourceCompiler{c}
	sources.hookAlone(r, m)
	sources.checkEntityOfRobots(r, m)
	k := c.ruleNames(r, vars)
	sources.scheduleFilters(r)
	sources.hookKey(r, m)
	if w, ok := m.Get("entity"); ok {
		r.Entity = c.readEntity(w.Value, before(k.env(nil), r))
	}
	if w, ok := m.Get("when"); ok {
		r.When = c.value(w.Value, want{typ: formula.Type{Kind: formula.Bool}, what: diag.Phrasef("when")}, before(k.env(nil), r))
	}
	c.ruleSteps(r, m, e, k)
	_, waits := m.Get("debounce")
	r.Early = !waits && r.RunsEarly()
	return r
}

// ruleOptions reads the plain keys of a rule.
func (c *ruleCompiler) ruleOptions(r *engine.Rule, m yamlfile.Mapping) {
	defer func() {
		if _, named := m.Get("owner"); !named && len(r.From) > 0 {
			r.Owner = r.From[0]
		}
	}()
	for _, e := range m.Entries {
		switch e.Name {
		case "title":
			r.Title = c.text(e.Value, "title")
		case "owner":
			r.Owner = c.text(e.Value, "owner")
			if !ruleID(r.Owner) {
				c.Errorf(e.Value, "bad-name", "%q cannot be the name of an owner", r.Owner).Hint = ruleIDHint
			}
		case "moved":
			c.readMoved(r, e.Value)
		case "debounce":
			c.readDebounce(r, e.Value)
		case "limits":
			if c.wantMapping(e.Value, diag.Phrasef("limits takes calls and deletes"), "limits: {calls: 50}") {
				c.list = append(c.list, yamlfile.Decode(c.file, e.Value, &r.Limits)...)
			}
		case "portals":
			c.list = append(c.list, yamlfile.Decode(c.file, e.Value, &r.Portals)...)
		}
	}
}

// readMoved reads `{from: old}` or `{from: [oldest, older]}`.
func (c *ruleCompiler) readMoved(r *engine.Rule, n *yaml.Node) {
	if !c.wantMapping(n, diag.Phrasef("moved takes from"), "moved: {from: OLD}") {
		return
	}
	m, ok := c.mapping(n)
	if !ok {
		return
	}
	c.keys(m, diag.Phrasef("moved"), keyNames(movedKeys)...)
	e, ok := m.Get("from")
	if !ok {
		c.Errorf(n, "missing-key", "moved does not say what the rule was called").Hint = "moved: {from: OLD}"
		return
	}
	r.FromNode = yamlfile.Resolve(e.Value)
	nodes := []*yaml.Node{r.FromNode}
	if r.FromNode.Kind == yaml.SequenceNode {
		nodes = r.FromNode.Content
	}
	for _, from := range nodes {
		name := c.text(from, "from")
		switch {
		case !ruleID(name):
			c.Errorf(from, "bad-name", "%q cannot be the id of a rule", name).Hint = ruleIDHint
		case name == r.ID:
			c.Errorf(from, "moved-rule", "the rule is called %s now", name).Hint = "write the id that it had before"
		case slices.Contains(r.From, name):
			c.Errorf(from, "moved-rule", "%s is listed twice", name).Hint = "remove one"
		default:
			r.From = append(r.From, name)
		}
	}
}

// readDebounce reads `2s` or `{quiet: 2s, max: 30s}`.
func (c *ruleCompiler) readDebounce(r *engine.Rule, n *yaml.Node) {
	n = yamlfile.Resolve(n)
	if n.Kind == yaml.ScalarNode {
		r.Debounce = c.duration(n, "debounce")
		r.Ceiling = r.Debounce * ceilingFactor
		return
	}
	m, ok := c.mapping(n)
	if !ok {
		return
	}
	c.keys(m, diag.Phrasef("debounce"), keyNames(debounceKeys)...)
	if e, ok := m.Get("quiet"); ok {
		r.Debounce = c.duration(e.Value, "quiet")
	}
	r.Ceiling = r.Debounce * ceilingFactor
	if e, ok := m.Get("max"); ok {
		r.Ceiling = c.duration(e.Value, "max")
	}
	if r.Ceiling < r.Debounce {
		c.Errorf(n, "invalid-value", "max (%s) is shorter than quiet (%s)", r.Ceiling, r.Debounce)
	}
}

func (c *reporter) duration(n *yaml.Node, what string) time.Duration {
	n = yamlfile.Resolve(n)
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d < 0 || d > 24*time.Hour {
		f := c.Errorf(n, "wrong-type", "%s takes a duration up to 24h, such as 500ms, 2s or 5m", what)
		if _, err := time.ParseDuration(n.Value + "s"); err == nil {
			f.Hint = n.Value + "s"
		}
		return 0
	}
	return d
}

// readTriggers reads `on`: a code, a mapping with events and entityTypeId, a schedule, a
// hook, a robot, or a list of codes, schedules and robots.
func (c *ruleCompiler) readTriggers(r *engine.Rule, e yamlfile.Entry) {
	n := yamlfile.Resolve(e.Value)
	events := n
	typeID, typeNode := 0, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode {
		m, ok := c.mapping(n)
		if !ok {
			return
		}
		if c.readSource(r, n, m) {
			return
		}
		c.keys(m, diag.Phrasef("on"), keyNames(onKeys)...)
		ev, ok := m.Get("events")
		if !ok {
			c.Errorf(n, "missing-key", "on has no events").Hint = "add events: [ONCRMDYNAMICITEMUPDATE]"
			return
		}
		events = yamlfile.Resolve(ev.Value)
		if t, ok := m.Get("entityTypeId"); ok {
			typeNode = t.Value
			typeID = c.entityTypeID(t.Value)
			c.typeInPortal(t.Value, typeID)
		}
	}
	codes := []*yaml.Node{events}
	if events.Kind == yaml.SequenceNode {
		codes = events.Content
	}
	if len(codes) == 0 {
		c.Errorf(events, "missing-key", "the list of events is empty").Hint = "add an event, such as ONCRMDEALUPDATE"
	}
	seen := map[string]bool{}
	for _, code := range codes {
		code = yamlfile.Resolve(code)
		if code.Kind == yaml.MappingNode {
			if m, ok := c.mapping(code); !ok || c.readSource(r, code, m) {
				continue
			}
		}
		c.readTrigger(r, code, typeID, typeNode != nil, seen)
	}
}

// readSource reads what starts the runs of a rule and is no event of the portal. It reports
// whether the mapping is such a source.
func (c *ruleCompiler) readSource(r *engine.Rule, n *yaml.Node, m yamlfile.Mapping) bool {
	if _, ok := m.Get("schedule"); ok {
		c.readSchedule(r, n, m)
		return true
	}
	if _, ok := m.Get("hook"); ok {
		(&sourceCompiler{c}).readHook(r, n, m)
		return true
	}
	if _, ok := m.Get("robot"); ok {
		(&sourceCompiler{c}).readRobot(r, n, m)
		return true
	}
	return false
}

// anyType is the entityTypeId any: the items of all smart processes.
const anyType = -1

func (c *ruleCompiler) entityTypeID(n *yaml.Node) int {
	n = yamlfile.Resolve(n)
	if n.Value == "any" {
		return anyType
	}
	var id int
	if list := yamlfile.Decode(c.file, n, &id); len(list) > 0 || id <= 0 {
		f := c.Errorf(n, "wrong-type", "entityTypeId takes the number of a type, such as 31 for smart invoices, or any")
		if src, isFormula := strings.CutPrefix(n.Value, "="); isFormula {
			f.Message = "entityTypeId cannot be a formula, because the events of a rule are fixed"
			f.Hint = "write entityTypeId: any, and in the rule when: =event.entityTypeId == " + src
		} else if owner := schemas.OwnerByType(schemas.TypeSmartInvoice); n.Value == owner.Name {
			f.Hint = "31"
		}
	}
	return id
}

// typeInPortal warns of a type that the known portal does not have.
func (c *ruleCompiler) typeInPortal(n *yaml.Node, typeID int) {
	if why, hint := engine.UnknownType(c.known.Portal(), typeID); !why.Empty() {
		c.Warnf(n, "unknown-type", "%s", why).SetHint(hint)
	}
}

func (c *ruleCompiler) readTrigger(r *engine.Rule, n *yaml.Node, typeID int, typed bool, seen map[string]bool) {
	if n.Kind != yaml.ScalarNode {
		c.Errorf(n, "wrong-type", "an event must be a code such as ONCRMDEALUPDATE")
		return
	}
	ev, suffix, ok := schemas.LookupEvent(n.Value)
	if !ok {
		hintEvent(c.Errorf(n, "unknown-event", "unknown event %q", n.Value), n.Value)
		return
	}
	upper := strings.ToUpper(n.Value)
	switch {
	case seen[upper]:
		c.Errorf(n, "duplicate-event", "event %s is listed twice", upper).Hint = "remove one"
	case seen[ev.Code] || (suffix == 0 && hasSuffixed(seen, ev.Code)):
		c.Errorf(n, "duplicate-event", "event %s is listed with a type and without, and the portal sends both for each change", ev.Code).Hint = "remove one"
	}
	seen[upper] = true
	t := engine.Trigger{Event: ev, EntityTypeID: suffix, Node: n}
	if ev.Entity == "item" && suffix == 0 {
		switch {
		case !typed:
			c.Errorf(n, "missing-entity-type", "event %s needs an entityTypeId, because the portal sends it for smart invoices and for every smart process", ev.Code).
				Hintf("on: {events: [%s], entityTypeId: 31}, or entityTypeId: any", ev.Code)
		case typeID > 0:
			t.EntityTypeID = typeID
		}
		if o := schemas.OwnerByType(t.EntityTypeID); t.EntityTypeID > 0 && t.EntityTypeID < schemas.FirstDynamicType && t.EntityTypeID != schemas.TypeSmartInvoice {
			f := c.Warnf(n, "no-such-data", "the portal sends %s for smart invoices and smart processes, never for type %d", ev.Code, t.EntityTypeID)
			if o.Name != "" {
				f.Hintf("on: ONCRM%s%s", strings.ToUpper(o.Name), strings.ToUpper(ev.Op))
			}
		}
	} else if typed {
		c.Errorf(n, "invalid-value", "entityTypeId applies only to ONCRMDYNAMICITEM events without a suffix, not to %s", upper)
	}
	r.Triggers = append(r.Triggers, t)
}

func hasSuffixed(seen map[string]bool, base string) bool {
	for code := range seen {
		if strings.HasPrefix(code, base+"_") {
			return true
		}
	}
	return false
}

func eventCodes() []string {
	events := schemas.Events()
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Code
	}
	return out
}

// inStep returns a key that a step of the rule has, nil if none has it.
func inStep(rule yamlfile.Mapping, name string) *yaml.Node {
	steps, _ := rule.Get(partSteps)
	list := yamlfile.Resolve(steps.Value)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, step := range list.Content {
		step = yamlfile.Resolve(step)
		for i := 0; step.Kind == yaml.MappingNode && i < len(step.Content); i += 2 {
			if step.Content[i].Value == name {
				return step.Content[i]
			}
		}
	}
	return nil
}

// ruleNames are the names that every formula of a rule sees.
func (c *ruleCompiler) ruleNames(r *engine.Rule, vars formula.Type) *known {
	id := formula.Type{Kind: formula.Int}
	typeID := formula.Type{Kind: formula.Int}
	for _, t := range r.Triggers {
		if t.TextID {
			id = formula.Type{Kind: formula.String}
		}
		if t.Entity == "" {
			typeID.Maybe = true
		}
	}
	if types := r.EventTypes(); len(types) == 1 && types[0] > 0 {
		id.Domain = engine.IDDomain(types[0])
	}
	k := &known{
		implied: map[string]formula.Facts{}, given: map[string]formula.Facts{},
		types: map[string]formula.Type{}, guards: map[string][]string{}, later: elsewhere(r, c.set.Actions),
		trusted: map[string]bool{engine.NameInputs: true, engine.NameVars: true, engine.NameEvent + ".portal": true},
	}
	event := map[string]formula.Type{
		"id":           id,
		"entityTypeId": typeID,
		"added":        {Kind: formula.Bool},
		"count":        {Kind: formula.Int},
		"data":         eventData(r.Triggers),
		"portal":       {Kind: formula.String},
		"time":         {Kind: formula.Time},
	}
	switch {
	case r.Hook != nil:
		event["data"] = r.Hook.Form.Type()
	case len(r.Robots) > 0:
		event["data"] = robotData(r)
	}
	if r.Hook != nil || r.AboutKind != nil && r.AboutKind.Portal {
		delete(event, "id")
		delete(event, "entityTypeId")
	}
	k.types[engine.NameEvent] = formula.RecordOf(event)
	k.types[engine.NameInputs] = c.inputs
	k.types[engine.NameVars] = vars
	return k
}

// ruleSteps compiles steps and deleted, and compares them with the events.
func (c *ruleCompiler) ruleSteps(r *engine.Rule, m yamlfile.Mapping, e yamlfile.Entry, k *known) {
	steps, hasSteps := m.Get("steps")
	deleted, hasDeleted := m.Get("deleted")
	deleteEvent := slices.IndexFunc(r.Triggers, func(t engine.Trigger) bool { return t.Op == "delete" })
	switch {
	case !hasSteps && !hasDeleted:
		c.Errorf(e.Key, "missing-key", "rule %q has no steps", r.ID).Hint = "add steps:"
	case hasDeleted && deleteEvent < 0:
		c.Errorf(deleted.Key, "delete-event", "deleted never runs, because on lists no delete event").Hint = deleteCode(r)
	}
	conditions := r.When.Conjuncts()
	k = k.knowing(r.When.Facts())
	c.past = c.pastOf(m)
	c.past.show(k)
	if hasSteps {
		r.Steps = (&stepCompiler{ruleCompiler: c, part: partSteps}).readSteps(steps.Value, k.clone(), conditions, partSteps)
		r.Prefetch = engine.Prefetchable(r.Steps)
	}
	if hasDeleted {
		r.Deleted = (&stepCompiler{ruleCompiler: c, part: partDeleted}).readSteps(deleted.Value, k.clone(), conditions, partDeleted)
	}
	if !hasDeleted && deleteEvent >= 0 && !r.Starts() {
		c.Errorf(e.Key, "delete-event", "on lists %s, but the rule has no deleted steps", r.Triggers[deleteEvent].Code).Hint = "add deleted:, or remove the event"
	}
	nameSteps(r)
	c.past.collect(c, r)
}

// deleteCode returns the hint that names the delete event for a rule's other events.
func deleteCode(r *engine.Rule) string {
	for _, t := range r.Triggers {
		for _, op := range []string{"ADD", "UPDATE"} {
			if base, ok := strings.CutSuffix(t.Code, op); ok {
				return fmt.Sprintf("add %sDELETE to on", base)
			}
		}
	}
	return ""
}
