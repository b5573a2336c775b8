package access

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Role is what a person may do.
type Role string

// The roles. A viewer sees what is stored. An operator also plans, runs, replays, discards,
// pauses, acknowledges and loads files again.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
)

// User is a person, or a program with a token.
type User struct {
	Name string
	Role Role
	// Portals are those that the user sees; nil means all.
	Portals []string
	// NoRecords hides the parameters and answers of REST commands, which have data of customers.
	NoRecords bool
	// Hash is that of the password or of the token. It is "" for a user of the proxy.
	Hash string
}

// Sees reports whether the user sees a portal.
func (u User) Sees(portal string) bool {
	return u.Portals == nil || slices.Contains(u.Portals, portal)
}

// Operates reports whether the user may change something.
func (u User) Operates() bool { return u.Role == Operator }

// Proxy says which headers of which proxy name the user.
type Proxy struct {
	From []netip.Prefix
	// User and Groups are names of headers; Groups may be "".
	User, Groups string
	// Roles are the roles of users and groups.
	Roles map[string]Role
}

// Rules are who may enter. The zero value lets no one in.
type Rules struct {
	Users  []User
	Tokens []User
	Proxy  *Proxy
	// Open lets everybody in as an operator: the console listens on loopback only, and has no
	// users.
	Open bool
}

// Check returns the user with a name and a password. An unknown name takes the same time as a
// wrong password.
func (r Rules) Check(name, password string) (User, bool) {
	found := User{}
	for _, u := range r.Users {
		if u.Name == name {
			found = u
		}
	}
	ok := matches(found.Hash, password)
	return found, ok && found.Name != ""
}

// User returns a user by name, such as that of a session.
func (r Rules) User(name string) (User, bool) {
	i := slices.IndexFunc(r.Users, func(u User) bool { return u.Name == name })
	if i < 0 {
		return User{}, false
	}
	return r.Users[i], true
}

// Token returns the user of a bearer token.
func (r Rules) Token(token string) (User, bool) {
	hash := HashToken(token)
	found, ok := User{}, false
	for _, u := range r.Tokens {
		if subtle.ConstantTimeCompare([]byte(u.Hash), []byte(hash)) == 1 {
			found, ok = u, true
		}
	}
	return found, ok
}

// FromProxy returns the user that a trusted proxy names. It removes the headers of all other
// senders.
func (r Rules) FromProxy(req *http.Request) (User, bool) {
	p := r.Proxy
	if p == nil {
		return User{}, false
	}
	if !p.trusts(req.RemoteAddr) {
		req.Header.Del(p.User)
		if p.Groups != "" {
			req.Header.Del(p.Groups)
		}
		return User{}, false
	}
	name := strings.TrimSpace(req.Header.Get(p.User))
	if name == "" || len(req.Header.Values(p.User)) != 1 {
		return User{}, false
	}
	role := p.Roles[name]
	if p.Groups != "" {
		for _, group := range strings.FieldsFunc(strings.Join(req.Header.Values(p.Groups), ","), func(c rune) bool { return c == ',' || c == ' ' || c == ';' }) {
			if found := p.Roles[group]; found == Operator || role == "" {
				role = found
			}
		}
	}
	if role == "" {
		return User{}, false
	}
	return User{Name: name, Role: role}, true
}

// trusts reports whether a request comes from the proxy.
func (p *Proxy) trusts(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	address := at.Addr().Unmap()
	return slices.ContainsFunc(p.From, func(one netip.Prefix) bool { return one.Contains(address) })
}

// Address is the address of the person who sent a request: that of the connection, or what a
// trusted proxy says.
func (r Rules) Address(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	if r.Proxy != nil && r.Proxy.trusts(req.RemoteAddr) {
		list := strings.Split(req.Header.Get("X-Forwarded-For"), ",")
		if last, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			return last.String()
		}
	}
	return host
}
