package compile

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// looksLike warns of literal text that was likely meant to be a formula.
func (c *values) looksLike(n *yaml.Node, env formula.Env) {
	text := n.Value
	if strings.Contains(text, "{=") && strings.Contains(text, "}") {
		c.Warnf(n, "looks-like-formula", "the text %q holds a place of Bitrix24's own robots, which is not filled in here", text).Hint = "{{ formula }} inserts a value"
		return
	}
	if open := strings.IndexByte(text, '{'); open >= 0 {
		inner, _, closed := strings.Cut(text[open+1:], "}")
		if closed && c.compiles(strings.TrimSpace(inner), env) {
			c.Warnf(n, "looks-like-formula", "the text %q is taken as it stands: a value is inserted between two braces", text).Hint = "{{ " + strings.TrimSpace(inner) + " }}"
		}
		return
	}
	_, isName := env.Vars[text]
	if _, isOwner := schemas.LookupOwner(text); isOwner {
		isName = false // ENTITY_TYPE: deal beside a step that is called deal
	}
	if isName || !strings.Contains(text, " = ") && strings.ContainsAny(text, ".+*/()[]") && c.compiles(text, env) {
		c.Warnf(n, "looks-like-formula", "the text %q reads like a formula, but formulas start with =", text).Hint = "=" + text
	}
}
