package emulator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// platform are the methods about the portal itself, its methods and the application.
type platform struct{ *Portal }

// platformMethods are the methods of platform and some that know no portal.
func platformMethods(portal *Portal) []rest.Method {
	p := platform{portal}
	return []rest.Method{
		{Name: rest.BatchMethod},
		{Name: "scope", Legacy: true, Run: p.scopeList},
		{Name: "methods", Legacy: true, Run: p.methodNames},
		{Name: "method.get", Run: p.methodGet},
		{Name: "server.time", Run: serverTime},
		{Name: "profile", Run: profile},
		{Name: "app.info", Legacy: true, Run: p.appInfo},
		{Name: "feature.get", Legacy: true, Run: featureGet},
		{Name: "user.current", Scope: "user", Run: userCurrent},
		{Name: "calendar.settings.get", Scope: "calendar", Run: calendarSettings},
	}
}

// calendarSettings are those of a new portal.
// https://apidocs.bitrix24.com/api-reference/calendar/calendar-settings-get.html
func calendarSettings(*rest.Call) (any, error) {
	return value.Object(
		"work_time_start", "9", "work_time_end", "18", "year_holidays", "1.01,2.01,7.01,23.02,8.03,1.05,9.05,12.06,4.11",
		"year_workdays", "", "week_holidays", []string{"SA", "SU"}, "week_start", "MO",
	), nil
}

func userCurrent(c *rest.Call) (any, error) {
	u := c.Store.Users[c.Request.User]
	zone := c.Store.Zone.Location
	return value.Object(
		"ID", u.IDText(), "XML_ID", "", "ACTIVE", true, "NAME", u.Name, "LAST_NAME", u.LastName, "SECOND_NAME", "", "EMAIL", u.Email,
		"LAST_LOGIN", c.Now.In(zone).Format(time.RFC3339), "DATE_REGISTER", "2024-01-09T00:00:00+00:00", "IS_ONLINE", "Y",
		"LAST_ACTIVITY_DATE", c.Now.In(zone).Format("2006-01-02 15:04:05"), "PERSONAL_GENDER", "", "PERSONAL_BIRTHDAY", "",
		"TIME_ZONE", "", "PERSONAL_WWW", "", "PERSONAL_MOBILE", "", "PERSONAL_CITY", "", "WORK_PHONE", "",
		"WORK_POSITION", "", "UF_EMPLOYMENT_DATE", "", "UF_DEPARTMENT", php.List(value.FromInt(1)),
	), nil
}

func profile(c *rest.Call) (any, error) {
	u := c.Store.Users[c.Request.User]
	return value.Object("ID", u.IDText(), "ADMIN", !u.NotAdmin, "NAME", u.Name, "LAST_NAME", u.LastName, "PERSONAL_GENDER", "", "TIME_ZONE", ""), nil
}

func (p platform) scopeList(c *rest.Call) (any, error) {
	if !value.IsEmpty(c.Param("FULL")) {
		return value.Of(p.scopes()), nil
	}
	return value.Of(c.Options.Scopes), nil
}

// scopes are those of all emulated methods.
func (p platform) scopes() []string {
	var all []string
	for _, m := range p.server.methods {
		if m.Scope != "" {
			all = append(all, m.Scope)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// methodNames is methods: those of one scope, of all, or of the caller's.
func (p platform) methodNames(c *rest.Call) (any, error) {
	inScope := c.ScopeFilter()
	var names []string
	for name, m := range p.server.methods {
		if inScope(m.Scope) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return value.Of(names), nil
}

// methodGet is method.get.
func (p platform) methodGet(c *rest.Call) (any, error) {
	m := p.server.methods[strings.ToLower(value.Text(c.Param("name")))]
	return value.Object("isExisting", m != nil, "isAvailable", m != nil && c.Options.Allows(m.Scope)), nil
}

func serverTime(c *rest.Call) (any, error) {
	return c.Now.In(c.Store.Zone.Location).Format(time.RFC3339), nil
}

// appInfo is app.info.
// https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
func (p platform) appInfo(c *rest.Call) (any, error) {
	a := p.app
	if !c.Request.App {
		return nil, rest.Fail("ACCESS_DENIED", "Access denied! Application context required")
	}
	license := map[string]string{PlanEnterprise: "ent250", PlanUnlimited: "self"}[p.cfg.Plan]
	license = cmp.Or(license, "pro100")
	var days any
	if a.Status == "T" || a.Status == "P" {
		days = value.FromInt(int64(a.Days))
	}
	return value.Object(
		"ID", 1, "CODE", a.ClientID, "VERSION", value.FromInt(value.Int(a.Version)), "STATUS", a.Status, "INSTALLED", a.Installed,
		"PAYMENT_EXPIRED", value.YesNo(a.Expired), "DAYS", days, "LANGUAGE_ID", language,
		"LICENSE", language+"_"+license, "LICENSE_TYPE", license, "LICENSE_FAMILY", strings.TrimRight(license, "0123456789"),
	), nil
}

// featureGet is feature.get.
// https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html
func featureGet(c *rest.Call) (any, error) {
	code := value.Text(c.Param("CODE"))
	if code == "" {
		return nil, rest.Fail("CODE_EMPTY", "CODE can't be empty")
	}
	return value.Object("value", value.YesNo(c.Options.Feature(code))), nil
}
