package emulator

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func userMethods() []rest.Method {
	return []rest.Method{
		{Name: "user.get", Scope: "user", Legacy: true, Run: userGet},
		{Name: "user.admin", Run: userAdmin},
	}
}

// userColumn finds what user.get filters and orders by.
func userColumn(name string) (query.Column[*model.User], bool) {
	texts := map[string]func(*model.User) any{
		"NAME":      func(u *model.User) any { return u.Name },
		"LAST_NAME": func(u *model.User) any { return u.LastName },
		"EMAIL":     func(u *model.User) any { return u.Email },
		"IS_ONLINE": func(*model.User) any { return "Y" },
		"USER_TYPE": func(*model.User) any { return "employee" },
	}
	switch name = strings.ToUpper(name); name {
	case "ID":
		return query.NewColumn(name, query.Int, func(u *model.User) any { return u.ID }), true
	case "ACTIVE":
		return query.NewColumn(name, query.Bool, func(u *model.User) any { return !u.Dismissed }), true
	case "UF_DEPARTMENT":
		return query.NewColumn(name, query.Int, func(*model.User) any { return int64(1) }), true
	}
	get, ok := texts[name]
	return query.NewColumn(name, query.Text, get), ok
}

// userGet is user.get. Its conditions are in FILTER or among the other
// parameters.
func userGet(c *rest.Call) (any, error) {
	conditions := php.NewArray()
	for name, v := range c.Params.All() {
		switch name {
		case "SORT", "ORDER", "START", "FILTER", "ADMIN_MODE", "AUTH":
			continue
		}
		conditions.Set(name, v)
	}
	filter, _ := value.Array(c.Param("FILTER"))
	for name, v := range filter.All() {
		conditions.Set(strings.ToUpper(name), v)
	}
	s := c.Store
	r := query.Rules[*model.User]{Find: userColumn, Zone: s.Zone}
	pass, err := r.Compile(conditions)
	if err != nil {
		return nil, err
	}
	users := slices.SortedFunc(maps.Values(c.Store.Users), func(a, b *model.User) int { return cmp.Compare(a.ID, b.ID) })
	found := query.Keep(users, pass)
	order := value.Object(value.Text(value.FirstSet(c.Param("SORT"), "ID")), cmp.Or(value.Text(c.Param("ORDER")), "ASC"))
	query.Sort(found, query.LenientOrder(order, userColumn))
	answer := php.NewArray()
	for _, u := range rest.Page(c, found) {
		answer.Append(userJSON(c, u))
	}
	return answer, nil
}

// userJSON is a user as user.get shows it: two times come out as empty objects.
func userJSON(c *rest.Call, u *model.User) *php.Array {
	return value.Object(
		"ID", u.IDText(), "XML_ID", "", "ACTIVE", !u.Dismissed, "NAME", u.Name, "LAST_NAME", u.LastName, "SECOND_NAME", "", "EMAIL", u.Email,
		"LAST_LOGIN", c.Now.In(c.Store.Zone.Location).Format(time.RFC3339), "DATE_REGISTER", "2024-01-09T00:00:00+00:00", "IS_ONLINE", "Y",
		"TIMESTAMP_X", value.EmptyObject{}, "LAST_ACTIVITY_DATE", value.EmptyObject{}, "PERSONAL_GENDER", "", "PERSONAL_BIRTHDAY", "",
		"TIME_ZONE", "", "PERSONAL_WWW", "", "PERSONAL_MOBILE", "", "PERSONAL_CITY", "", "WORK_PHONE", "",
		"WORK_POSITION", "", "UF_EMPLOYMENT_DATE", "", "UF_DEPARTMENT", php.List(value.FromInt(1)), "USER_TYPE", "employee",
	)
}

// userAdmin is user.admin.
func userAdmin(c *rest.Call) (any, error) { return c.IsAdmin(), nil }
