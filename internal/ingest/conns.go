package ingest

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Conns bounds the connections of a server. When the limit is reached, a new
// connection replaces the one that has kept the server waiting longest: it has sent
// nothing yet, sends slowly, or is idle. An event arrives within milliseconds, so
// a flood would have to open Most connections in that time to close its connection.
// A connection whose event is being stored is never closed for another; if only
// such connections are left, the new one is answered with 503.
//
// The zero value is ready. A Conns serves one server.
type Conns struct {
	// Most is how many connections may be open at once. 0 means 1,000.
	Most int

	// Log receives a limited number of lines about closed and refused connections.
	// nil means slog.Default().
	Log *slog.Logger

	mu      sync.Mutex
	open    map[net.Conn]*conn
	waiting list.List // of *conn, the longest waiting one first
	stats   ConnStats
	logged  quota
}

// ConnStats are counters of a Conns.
type ConnStats struct {
	Open    int   // now
	Closed  int64 // to make room for others
	Refused int64 // with 503, because all others were being stored
}

// conn is a connection of a server. Its fields belong to Conns.mu.
type conn struct {
	net.Conn
	place *list.Element // in waiting; nil while an event of it is being stored
}

// connKey is the key under which a request's context has its connection: net/http
// offers no other way from one to the other.
type connKey struct{}

// connOf is the value of connKey.
type connOf struct {
	conns *Conns
	conn  net.Conn
}

// Guard bounds the connections that a server accepts from the returned listener,
// which the server must use instead of ln.
func (c *Conns) Guard(s *http.Server, ln net.Listener) net.Listener {
	c.mu.Lock() // Stats may be read before the server starts
	c.Most = cmp.Or(c.Most, 1000)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.open = map[net.Conn]*conn{}
	c.mu.Unlock()
	s.ConnState = c.state
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, connOf{c, accepted(nc)})
	}
	return &guarded{ln, c}
}

// Stats returns the counters.
func (c *Conns) Stats() ConnStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Open = len(c.open)
	return s
}

type guarded struct {
	net.Listener
	conns *Conns
}

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		nc, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.conns.admit(nc) {
			return nc, nil
		}
		refuse(nc)
	}
}

// busy is the answer to a connection beyond the limit.
const busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// refuse answers with 503 without waiting: the kernel's buffer of a new connection
// has room for the answer.
func refuse(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = io.WriteString(nc, busy)
	_ = nc.Close()
}

// admit admits a connection, if necessary by closing another one.
func (c *Conns) admit(nc net.Conn) bool {
	c.mu.Lock()
	var victim *conn
	ok := true
	if len(c.open) >= c.Most {
		if first := c.waiting.Front(); first != nil {
			victim = first.Value.(*conn)
			c.forget(victim)
			c.stats.Closed++
		} else {
			c.stats.Refused++
			ok = false
		}
	}
	if ok {
		one := &conn{Conn: nc}
		c.open[nc] = one
		one.place = c.waiting.PushBack(one)
	}
	crowded, stats := victim != nil || !ok, c.stats
	c.mu.Unlock()
	if victim != nil {
		_ = victim.Close()
	}
	if crowded {
		if allowed, _ := c.logged.take(); allowed {
			c.Log.Warn("connection limit reached, closing the slowest connection", slog.Int("connections", c.Most),
				slog.Int64("closed", stats.Closed), slog.Int64("refused", stats.Refused))
		}
	}
	return ok
}

// forget removes a connection. The caller holds the lock.
func (c *Conns) forget(one *conn) {
	if one.place != nil {
		c.waiting.Remove(one.place)
		one.place = nil
	}
	delete(c.open, one.Conn)
}

// accepted returns the connection that the guarded listener has accepted: that below TLS.
func accepted(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		return t.NetConn()
	}
	return nc
}

// state follows the states that net/http reports of a connection.
func (c *Conns) state(nc net.Conn, s http.ConnState) {
	nc = accepted(nc)
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.open[nc]
	if one == nil {
		return // closed to make room
	}
	switch s {
	case http.StateIdle:
		if one.place != nil {
			c.waiting.MoveToBack(one.place)
		}
	case http.StateClosed, http.StateHijacked:
		c.forget(one)
	case http.StateNew, http.StateActive:
	}
}

// hold protects the connection of a request from being closed for others, until
// release. Without a Conns it does nothing.
func hold(ctx context.Context) (release func()) {
	of, ok := ctx.Value(connKey{}).(connOf)
	if !ok {
		return func() {}
	}
	c := of.conns
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.open[of.conn]
	if one == nil || one.place == nil {
		return func() {}
	}
	c.waiting.Remove(one.place)
	one.place = nil
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open[of.conn] == one && one.place == nil {
			one.place = c.waiting.PushBack(one)
		}
	}
}
