package actions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

// choice returns the id of a choice that was named by its id or by its text.
// What names none is returned as it is.
func (f *field) choice(v any) string {
	text := textOf(v)
	if b, ok := v.(bool); ok {
		text = "N"
		if b {
			text = "Y"
		}
	}
	if _, ok := f.choices[text]; ok {
		return text
	}
	if ids := f.choicesNamed(text); len(ids) > 0 {
		return ids[0]
	}
	return text
}

// choicesNamed are the ids of the choices with a text; those that are spelt the
// same come before those that differ in case only.
func (f *field) choicesNamed(text string) []string {
	var exact, loose []string
	for _, id := range slices.Sorted(maps.Keys(f.choices)) {
		switch shown := f.choices[id]; {
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

func (f *field) checkChoice(v any) error {
	if len(f.choices) == 0 {
		return nil
	}
	id := f.choice(v)
	if _, ok := f.choices[id]; ok {
		if same := f.choicesNamed(textOf(v)); id != textOf(v) && len(same) > 1 {
			return fmt.Errorf("field %s has several choices with the text %q, name one by its id: %s", f.label(), textOf(v), strings.Join(same, ", "))
		}
		return nil
	}
	shown := slices.Collect(maps.Values(f.choices))
	if near := diag.Closest(textOf(v), shown); near != "" {
		return fmt.Errorf("field %s has no choice of this name, did you mean %q?", f.label(), near)
	}
	return fmt.Errorf("field %s has no such choice", f.label())
}
