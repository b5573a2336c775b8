package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

// absent maps fields of event that people expect from other engines to hints. It never
// changes.
var absent = map[string]string{
	"event.name":    "several events become one run, so event has no name: use event.added, or a field of the entity",
	"event.event":   "several events become one run, so event has no name: use event.added, or a field of the entity",
	"event.code":    "several events become one run, so event has no name: use event.added, or a field of the entity",
	"event.type":    "several events become one run, so event has no name: use event.added, or a field of the entity",
	"event.updated": "use event.added: it is true when the entity is new",
	"event.deleted": "write the steps for a deleted entity under deleted:",
	"event.fields":  "an event carries only an id: read the entity in a step",
	"event.user":    "an event does not say who made the change: read the entity's updatedBy",
	"event.userId":  "an event does not say who made the change: read the entity's updatedBy",
}

// elsewhere maps names that a formula of the rule does not see to the reason.
func elsewhere(r *engine.Rule, actions []*engine.Action) map[string]string {
	out := map[string]string{
		engine.NameRow:   "exists only in arguments for each row and in steps with for_each",
		engine.NameIndex: "exists only in arguments for each row and in steps with for_each",
		engine.NameGroup: "exists only in values of a group of rows",
		engine.NameError: "exists only in the steps of on_error",
		"steps":          "is not needed: the id of a step is the name of its result",
		"env":            "does not exist: formulas see inputs, but not the environment",
		"now":            "does not exist, because a run can be repeated: use event.time",
		"today":          "does not exist, because a run can be repeated: use event.time",
	}
	for _, t := range r.Triggers {
		if engine.OwnerTypeID(t.Entity) != 0 {
			out[t.Entity] = "is not read automatically: add a step that reads it"
			if i := slices.IndexFunc(actions, func(a *engine.Action) bool { return a.ReadsEntity != nil }); i >= 0 {
				out[t.Entity] = fmt.Sprintf("is not read automatically: add a step with id: %s and %s", t.Entity, actions[i].ReadsEntity(t.Entity))
			}
		}
	}
	return out
}

// eventData is the type of event.data: the keys that the events of a rule carry. The
// record is open, because a portal may send more than is documented.
func eventData(triggers []engine.Trigger) formula.Type {
	// How many of the events always carry a key.
	fields, data := map[string]int{}, map[string]int{}
	nested := map[string]bool{}
	withFields := 0
	for _, t := range triggers {
		// An event that is documented with both carries only one of them.
		sure := 1
		if len(t.Fields) > 0 && len(t.Data) > 0 {
			sure = 0
		}
		withFields += min(sure, len(t.Fields))
		for _, f := range t.Fields {
			fields[f]++
		}
		for _, d := range t.Data {
			data[d] += sure
			nested[d] = nested[d] || !t.TextData(d)
		}
	}
	// All values of an event arrive as text.
	text := func(sure int) formula.Type {
		t := formula.Type{Kind: formula.String}
		if sure < len(triggers) {
			return t.Optional()
		}
		return t
	}
	keys := map[string]formula.Type{}
	if len(fields) > 0 {
		inner := map[string]formula.Type{}
		for f, n := range fields {
			inner[f] = text(n)
		}
		fields := formula.OpenRecord(inner)
		fields.Domain = noSuchData(triggers, inner, "FIELDS has ")
		if withFields < len(triggers) {
			fields = fields.Optional()
		}
		keys["FIELDS"] = fields
	}
	for d, n := range data {
		keys[d] = text(n)
		if nested[d] {
			keys[d] = formula.Type{Kind: formula.Any}
		}
	}
	all := formula.OpenRecord(keys)
	all.Domain = noSuchData(triggers, keys, "the data has ")
	return all
}

// noSuchData is the domain of a part of event.data in events of the CRM, which carry
// nothing but ids. It is nil when another event is among them.
func noSuchData(triggers []engine.Trigger, keys map[string]formula.Type, has string) *formula.Domain {
	if len(triggers) == 0 || slices.ContainsFunc(triggers, func(t engine.Trigger) bool { return len(t.Fields) == 0 || t.Entity == "" }) {
		return nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
	return &formula.Domain{Code: "no-such-data", NoField: func(name string) (why, hint diag.Phrase) {
		return diag.Phrasef("the event does not carry %s: %s%s", name, has, names), diag.Phrasef("read the entity in a step")
	}}
}
