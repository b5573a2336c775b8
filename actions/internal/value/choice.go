package value

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

// Choices are the texts of a field's choices by their ids.
type Choices map[string]string

// id returns the id of the choice with an id or a text. A value that names no
// choice is returned as text.
func (c Choices) id(v any) string {
	text := TextOf(v)
	if b, ok := v.(bool); ok {
		text = "N"
		if b {
			text = "Y"
		}
	}
	if _, ok := c[text]; ok {
		return text
	}
	if ids := c.named(text); len(ids) > 0 {
		return ids[0]
	}
	return text
}

// named returns the ids of the choices with a text. If none has exactly
// this text, they are those that differ only in case.
func (c Choices) named(text string) []string {
	var exact, approximate []string
	for _, id := range slices.Sorted(maps.Keys(c)) {
		switch shown := c[id]; {
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

func checkChoice(f *Field, v any) error {
	if len(f.Choices) == 0 {
		return nil
	}
	id := f.Choices.id(v)
	if text, ok := f.Choices[id]; ok {
		same := f.Choices.named(TextOf(v))
		if id != TextOf(v) && len(same) > 1 {
			return fmt.Errorf("field %s has several choices with the text %q: use one of the ids %s", f.Label(), TextOf(v), strings.Join(same, ", "))
		}
		if _, isText := v.(string); isText && id == v && text != v && len(same) > 0 && f.Choices[same[0]] == v {
			return fmt.Errorf("field %s has the choice %s (%s) and a choice with the text %q (%s): write the id as a number, number(…)", f.Label(), id, text, v, same[0])
		}
		return nil
	}
	shown := slices.Collect(maps.Values(f.Choices))
	if near := diag.Closest(TextOf(v), shown); near != "" {
		return fmt.Errorf("field %s has no choice %s, did you mean %q?", f.Label(), Named(v), near)
	}
	return fmt.Errorf("field %s has no choice %s", f.Label(), Named(v))
}
