package emulator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// platform are the methods about the portal itself, its methods and the application.
type platform struct{ *Portal }

// platformMethods are the methods of platform and some that know no portal.
func platformMethods(portal *Portal) []method {
	p := platform{portal}
	return []method{
		{name: batchMethod},
		{name: "scope", legacy: true, run: p.scopeList},
		{name: "methods", legacy: true, run: p.methodNames},
		{name: "method.get", run: p.methodGet},
		{name: "server.time", run: serverTime},
		{name: "profile", run: profile},
		{name: "app.info", legacy: true, run: p.appInfo},
		{name: "feature.get", legacy: true, run: featureGet},
		{name: "user.current", scope: "user", run: userCurrent},
	}
}

func userCurrent(c *call) (any, error) {
	u := c.store.Users[c.req.user]
	zone := c.store.Zone.Location
	return value.Object(
		"ID", u.IDText(), "ACTIVE", true, "NAME", u.Name, "LAST_NAME", u.LastName, "EMAIL", u.Email,
		"LAST_LOGIN", c.now.In(zone).Format(time.RFC3339), "DATE_REGISTER", "2024-01-09T00:00:00+00:00", "IS_ONLINE", "Y",
		"LAST_ACTIVITY_DATE", c.now.In(zone).Format("2006-01-02 15:04:05"), "PERSONAL_GENDER", "", "PERSONAL_BIRTHDAY", "",
		"WORK_POSITION", "", "UF_EMPLOYMENT_DATE", "", "UF_DEPARTMENT", php.List(value.FromInt(1)),
	), nil
}

func profile(c *call) (any, error) {
	u := c.store.Users[c.req.user]
	return value.Object("ID", u.IDText(), "ADMIN", !u.NotAdmin, "NAME", u.Name, "LAST_NAME", u.LastName, "PERSONAL_GENDER", "", "TIME_ZONE", ""), nil
}

func (p platform) scopeList(c *call) (any, error) {
	if !value.IsEmpty(c.param("FULL")) {
		return value.Of(p.scopes()), nil
	}
	return value.Of(c.options.scopes), nil
}

// scopes are those of all emulated methods.
func (p platform) scopes() []string {
	var all []string
	for _, m := range p.server.methods {
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
	return c.options.allows
}

// methodNames is methods: those of one scope, of all, or of the caller's.
func (p platform) methodNames(c *call) (any, error) {
	wanted := scopeFilter(c)
	var names []string
	for name, m := range p.server.methods {
		if wanted(m.scope) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return value.Of(names), nil
}

// methodGet is method.get.
func (p platform) methodGet(c *call) (any, error) {
	m := p.server.methods[strings.ToLower(value.Text(c.param("name")))]
	return value.Object("isExisting", m != nil, "isAvailable", m != nil && c.options.allows(m.scope)), nil
}

func serverTime(c *call) (any, error) {
	return c.now.In(c.store.Zone.Location).Format(time.RFC3339), nil
}

// appInfo is app.info.
// https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
func (p platform) appInfo(c *call) (any, error) {
	a := p.app
	if !c.req.app {
		return nil, fail("ACCESS_DENIED", "Access denied! Application context required")
	}
	license := map[string]string{PlanEnterprise: "ent250", PlanUnlimited: "self"}[p.cfg.Plan]
	license = cmp.Or(license, "pro100")
	var days any
	if a.status == "T" || a.status == "P" {
		days = value.FromInt(int64(a.days))
	}
	return value.Object(
		"ID", 1, "CODE", a.clientID, "VERSION", value.FromInt(value.Int(a.version)), "STATUS", a.status, "INSTALLED", a.installed,
		"PAYMENT_EXPIRED", value.YesNo(a.expired), "DAYS", days, "LANGUAGE_ID", language,
		"LICENSE", language+"_"+license, "LICENSE_TYPE", license, "LICENSE_FAMILY", strings.TrimRight(license, "0123456789"),
	), nil
}

// featureGet is feature.get.
// https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html
func featureGet(c *call) (any, error) {
	code := value.Text(c.param("CODE"))
	if code == "" {
		return nil, fail("CODE_EMPTY", "CODE can't be empty")
	}
	return value.Object("value", value.YesNo(c.options.feature(code))), nil
}
