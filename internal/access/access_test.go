package access_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/access"
)

func TestPasswords(t *testing.T) {
	hash := access.HashPassword("correct horse")
	if err := access.CheckHash(hash); err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q: %v", hash, err)
	}
	if hash == access.HashPassword("correct horse") {
		t.Error("two hashes of one password are the same: no salt")
	}
	rules := access.Rules{Users: []access.User{{Name: "anna", Role: access.Operator, Hash: hash}, {Name: "broken", Hash: "x"}}}
	for _, tt := range []struct {
		name, password string
		ok             bool
	}{{"anna", "correct horse", true}, {"anna", "wrong", false}, {"anna", "", false}, {"ivan", "correct horse", false}, {"", "", false}, {"broken", "x", false}} {
		if u, ok := rules.Check(tt.name, tt.password); ok != tt.ok || ok && u.Name != tt.name {
			t.Errorf("%q with %q: %v, want %v", tt.name, tt.password, ok, tt.ok)
		}
	}
	for _, bad := range []string{"", "secret", "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AA", "$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43), "$argon2id$v=18$m=8,t=1,p=1$AAAAAAAAAAA$AA", "$argon2id$v=19$m=x$AAAAAAAAAAA$AA"} {
		if access.CheckHash(bad) == nil {
			t.Errorf("%q is no hash", bad)
		}
	}
}

func TestTokens(t *testing.T) {
	token, hash := access.NewToken()
	rules := access.Rules{Tokens: []access.User{{Name: "nightly", Hash: hash}}}
	if u, ok := rules.Token(token); !ok || u.Name != "nightly" {
		t.Errorf("the token is %v", u)
	}
	if _, ok := rules.Token(hash); ok {
		t.Error("the stored hash is accepted as a token")
	}
	if access.CheckTokenHash(hash) != nil || access.CheckTokenHash(token) == nil || access.CheckTokenHash("sha256:00") == nil {
		t.Error("which text is a token's hash")
	}
}

func TestLimiter(t *testing.T) {
	var l access.Limiter
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 5 {
		if _, ok := l.Allow("anna", "10.0.0.1", now); !ok {
			t.Fatalf("try %d is refused", i+1)
		}
		if left := l.Failed("anna", "10.0.0.1", now); left != 4-i {
			t.Errorf("%d tries left after %d failures", left, i+1)
		}
	}
	if wait, ok := l.Allow("anna", "10.0.0.2", now); ok || wait != 15*time.Minute {
		t.Errorf("the sixth try: %v, wait %s", ok, wait)
	}
	if _, ok := l.Allow("ivan", "10.0.0.1", now); !ok {
		t.Error("another name at the address is refused")
	}
	if _, ok := l.Allow("anna", "10.0.0.1", now.Add(15*time.Minute+time.Second)); !ok {
		t.Error("after 15 minutes the name is refused")
	}
	l.Succeeded("anna")
	if _, ok := l.Allow("anna", "10.0.0.1", now.Add(time.Minute)); !ok {
		t.Error("after a success the name is refused")
	}
	for range 20 {
		l.Failed("x", "10.0.0.9", now)
	}
	if _, ok := l.Allow("y", "10.0.0.9", now.Add(2*time.Minute)); ok {
		t.Error("an address may try without an end")
	}
	var all access.Limiter
	refused := false
	for i := range 40 {
		_, ok := all.Allow(strings.Repeat("n", i+1), strings.Repeat("a", i+1), now)
		refused = refused || !ok
	}
	if !refused {
		t.Error("all together may try without an end")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	var l access.Limiter
	now := time.Now()
	for i := range 20000 {
		l.Failed(strings.Repeat("x", i%50)+time.Duration(i).String(), "10.0.0.1", now)
	}
	if n := l.Keys(); n > 10001 {
		t.Errorf("the limiter remembers %d names", n)
	}
}

func TestProxy(t *testing.T) {
	rules := access.Rules{Proxy: &access.Proxy{
		From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, User: "X-Forwarded-User", Groups: "X-Forwarded-Groups",
		Roles: map[string]access.Role{"ops": access.Operator, "guests": access.Viewer, "boss": access.Operator},
	}}
	for _, tt := range []struct {
		from, name, groups string
		role               access.Role
	}{
		{"10.0.0.7:1", "anna", "staff, ops", access.Operator},
		{"10.0.0.7:1", "anna", "guests,ops", access.Operator},
		{"10.0.0.7:1", "anna", "ops,guests", access.Operator},
		{"10.0.0.7:1", "ivan", "guests", access.Viewer},
		{"10.0.0.7:1", "boss", "", access.Operator},
		{"10.0.0.7:1", "ivan", "other", ""},
		{"10.0.0.7:1", "", "ops", ""},
		{"10.0.1.7:1", "anna", "ops", ""},
		{"nonsense", "anna", "ops", ""},
	} {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		req.RemoteAddr = tt.from
		req.Header.Set("X-Forwarded-User", tt.name)
		req.Header.Set("X-Forwarded-Groups", tt.groups)
		u, ok := rules.FromProxy(req)
		if ok != (tt.role != "") || u.Role != tt.role {
			t.Errorf("%+v: %v %v", tt, u, ok)
		}
		if strings.HasPrefix(tt.from, "10.0.1") && req.Header.Get("X-Forwarded-User") != "" {
			t.Error("a forged header is left in the request")
		}
	}
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	req.RemoteAddr = "10.0.0.7:1"
	req.Header.Set("X-Forwarded-For", "6.6.6.6, 192.0.2.9")
	if got := rules.Address(req); got != "192.0.2.9" {
		t.Errorf("address behind the proxy: %s", got)
	}
	req.RemoteAddr = "192.0.2.1:5"
	if got := rules.Address(req); got != "192.0.2.1" {
		t.Errorf("address of a stranger: %s", got)
	}
}

func TestSees(t *testing.T) {
	if !(access.User{}).Sees("acme") || (access.User{Portals: []string{}}).Sees("acme") || !(access.User{Portals: []string{"acme"}}).Sees("acme") {
		t.Error("which portals a user sees")
	}
}
