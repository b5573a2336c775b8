package compile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// readAbout reads about: company, portal, or {entityTypeId: 1072}.
func (c *ruleCompiler) readAbout(r *engine.Rule, n *yaml.Node) {
	n = yamlfile.Resolve(n)
	var a engine.About
	switch {
	case n.Kind == yaml.MappingNode:
		m, ok := c.mapping(n)
		if !ok {
			return
		}
		c.keys(m, diag.Phrasef("about"), keyNames(aboutKeys)...)
		t, ok := m.Get("entityTypeId")
		if !ok {
			c.Errorf(n, "missing-key", "about has no entityTypeId").Hint = "about: {entityTypeId: 1072}"
			return
		}
		if list := yamlfile.Decode(c.file, t.Value, &a.TypeID); len(list) > 0 || a.TypeID <= 0 {
			c.Errorf(t.Value, "wrong-type", "entityTypeId takes the number of a type, such as 1072")
			return
		}
		c.typeInPortal(t.Value, a.TypeID)
	case n.Kind != yaml.ScalarNode || !slices.Contains(aboutNames(), n.Value):
		f := c.Errorf(n, "invalid-value", "about takes a kind of CRM entity, {entityTypeId: 1072} or portal")
		suggest(f, n.Value, aboutNames())
		return
	case n.Value == engine.KindPortal:
		a.Portal = true
	default:
		owner, _ := schemas.LookupOwner(n.Value)
		a.TypeID = owner.ID
	}
	for _, t := range r.Triggers {
		if a.Portal || t.ItemType() != a.TypeID {
			c.Errorf(n, "about-mismatch", "the rule is about %s, but %s is about something else", a, t.Code).Hint = "remove about, or write another rule for the event that starts this one"
			return
		}
	}
	r.AboutKind = &a
}
