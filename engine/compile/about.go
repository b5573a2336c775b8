package compile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// readAbout reads about: company, portal, or {entityTypeId: 1072}.
func (c *ruleCompiler) readAbout(r *engine.Rule, n *yaml.Node) {
	a, ok := c.aboutOf(n, "about", aboutNames())
	if !ok {
		return
	}
	for _, t := range r.Triggers {
		if a.Portal || t.ItemType() != a.TypeID {
			c.Errorf(n, "about-mismatch", "the rule is about %s, but %s is about something else", a, t.Code).Hint = "remove about, or write another rule for the event that starts this one"
			return
		}
	}
	r.AboutKind = &a
}

// aboutOf reads a kind of entity: one of the words, or {entityTypeId: 1072}. what names
// the place in messages.
func (c *ruleCompiler) aboutOf(n *yaml.Node, what string, words []string) (a engine.About, ok bool) {
	n = yamlfile.Resolve(n)
	switch {
	case n.Kind == yaml.MappingNode:
		m, ok := c.mapping(n)
		if !ok {
			return a, false
		}
		c.keys(m, diag.Phrasef("%s", what), keyNames(aboutKeys)...)
		t, ok := m.Get("entityTypeId")
		if !ok {
			c.Errorf(n, "missing-key", "%s has no entityTypeId", what).Hintf("%s: {entityTypeId: 1072}", what)
			return a, false
		}
		if list := yamlfile.Decode(c.file, t.Value, &a.TypeID); len(list) > 0 || a.TypeID <= 0 {
			c.Errorf(t.Value, "wrong-type", "entityTypeId takes the number of a type, such as 1072")
			return a, false
		}
		c.typeInPortal(t.Value, a.TypeID)
	case n.Kind != yaml.ScalarNode || !slices.Contains(words, n.Value):
		takes := "a kind of CRM entity or {entityTypeId: 1072}"
		if slices.Contains(words, engine.KindPortal) {
			takes = "a kind of CRM entity, {entityTypeId: 1072} or portal"
		}
		suggest(c.Errorf(n, "invalid-value", "%s takes %s", what, takes), n.Value, words)
		return a, false
	case n.Value == engine.KindPortal:
		a.Portal = true
	default:
		a.TypeID = ownerType(n.Value)
	}
	return a, true
}
