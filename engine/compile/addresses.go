package compile

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/private"
)

// checkURL reports an address whose host data of the portal may decide, and warns of a
// private address.
func (c *stepCompiler) checkURL(v *engine.Value) {
	start := ""
	switch {
	case v.Template != nil:
		parts := v.Template.Parts()
		start = parts[0].Text
		at := slices.IndexFunc(parts, func(p formula.Part) bool { return p.FromData })
		if at >= 0 && !startsWithHost(parts[:at]) {
			c.problems(v.Node, 0, []formula.Problem{{
				From: parts[at].From, To: parts[at].To, Code: "data-in-host", Message: "data of the portal may decide the host of the request",
				Hint: "write scheme and host in the rule file or in an input, and then a /: https://stock.example.com/{{ … }}",
			}})
		}
		if !engine.HasHost(start) {
			return
		}
	case v.FromData():
		c.Errorf(v.Node, "data-in-host", "data of the portal may decide the host of the request").Hint = "write the address as text: https://stock.example.com/{{ … }}"
		return
	default:
		x, _ := v.Const()
		start, _ = x.(string)
	}
	if host := hostOf(start); private.IsHost(host) {
		c.Warnf(v.Node, "private-address", "%s is this machine or in a private network, and b24rules refuses such addresses unless the configuration allows them", host).
			Hintf("private_hosts: [%s] in the configuration", host)
	}
}

// hostOf returns the host of an address, "" when it has none.
func hostOf(start string) string {
	if scheme, rest, ok := strings.Cut(start, "://"); ok {
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			start = scheme + "://" + rest[:end]
		}
	}
	u, err := url.Parse(start)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// hostDone matches the start of an address with its host. Each hole is a NUL: it may have
// scheme, host and port.
var hostDone = regexp.MustCompile("^(?:[^/?#\x00]*://[^/?#]+|\x00[^:/?#]*(?::[0-9\x00]+)?|[^/?#]*\x00://[^/?#]+)[/?#]")

// startsWithHost reports whether the parts before data have scheme, host and port.
func startsWithHost(parts []formula.Part) bool {
	var b strings.Builder
	for _, p := range parts {
		if p.Hole {
			b.WriteByte(0)
			continue
		}
		b.WriteString(p.Text)
	}
	return hostDone.MatchString(b.String())
}

// dataNamesSecret reports data that decides the name under which a secret is sent.
func (c *stepCompiler) dataNamesSecret(f *engine.FieldsValue) {
	for _, e := range f.Entries {
		if e.Key.FromData() && c.hasSecret(e.Value) {
			c.Errorf(e.Key.Node, "data-names-secret", "data of the portal may decide the name under which a secret is sent").Hint = "write the name in the rule file or in an input"
		}
	}
}

// hasSecret reports whether a value is or includes a secret.
func (c *stepCompiler) hasSecret(v *engine.Value) bool {
	if v.Record != nil {
		return slices.ContainsFunc(v.Record.Entries, func(e *engine.FieldEntry) bool { return c.hasSecret(e.Value) })
	}
	if v.List != nil {
		return slices.ContainsFunc(v.List, c.hasSecret)
	}
	if v.Formula != nil {
		return c.isSecret(v.Formula.Source())
	}
	return v.Template != nil && slices.ContainsFunc(v.Template.Sources(), c.isSecret)
}
