package compile

import (
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// absent are the fields of event that people expect from other engines, with
// what to write instead. It is never changed.
var absent = map[string]string{
	"event.name":    "many events become one run, so it has no name: use event.added, or what the entity says now",
	"event.event":   "many events become one run, so it has no name: use event.added, or what the entity says now",
	"event.code":    "many events become one run, so it has no name: use event.added, or what the entity says now",
	"event.type":    "many events become one run, so it has no name: use event.added, or what the entity says now",
	"event.updated": "a run stands for the entity as it is now; event.added says whether it is new",
	"event.deleted": "a deleted entity has steps of its own, under deleted:",
	"event.fields":  "an event carries an id and no fields: read the entity in a step",
	"event.user":    "an event does not say whose change it was; the entity has updatedBy",
	"event.userId":  "an event does not say whose change it was; the entity has updatedBy",
}

// elsewhere are names that a formula of the rule does not see, with the reason.
func elsewhere(r *engine.Rule, actions []*engine.Action) map[string]string {
	out := map[string]string{
		engine.NameRow:   "is there only in arguments for each row and beside for_each",
		engine.NameIndex: "is there only in arguments for each row and beside for_each",
		engine.NameGroup: "is there only in values of a group of rows",
		engine.NameError: "is there only in the steps of on_error",
		"steps":          "is not needed: the result of a step is named by the step's id alone",
		"env":            "is not there: a formula sees no environment, only inputs",
		"now":            "is not there: a run can be repeated, so take event.time",
		"today":          "is not there: a run can be repeated, so take event.time",
	}
	for _, t := range r.Triggers {
		if engine.OwnerTypeID(t.Entity) != 0 {
			out[t.Entity] = "is not read by itself: add a step that reads it"
			if i := slices.IndexFunc(actions, func(a *engine.Action) bool { return a.ReadsEntity != nil }); i >= 0 {
				out[t.Entity] = fmt.Sprintf("is not read by itself: add a step with id: %s and %s", t.Entity, actions[i].ReadsEntity(t.Entity))
			}
		}
	}
	return out
}

// eventData is the type of event.data: what all the events of a rule carry. It
// is open, for a portal may send more than is documented.
func eventData(triggers []engine.Trigger) formula.Type {
	// How many of the events surely carry a key.
	fields, data := map[string]int{}, map[string]int{}
	nested := map[string]bool{}
	withFields := 0
	for _, t := range triggers {
		// An event that is documented with both comes with one of them.
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
		keys["FIELDS"] = formula.OpenRecord(inner)
		if withFields < len(triggers) {
			keys["FIELDS"] = keys["FIELDS"].Optional()
		}
	}
	for d, n := range data {
		keys[d] = text(n)
		if nested[d] {
			keys[d] = formula.Type{Kind: formula.Any}
		}
	}
	return formula.OpenRecord(keys)
}
