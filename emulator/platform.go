package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"b24rules/bitrix/php"
)

const (
	// serverEndpoint is where real portals' applications renew their tokens.
	serverEndpoint = "https://oauth.bitrix.info/rest/"
	// tokenLife is how long an access token is said to live. The emulator's
	// does not expire.
	tokenLife = time.Hour
)

// user is the portal's one user, an administrator.
type user struct {
	number         int64
	name, lastName string
	email          string
}

func demoUser() user {
	return user{number: 1, name: "Anna", lastName: "Admin", email: "anna@example.com"}
}

func (u user) id() string { return strconv.FormatInt(u.number, 10) }

// application is the portal's one local application.
type application struct {
	clientID, accessToken, token, memberID string
}

func newApplication(secret string) application {
	return application{
		clientID:    "local." + deriveHex(secret, "client id", 14) + ".00000000",
		accessToken: deriveHex(secret, "access token", 64),
		token:       deriveHex(secret, "application token", 32),
		memberID:    deriveHex(secret, "member id", 32),
	}
}

func platformMethods() []method {
	return []method{
		{name: batchMethod},
		{name: "scope", legacy: true, run: scopeList},
		{name: "methods", legacy: true, run: methodNames},
		{name: "method.get", run: methodGet},
		{name: "server.time", run: serverTime},
		{name: "profile", run: profile},
		{name: "user.current", scope: "user", run: userCurrent},
	}
}

func userCurrent(c *call) (any, error) {
	u := c.p.user
	zone := c.p.cfg.Location
	return object(
		"ID", u.id(), "ACTIVE", true, "NAME", u.name, "LAST_NAME", u.lastName, "EMAIL", u.email,
		"LAST_LOGIN", c.now.In(zone).Format(time.RFC3339), "DATE_REGISTER", "2024-01-09T00:00:00+00:00", "IS_ONLINE", "Y",
		"LAST_ACTIVITY_DATE", c.now.In(zone).Format("2006-01-02 15:04:05"), "PERSONAL_GENDER", "", "PERSONAL_BIRTHDAY", "",
		"WORK_POSITION", "", "UF_EMPLOYMENT_DATE", "", "UF_DEPARTMENT", php.List(intValue(1)),
	), nil
}

func profile(c *call) (any, error) {
	u := c.p.user
	return object("ID", u.id(), "ADMIN", true, "NAME", u.name, "LAST_NAME", u.lastName, "PERSONAL_GENDER", "", "TIME_ZONE", ""), nil
}

func scopeList(c *call) (any, error) {
	if !isEmpty(c.param("FULL")) {
		return wire(c.p.scopes()), nil
	}
	return wire(c.p.cfg.Scopes), nil
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

// methodNames is methods: those of one scope, of all, or of the caller's.
func methodNames(c *call) (any, error) {
	wanted := func(m *method) bool { return c.p.cfg.allows(m.scope) }
	if scope := toText(c.param("SCOPE")); scope != "" {
		wanted = func(m *method) bool { return m.scope == scope }
	} else if c.param("SCOPE") != nil {
		wanted = func(m *method) bool { return m.scope == "" }
	} else if !isEmpty(c.param("FULL")) {
		wanted = func(*method) bool { return true }
	}
	var names []string
	for name, m := range c.p.methods {
		if wanted(m) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return wire(names), nil
}

// methodGet is method.get.
func methodGet(c *call) (any, error) {
	m := c.p.methods[strings.ToLower(toText(c.param("name")))]
	return object("isExisting", m != nil, "isAvailable", m != nil && c.p.cfg.allows(m.scope)), nil
}

func serverTime(c *call) (any, error) {
	return c.now.In(c.p.cfg.Location).Format(time.RFC3339), nil
}
