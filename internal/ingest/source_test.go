package ingest

import (
	"net/http"
	"testing"
)

// TestSource: a client cannot choose its address, neither directly nor through a proxy.
func TestSource(t *testing.T) {
	for _, tt := range []struct {
		peer, want string
		forwarded  []string
	}{
		{"203.0.113.7:4000", "203.0.113.7", nil},
		{"203.0.113.7:4000", "203.0.113.7", []string{"198.51.100.1"}},
		{"127.0.0.1:4000", "127.0.0.1", nil},
		{"127.0.0.1:4000", "198.51.100.1", []string{"198.51.100.1"}},
		{"10.1.2.3:4000", "198.51.100.1", []string{"203.0.113.9, 198.51.100.1"}},
		{"10.1.2.3:4000", "198.51.100.1", []string{"203.0.113.9", " 198.51.100.1 "}},
		{"10.1.2.3:4000", "10.1.2.3", []string{"unknown"}},
		{"[::1]:4000", "2001:db8:1:2::", []string{"2001:db8:1:2:3:4:5:6"}},
		{"[::ffff:203.0.113.7]:4000", "203.0.113.7", nil},
		{"[2001:db8:1:2:3:4:5:6%eth0]:4000", "2001:db8:1:2::", nil},
		{"pipe", "invalid IP", []string{"198.51.100.1"}},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := Source(withSource(r)).String(); got != tt.want {
			t.Errorf("%s %v: %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
}
