package run_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestChoices: the text of a choice comes from the description of its field, or from the
// directory that it names. What the portal does not know parks the run.
func TestChoices(t *testing.T) {
	t.Parallel()
	portal := enginetest.NewAnswers(t, map[string]string{
		"crm.item.fields": `{"fields": {
			"stageId": {"type": "crm_status", "statusType": "DEAL_STAGE"}, "sourceId": {"type": "crm_status", "statusType": "SOURCE"},
			"ufCrmColour": {"type": "enumeration", "isDynamic": true, "items": [{"ID": "44", "VALUE": "Red"}]}, "title": {"type": "string"}}}`,
		"lists.field.get": `{"PROPERTY_1": {"FIELD_ID": "PROPERTY_1", "CODE": "COLOUR", "TYPE": "L", "NAME": "Colour", "DISPLAY_VALUES_FORM": {"12": "Blue"}}}`,
		"crm.status.list": `[{"ENTITY_ID": "SOURCE", "NAME": "Call"}, {"ENTITY_ID": "DEAL_STAGE_5", "NAME": "Won elsewhere"}]`,
	})
	text := run.Choices(t.Context(), portal)
	item, list := formula.Source{ID: 2}, formula.Source{List: true, ListType: "lists", ID: 1}
	for _, tt := range []struct {
		of              formula.Source
		field, id, want string
		fails           string
	}{
		{item, "ufCrmColour", "44", "Red", ""},
		{item, "ufCrmColour", "45", "", `no choice with the id "45"`},
		{item, "sourceId", "CALL", "Call", ""},
		{item, "stageId", "C5:WON", "Won elsewhere", ""},
		{item, "title", "x", "", "it is of the type string"},
		{item, "gone", "x", "", "the portal has no field gone"},
		{list, "COLOUR", "12", "Blue", ""},
		{list, "PROPERTY_1", "13", "", `no choice with the id "13"`},
		{list, "NOTE", "13", "", "the portal has no field NOTE"},
	} {
		got, err := text(formula.Choice{Source: tt.of, Field: tt.field}, tt.id)
		if got != tt.want || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s %s is %q, %v; want %q, %s", tt.field, tt.id, got, err, tt.want, tt.fails)
		}
	}
}

// TestLocalNumbers: an entity keeps its number, the next one gets the next.
func TestLocalNumbers(t *testing.T) {
	t.Parallel()
	var n run.LocalNumbers
	for _, tt := range []struct {
		take, entity string
		atLeast      int
		want         int
	}{{"take", "deal:1", 0, 1}, {"peek", "deal:2", 0, 2}, {"take", "deal:2", 10, 10}, {"take", "deal:1", 10, 1}, {"peek", "deal:3", 0, 11}} {
		number := n.Peek
		if tt.take == "take" {
			number = n.Take
		}
		if got, err := number(t.Context(), "bills", tt.entity, tt.atLeast); got != tt.want || err != nil {
			t.Errorf("%s %s from %d: %d, %v; want %d", tt.take, tt.entity, tt.atLeast, got, err, tt.want)
		}
	}
}
