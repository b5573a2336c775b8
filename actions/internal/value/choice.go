package value

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

// choice returns the id of the choice with an id or a text. A value that names no
// choice is returned as text.
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

// choicesNamed returns the ids of the choices with a text. If none has exactly
// this text, they are those that differ only in case.
func (f *Field) choicesNamed(text string) []string {
	var exact, approximate []string
	for _, id := range slices.Sorted(maps.Keys(f.Choices)) {
		switch shown := f.Choices[id]; {
		case shown == text:
			exact = append(exact, id)
		case strings.EqualFold(shown, text):
			approximate = append(approximate, id)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return approximate
}

func (f *Field) checkChoice(v any) error {
	if len(f.Choices) == 0 {
		return nil
	}
	id := f.choice(v)
	if _, ok := f.Choices[id]; ok {
		if same := f.choicesNamed(TextOf(v)); id != TextOf(v) && len(same) > 1 {
			return fmt.Errorf("field %s has several choices with the text %q: use one of the ids %s", f.Label(), TextOf(v), strings.Join(same, ", "))
		}
		return nil
	}
	shown := slices.Collect(maps.Values(f.Choices))
	if near := diag.Closest(TextOf(v), shown); near != "" {
		return fmt.Errorf("field %s has no such choice, did you mean %q?", f.Label(), near)
	}
	return fmt.Errorf("field %s has no such choice", f.Label())
}
