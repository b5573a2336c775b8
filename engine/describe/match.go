package describe

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// RuleMatch says whether a rule answers an event, and if not, why.
type RuleMatch struct {
	Rule string `json:"rule"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Matches says that a run follows. Perhaps says that it depends on what is not
	// known here.
	Matches bool `json:"meets"`
	Perhaps bool `json:"perhaps,omitempty"`
	// Entity is what the run is about, such as deal:7; "" without one.
	Entity string `json:"entity,omitempty"`
	// Part is the list of steps that runs: steps or deleted.
	Part string   `json:"part,omitempty"`
	Why  []string `json:"why,omitempty"`
}

// Match tells for each rule of the set what an event would do. portal is the
// portal's name, "" when it is not known; inputs hold what is known of the
// inputs.
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
	known, suffix, ok := schemas.LookupEvent(e.Code)
	if !ok {
		m.because("%s is no event of Bitrix24", strings.ToUpper(e.Code))
		return
	}
	ent, ok := engine.EntityOf(known, suffix, e)
	if why := mismatch(r, known, suffix, ent, e); why != "" {
		m.because("%s", why)
		return
	}
	if !ok {
		m.because("the event has no id that a run could be about: %s", noID(e, known))
		return
	}
	switch {
	case len(r.Portals) > 0 && portal == "":
		m.Perhaps = true
		m.because("the rule is for the portals %s only", strings.Join(r.Portals, ", "))
	case len(r.Portals) > 0 && !slices.Contains(r.Portals, portal):
		m.because("the rule is for the portals %s, not for %s", strings.Join(r.Portals, ", "), portal)
		return
	}
	ent = r.About(ent, portal, e, inputs)
	m.Entity = ent.String()
	m.Part = "steps"
	if known.Op == "delete" {
		m.Part = "deleted"
	}
	sc := engine.Scope{Machine: formula.NewMachine(context.Background()), Vars: map[string]any{
		engine.NameEvent: engine.EventScope(ent, portal, e, 1, known.Op == "add"), engine.NameInputs: inputs,
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

// mismatch tells why no trigger of the rule takes an event, "" when one does.
func mismatch(r *engine.Rule, known schemas.Event, suffix int, ent engine.Entity, e engine.Event) string {
	var hears []string
	for _, t := range r.Triggers {
		hears = append(hears, triggerText(t))
		if t.Code != known.Code {
			continue
		}
		switch {
		case t.EntityTypeID == 0 && suffix == 0:
			return ""
		case t.EntityTypeID == 0:
			return fmt.Sprintf("the rule hears %s itself; the portal sends it beside %s_%d for the same change", t.Code, known.Code, suffix)
		case ent.TypeID == 0:
			return fmt.Sprintf("the event does not say its entityTypeId, the rule hears type %d: data[FIELDS][ENTITY_TYPE_ID] is %q", t.EntityTypeID, e.Field("ENTITY_TYPE_ID"))
		case t.EntityTypeID == ent.TypeID:
			return ""
		default:
			return fmt.Sprintf("the event is about an item of type %d, the rule hears type %d", ent.TypeID, t.EntityTypeID)
		}
	}
	return fmt.Sprintf("the event is %s, the rule hears %s", strings.ToUpper(e.Code), strings.Join(hears, ", "))
}

// varsOf computes the constants of the file, as far as they can be.
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

// answer is what is known of a condition.
type answer uint8

const (
	no answer = iota
	perhaps
	yes
)

// allows evaluates the rule's when and tells which of its parts are false.
func allows(r *engine.Rule, m *RuleMatch, sc engine.Scope, inputs map[string]any) answer {
	if r.When == nil {
		return yes
	}
	if missing := unknownInputs(r, inputs); len(missing) > 0 {
		m.because("when: %s depends on %s, which the configuration supplies", valueText(r.When), strings.Join(missing, ", "))
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
	for _, part := range parts {
		if len(parts) < 2 || !isTrue(part, sc) {
			m.because("when: %s is false", index.ReplaceAllString(part, ".$1"))
		}
	}
	if len(parts) == 0 {
		m.because("when is false")
	}
	return no
}

// index is how the canonical text of a formula writes a field.
var index = regexp.MustCompile(`\["([A-Za-z_][A-Za-z0-9_]*)"\]`)

// isTrue evaluates a part of a condition by itself.
func isTrue(part string, sc engine.Scope) bool {
	free := formula.Type{Kind: formula.Any}
	f, problems := formula.Compile(part, formula.Env{Vars: map[string]formula.Type{engine.NameEvent: free, engine.NameInputs: free, engine.NameVars: free}})
	if len(problems) > 0 {
		return false
	}
	v, err := f.Eval(sc.Machine, sc.Vars)
	return err == nil && v == true
}

// unknownInputs are the inputs without a value that the rule's when reads.
func unknownInputs(r *engine.Rule, inputs map[string]any) []string {
	var out []string
	engine.NewOrigins(r).Sources(r.When, func(path string) {
		space, name, _ := strings.Cut(path, ".")
		if _, known := inputs[name]; space == engine.NameInputs && name != "" && !known {
			out = append(out, path)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// noID says where an id was looked for.
func noID(e engine.Event, known schemas.Event) string {
	if len(known.IDs) == 0 {
		return known.Code + " carries none"
	}
	places := make([]string, len(known.IDs))
	for i, p := range known.IDs {
		places[i] = "data[" + strings.ReplaceAll(p, ".", "][") + "]"
	}
	return fmt.Sprintf("%s is %q", strings.Join(places, " or "), e.EntityID(known))
}
