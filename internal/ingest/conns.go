package ingest

import (
	"cmp"
	"container/list"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Conns bounds the connections of a server. When one more comes than there may
// be, the one goes that has kept the server waiting the longest: it has sent
// nothing yet, sends slowly, or is kept alive. An event takes milliseconds to
// arrive, so a flood has to open Most connections in that time to push one
// out. Connections whose event is being stored are never closed for others;
// when there are no others, the new one is answered 503.
//
// The zero value is ready. A Conns serves one server.
type Conns struct {
	// Most is how many connections may be open at once. 0 means 1,000.
	Most int

	// Log gets a line when connections are closed or refused, not one for
	// each. nil means slog.Default().
	Log *slog.Logger

	mu      sync.Mutex
	open    map[net.Conn]*conn
	waiting list.List // of *conn, the one that waits longest first
	stats   ConnStats
	said    quota
}

// ConnStats are counters of a Conns.
type ConnStats struct {
	Open    int   // now
	Closed  int64 // to make room for others
	Refused int64 // with 503, since all others were at work
}

// conn is a connection of a server. Its fields belong to Conns.mu.
type conn struct {
	net.Conn
	place *list.Element // among the waiting ones; nil while it is held
}

// connKey leads from a request's context to its connection: net/http offers no
// other way from one to the other.
type connKey struct{}

// connOf is what connKey leads to.
type connOf struct {
	conns *Conns
	conn  net.Conn
}

// Guard makes a server keep the bound on what it accepts from the listener
// that is returned, which takes the place of ln.
func (c *Conns) Guard(s *http.Server, ln net.Listener) net.Listener {
	c.Most = cmp.Or(c.Most, 1000)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.open = map[net.Conn]*conn{}
	s.ConnState = c.state
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, connOf{c, nc})
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

// busy is the answer to a connection that finds no place.
const busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// refuse says so if that takes no time: the kernel's buffer of a new
// connection holds it.
func refuse(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = io.WriteString(nc, busy)
	_ = nc.Close()
}

// admit finds a place for a connection, by closing another one if need be.
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
		if say, _ := c.said.take(); say {
			c.Log.Warn("no connection is free: the one that waits longest is closed for each new one", slog.Int("connections", c.Most),
				slog.Int64("closed", stats.Closed), slog.Int64("refused", stats.Refused))
		}
	}
	return ok
}

// forget takes a connection out of the books. The lock is held.
func (c *Conns) forget(one *conn) {
	if one.place != nil {
		c.waiting.Remove(one.place)
		one.place = nil
	}
	delete(c.open, one.Conn)
}

// state follows what net/http tells of a connection.
func (c *Conns) state(nc net.Conn, s http.ConnState) {
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

// hold keeps the connection of a request from being closed for others, until
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
