package compile

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// looksLike warns of literal text that is probably meant to be a formula.
func (c *values) looksLike(n *yaml.Node, env formula.Env) {
	text := n.Value
	if foreign := formula.ForeignText(text, env.Knows); len(foreign) > 0 {
		c.doubts(n, 0, foreign)
		return
	}
	if strings.Contains(text, "{=") && strings.Contains(text, "}") {
		c.Warnf(n, "looks-like-formula", "the text %q has a placeholder of Bitrix24 robots, which b24rules does not fill in", text).Hint = "write {{ formula }} to insert a value"
		return
	}
	if open := strings.IndexByte(text, '{'); open >= 0 {
		inner, _, closed := strings.Cut(text[open+1:], "}")
		if closed && c.compiles(strings.TrimSpace(inner), env) {
			c.Warnf(n, "looks-like-formula", "the text %q has a formula in single braces, which inserts no value", text).Hint = "{{ " + strings.TrimSpace(inner) + " }}"
		}
		return
	}
	_, isName := env.Vars[text]
	if _, isOwner := schemas.LookupOwner(text); isOwner {
		isName = false // ENTITY_TYPE: deal, when a step has the id deal
	}
	if isName || !strings.Contains(text, " = ") && strings.ContainsAny(text, ".+*/()[]") && c.compiles(text, env) {
		c.Warnf(n, "looks-like-formula", "the text %q looks like a formula, but a formula starts with =", text).Hint = "=" + text
	}
}
