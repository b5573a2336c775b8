package emulator

import (
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func platformMethods() []method {
	return []method{
		{name: batchMethod},
		{name: "scope", legacy: true, run: scopeList},
		{name: "methods", legacy: true, run: methodNames},
		{name: "method.get", run: methodGet},
		{name: "server.time", run: serverTime},
		{name: "profile", run: profile},
		{name: "app.info", legacy: true, run: appInfo},
		{name: "feature.get", legacy: true, run: featureGet},
		{name: "user.current", scope: "user", run: userCurrent},
	}
}

func userCurrent(c *call) (any, error) {
	u := c.store().Users[c.req.user]
	zone := c.p.cfg.Location
	return value.Object(
		"ID", u.IDText(), "ACTIVE", true, "NAME", u.Name, "LAST_NAME", u.LastName, "EMAIL", u.Email,
		"LAST_LOGIN", c.now.In(zone).Format(time.RFC3339), "DATE_REGISTER", "2024-01-09T00:00:00+00:00", "IS_ONLINE", "Y",
		"LAST_ACTIVITY_DATE", c.now.In(zone).Format("2006-01-02 15:04:05"), "PERSONAL_GENDER", "", "PERSONAL_BIRTHDAY", "",
		"WORK_POSITION", "", "UF_EMPLOYMENT_DATE", "", "UF_DEPARTMENT", php.List(value.FromInt(1)),
	), nil
}

func profile(c *call) (any, error) {
	u := c.store().Users[c.req.user]
	return value.Object("ID", u.IDText(), "ADMIN", !u.NotAdmin, "NAME", u.Name, "LAST_NAME", u.LastName, "PERSONAL_GENDER", "", "TIME_ZONE", ""), nil
}

func scopeList(c *call) (any, error) {
	if !value.IsEmpty(c.param("FULL")) {
		return value.Of(c.p.scopes()), nil
	}
	return value.Of(c.p.cfg.Scopes), nil
}

// scopes are those of all emulated methods.
func (p *Portal) scopes() []string {
	var all []string
	for _, m := range p.methods {
		if m.scope != "" {
			all = append(all, m.scope)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// scopeFilter is which permissions methods and events are asked for: the one in
// SCOPE, all with FULL, or the caller's.
func scopeFilter(c *call) func(scope string) bool {
	switch only := c.param("SCOPE"); {
	case only != nil:
		return func(scope string) bool { return scope == value.Text(only) }
	case !value.IsEmpty(c.param("FULL")):
		return func(string) bool { return true }
	}
	return c.p.cfg.allows
}

// methodNames is methods: those of one scope, of all, or of the caller's.
func methodNames(c *call) (any, error) {
	wanted := scopeFilter(c)
	var names []string
	for name, m := range c.p.methods {
		if wanted(m.scope) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return value.Of(names), nil
}

// methodGet is method.get.
func methodGet(c *call) (any, error) {
	m := c.p.methods[strings.ToLower(value.Text(c.param("name")))]
	return value.Object("isExisting", m != nil, "isAvailable", m != nil && c.p.cfg.allows(m.scope)), nil
}

func serverTime(c *call) (any, error) {
	return c.now.In(c.p.cfg.Location).Format(time.RFC3339), nil
}
