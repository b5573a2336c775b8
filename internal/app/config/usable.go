package config

import (
	"math"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
)

// BrokenPortal is a portal whose part of the configuration has errors.
type BrokenPortal struct {
	Name     string
	Findings diag.List
	// Token is the application token, if that can be read.
	Token bitrix.Secret
	// Tags are those of the portal.
	Tags []string
}

// Reason is the first error in one line, with its place.
func (b BrokenPortal) Reason() string {
	for _, f := range b.Findings {
		if f.Severity == diag.Error {
			return f.String()
		}
	}
	return ""
}

// Portal returns the portal with a name, nil if there is none or its part has errors.
func (c *Config) Portal(name string) *Portal {
	for i := range c.Portals {
		if c.Portals[i].Name == name {
			return &c.Portals[i]
		}
	}
	return nil
}

// BrokenPortal returns the portal with a name whose part has errors, nil if there is none.
func (c *Config) BrokenPortal(name string) *BrokenPortal {
	for i := range c.Broken {
		if c.Broken[i].Name == name {
			return &c.Broken[i]
		}
	}
	return nil
}

// Usable moves the portals with errors from Portals to Broken, so that the others can run.
// list are the findings of Parse. It returns those that concern no single portal.
func (c *Config) Usable(list diag.List) (others diag.List) {
	findings := map[string]diag.List{}
	for _, f := range list {
		names := c.concerns[keyOf(f)]
		if name := c.portalAt(f.Pos); len(names) == 0 && name != "" {
			names = []string{name}
		}
		for _, name := range names {
			findings[name] = append(findings[name], f)
		}
		if len(names) == 0 {
			others = append(others, f)
		}
	}
	c.Portals = slices.DeleteFunc(c.Portals, func(p Portal) bool {
		list := findings[p.Name]
		if !list.HasErrors() {
			return false
		}
		c.Broken = append(c.Broken, BrokenPortal{p.Name, list, p.Token, p.Tags})
		return true
	})
	return others
}

// portalAt returns the portal in whose lines a place is, "" for none. Portals that share a
// line have none.
func (c *Config) portalAt(pos diag.Pos) string {
	if pos.Line >= c.afterPortals {
		return ""
	}
	at := -1
	for i, p := range c.Portals {
		if p.Pos.File == pos.File && p.Pos.Line <= pos.Line {
			at = i
		}
	}
	shares := func(i, j int) bool { return c.Portals[i].Pos.Line == c.Portals[j].Pos.Line }
	if at < 0 || at > 0 && shares(at, at-1) || at+1 < len(c.Portals) && shares(at, at+1) {
		return ""
	}
	return c.Portals[at].Name
}

// lineAfterPortals returns the line of the key that follows portals.
func (r *reader) lineAfterPortals(portals diag.Pos) int {
	next := math.MaxInt
	m, _ := r.file.Mapping(r.file.Root) // its mistakes are reported
	for _, e := range m.Entries {
		if line := r.file.Pos(e.Key).Line; line > portals.Line {
			next = min(next, line)
		}
	}
	return next
}
