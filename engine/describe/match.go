package describe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// RuleMatch says whether an event starts a rule, and if not, why.
type RuleMatch struct {
	Rule string `json:"rule"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Matches says that a run follows. Perhaps says that this depends on a portal or an
	// input that is not known here.
	Matches bool `json:"meets"`
	Perhaps bool `json:"perhaps,omitempty"`
	// Entity is what the run is about, such as deal:7; "" when the event has no id.
	Entity string `json:"entity,omitempty"`
	// Part is the list of steps that runs: steps or deleted.
	Part string   `json:"part,omitempty"`
	Why  []string `json:"why,omitempty"`
}

// Match says for each rule of the set whether an event starts it. portal is the
// portal's name, "" when it is not known. inputs hold the values of the inputs that
// are known.
func Match(s *engine.RuleSet, portal string, e engine.Event, inputs map[string]any) []RuleMatch {
	var out []RuleMatch
	for _, r := range s.Rules {
		m := RuleMatch{Rule: r.ID, File: s.File, Line: r.Pos.Line}
		matchRule(r, &m, portal, e, inputs)
		out = append(out, m)
	}
	return out
}

func matchRule(r *engine.Rule, m *RuleMatch, portal string, e engine.Event, inputs map[string]any) {
	if name, address := e.Sender(); name != "" {
		matchSource(r, m, portal, e, inputs, address)
		return
	}
	known, suffix, ok := schemas.LookupEvent(e.Code)
	if !ok {
		m.because("Bitrix24 has no event %s", strings.ToUpper(e.Code))
		return
	}
	ent, ok := engine.EntityOf(known, suffix, e)
	if why := mismatch(r, known, suffix, ent, e); why != "" {
		m.because("%s", why)
		return
	}
	if !ok {
		m.because("the event carries no id of an entity: %s", noID(e, known))
		return
	}
	if !m.servedIn(r, portal) {
		return
	}
	ent = r.About(ent, portal, e, inputs)
	m.Part = "steps"
	if known.Op == "delete" {
		m.Part = "deleted"
	}
	m.decide(r, ent, portal, e, known.Op == "add", inputs)
}

// matchSource is matchRule for a request of another system or of a robot.
func matchSource(r *engine.Rule, m *RuleMatch, portal string, e engine.Event, inputs map[string]any, address string) {
	name, _ := e.Sender()
	switch {
	case e.Code == engine.CodeRefused:
		m.because("the request to %s did not fit and was refused", address)
		return
	case e.Code == engine.CodeHook && !r.TakesHook(name), e.Code == engine.CodeRobot && !r.TakesRobot(name, 0):
		m.because("the request is for %s, and the rule does not take it", address)
		return
	}
	if !m.servedIn(r, portal) {
		return
	}
	alone := *r.Set
	alone.Rules = []*engine.Rule{r}
	served := portal
	if m.Perhaps {
		served = r.Portals[0]
	}
	routes := alone.Route(served, e, inputs)
	if len(routes) == 0 {
		m.because("the robot has called for an entity of another kind")
		return
	}
	read, err := r.Unwrap(e)
	if err != nil {
		m.because("%v", err)
		return
	}
	m.Part = "steps"
	m.decide(r, routes[0].Entity, portal, read, false, inputs)
}

// servedIn notes the portals of the rule. It reports false for a portal where the rule
// does not run.
func (m *RuleMatch) servedIn(r *engine.Rule, portal string) bool {
	switch {
	case portal == "" && len(r.Portals) > 0:
		m.Perhaps = true
		m.because("the rule runs only for the portals %s", strings.Join(r.Portals, ", "))
	case !r.Serves(portal):
		m.because("the rule runs for the portals %s, not for %s", strings.Join(r.Portals, ", "), portal)
		return false
	}
	return true
}

// decide computes the when of a rule for an entity.
func (m *RuleMatch) decide(r *engine.Rule, ent engine.Entity, portal string, e engine.Event, added bool, inputs map[string]any) {
	m.Entity = ent.String()
	sc := engine.Scope{Machine: formula.NewMachine(context.Background()), Vars: map[string]any{
		engine.NameEvent: engine.EventScope(ent, portal, e, 1, added), engine.NameInputs: inputs,
	}}
	sc.Vars[engine.NameVars] = varsOf(r.Set, sc)
	switch allows(r, m, sc, inputs) {
	case yes:
		m.Matches = !m.Perhaps
	case perhaps:
		m.Perhaps = true
	case no:
		m.Perhaps = false
	}
}

func (m *RuleMatch) because(format string, args ...any) {
	m.Why = append(m.Why, fmt.Sprintf(format, args...))
}

// mismatch says why no trigger of the rule matches an event, "" when one does.
func mismatch(r *engine.Rule, known schemas.Event, suffix int, ent engine.Entity, e engine.Event) string {
	var codes []string
	for _, t := range r.Triggers {
		codes = append(codes, triggerText(t))
		if t.Code != known.Code {
			continue
		}
		switch {
		case t.EntityTypeID == 0 && suffix == 0:
			return ""
		case t.EntityTypeID == 0:
			return fmt.Sprintf("the rule subscribes to %s without a type; the portal sends that event together with %s_%d", t.Code, known.Code, suffix)
		case ent.TypeID == 0:
			return fmt.Sprintf("the event does not say its entityTypeId, and the rule subscribes to type %d: data[FIELDS][ENTITY_TYPE_ID] is %q", t.EntityTypeID, e.Field("ENTITY_TYPE_ID"))
		case t.EntityTypeID == ent.TypeID:
			return ""
		default:
			return fmt.Sprintf("the event is about an item of type %d, and the rule subscribes to type %d", ent.TypeID, t.EntityTypeID)
		}
	}
	return fmt.Sprintf("the event is %s, and the rule subscribes to %s", strings.ToUpper(e.Code), strings.Join(codes, ", "))
}

// varsOf computes the constants of the file. It omits those that fail, for example
// because an input has no value.
func varsOf(s *engine.RuleSet, sc engine.Scope) map[string]any {
	vars := map[string]any{}
	for _, v := range s.Vars {
		sc.Vars[engine.NameVars] = vars
		if x, err := v.Value.Eval(context.Background(), sc); err == nil {
			vars[v.Name] = x
		}
	}
	return vars
}

// answer is the result of a condition.
type answer uint8

const (
	no answer = iota
	perhaps
	yes
)

// allows evaluates the rule's when and gives its false parts as the reason.
func allows(r *engine.Rule, m *RuleMatch, sc engine.Scope, inputs map[string]any) answer {
	if r.When == nil {
		return yes
	}
	if missing := unknownInputs(r, inputs); len(missing) > 0 {
		m.because("when: %s depends on %s, and only the configuration knows that value", valueText(r.When), strings.Join(missing, ", "))
		return perhaps
	}
	ctx := context.Background()
	ok, err := r.When.True(ctx, sc)
	if err != nil {
		m.because("when fails: %v", err)
		return no
	}
	if ok {
		return yes
	}
	parts := r.When.Conjuncts()
	holds := map[string]bool{}
	if len(parts) > 1 {
		for _, term := range r.When.Formula.Terms() {
			v, err := term.Eval(sc.Machine, sc.Vars)
			holds[term.Source()] = err == nil && v == true
		}
	}
	for _, part := range parts {
		if !holds[part] {
			m.because("when: %s is false", formula.Dotted(part))
		}
	}
	if len(parts) == 0 {
		m.because("when is false")
	}
	return no
}

// unknownInputs lists the inputs without a value that the rule's when reads, itself
// or through the constants of the file. A formula that reads inputs or vars as a
// whole reads all of them.
func unknownInputs(r *engine.Rule, inputs map[string]any) []string {
	var out []string
	var follow func(v *engine.Value)
	follow = func(v *engine.Value) {
		v.Paths(func(path string) {
			space, name, _ := strings.Cut(engine.PathPrefix(path, 2), ".")
			switch space {
			case engine.NameInputs:
				for _, in := range r.Set.Inputs {
					if _, known := inputs[in.Name]; !known && (name == "" || name == in.Name) {
						out = append(out, engine.NameInputs+"."+in.Name)
					}
				}
			case engine.NameVars:
				for _, n := range r.Set.Vars {
					if name == "" || name == n.Name {
						follow(n.Value)
					}
				}
			}
		})
	}
	follow(r.When)
	slices.Sort(out)
	return slices.Compact(out)
}

// noID says where the event should carry the id.
func noID(e engine.Event, known schemas.Event) string {
	if len(known.IDs) == 0 {
		return known.Code + " never carries one"
	}
	places := make([]string, len(known.IDs))
	for i, p := range known.IDs {
		places[i] = "data[" + strings.ReplaceAll(p, ".", "][") + "]"
	}
	return fmt.Sprintf("%s is %q", strings.Join(places, " or "), e.EntityID(known))
}
