package actions_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/engine/run"
)

// loopbackNames makes every name resolve to 127.0.0.1 during a test.
func loopbackNames(t *testing.T) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(dnsAnswer(buf[:n]), from)
		}
	}()
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = old
		_ = server.Close()
	})
}

// dnsAnswer answers a question for an A record with 127.0.0.1, and others with nothing.
// Format: RFC 1035, section 4.
func dnsAnswer(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5 // the root, type and class
	out := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end]...)
	if question[end-3] == 1 {
		out[7] = 1
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return out
}

// TestPrivateAddressesAreRefused: a request to a private address is refused when the run
// makes it, whether the address is in the rule or a public name has it. The configuration
// may allow it.
func TestPrivateAddressesAreRefused(t *testing.T) {
	loopbackNames(t)
	named := func(s *stock, name string) { s.URL = strings.Replace(s.URL, "127.0.0.1", name, 1) }
	for _, tt := range []struct {
		name, host string
		allowed    []string
		refused    string // "" means that the request is made
	}{
		{"address", "127.0.0.1", nil, "127.0.0.1 is this machine or in a private network"},
		{"short address", "127.1", nil, "127.1 is this machine or in a private network"},
		{"number", "2130706433", nil, "2130706433 is this machine or in a private network"},
		{"mapped address", "[::ffff:127.0.0.1]", nil, "::ffff:127.0.0.1 is this machine or in a private network"},
		{"name of this machine", "localhost", nil, "localhost is this machine or in a private network"},
		{"public name", "stock.example.com", nil, "stock.example.com has the address 127.0.0.1, which is this machine"},
		{"another network is allowed", "stock.example.com", []string{"10.0.0.0/8"}, "stock.example.com has the address 127.0.0.1"},
		{"another name is allowed", "stock.example.com", []string{"other.example.com"}, "stock.example.com has the address 127.0.0.1"},
		{"allowed name", "stock.example.com", []string{"stock.example.com"}, ""},
		{"allowed network", "stock.example.com", []string{"127.0.0.0/8"}, ""},
		{"allowed address", "127.0.0.1", []string{"127.0.0.1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStock(t)
			named(s, tt.host)
			x := posting(t, s, "")
			var err error
			if x.private, err = private.ParseHosts(tt.allowed); err != nil {
				t.Fatal(err)
			}
			_, err = x.post(x.memory)
			if tt.refused == "" {
				if err != nil || len(s.got()) != 1 {
					t.Errorf("%d requests, error %v", len(s.got()), err)
				}
				return
			}
			var re *run.RunError
			if !errors.As(err, &re) || re.Verdict != run.Park || !strings.Contains(re.Error(), tt.refused) {
				t.Errorf("the error is %v, want %q", err, tt.refused)
			}
			if len(s.got()) != 0 {
				t.Error("the request was made")
			}
		})
	}
}

// TestRedirectsStayRefused: a redirect cannot lead to a private host.
func TestRedirectsStayRefused(t *testing.T) {
	loopbackNames(t)
	inside := newStock(t)
	s := newStock(t)
	s.fail = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", inside.URL)
		w.WriteHeader(http.StatusPermanentRedirect)
	}}
	s.URL = strings.Replace(s.URL, "127.0.0.1", "stock.example.com", 1)
	x := posting(t, s, "")
	var err error
	if x.private, err = private.ParseHosts([]string{"stock.example.com"}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.post(x.memory); err == nil || len(inside.got()) != 0 {
		t.Errorf("error %v, the private host got %d requests", err, len(inside.got()))
	}
}
