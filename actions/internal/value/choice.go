package value

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

// choice returns the id of a choice that was named by its id or by its text.
// What names none is returned as it is.
func (f *Field) choice(v any) string {
	text := TextOf(v)
	if b, ok := v.(bool); ok {
		text = "N"
		if b {
			text = "Y"
		}
	}
	if _, ok := f.Choices[text]; ok {
		return text
	}
	if ids := f.choicesNamed(text); len(ids) > 0 {
		return ids[0]
	}
	return text
}

// choicesNamed are the ids of the choices with a text; those that are spelt the
// same come before those that differ in case only.
func (f *Field) choicesNamed(text string) []string {
	var exact, loose []string
	for _, id := range slices.Sorted(maps.Keys(f.Choices)) {
		switch shown := f.Choices[id]; {
		case shown == text:
			exact = append(exact, id)
		case strings.EqualFold(shown, text):
			loose = append(loose, id)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return loose
}

func (f *Field) checkChoice(v any) error {
	if len(f.Choices) == 0 {
		return nil
	}
	id := f.choice(v)
	if _, ok := f.Choices[id]; ok {
		if same := f.choicesNamed(TextOf(v)); id != TextOf(v) && len(same) > 1 {
			return fmt.Errorf("field %s has several choices with the text %q, name one by its id: %s", f.Label(), TextOf(v), strings.Join(same, ", "))
		}
		return nil
	}
	shown := slices.Collect(maps.Values(f.Choices))
	if near := diag.Closest(TextOf(v), shown); near != "" {
		return fmt.Errorf("field %s has no choice of this name, did you mean %q?", f.Label(), near)
	}
	return fmt.Errorf("field %s has no such choice", f.Label())
}
