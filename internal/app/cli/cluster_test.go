//go:build unix

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/pgtemp"

	"github.com/jackc/pgx/v5"
)

// cluster is several processes of this program on one PostgreSQL, and the
// portals that they work.
type cluster struct {
	t       *testing.T
	dir     string
	pg      *pgtemp.Server
	conn    *pgx.Conn // to the database, for looking
	portals []*clusterPortal

	mu        sync.Mutex
	members   [3]*member // that are there now
	everybody []*member
}

const clusterToken = "t0k3n"

// clusterPortal is a portal with a few deals, whose rows somebody changes all
// the time.
type clusterPortal struct {
	name   string
	portal *emulator.Portal
	people *demo.People

	mu    sync.Mutex
	deals map[int][]demo.Row // the rows that were saved last, whose event was sent
}

// member is one process. It reaches the portals through its own address, which
// identifies its requests.
type member struct {
	*testkit.Process
	n     int
	hooks string // address for events
	file  string // its configuration

	mu   sync.Mutex
	sent []sentRequest
}

type sentRequest struct {
	portal string
	at     time.Time
}

func newCluster(t *testing.T, portals int) *cluster {
	t.Helper()
	pg, err := pgtemp.Start(t.Context())
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, dir: t.TempDir(), pg: pg}
	for i := range portals {
		c.portals = append(c.portals, c.newPortal(fmt.Sprintf("p%02d", i)))
	}
	return c
}

// newPortal makes a portal of the standard plan with two deals.
func (c *cluster) newPortal(name string) *clusterPortal {
	c.t.Helper()
	p := &clusterPortal{name: name, deals: map[int][]demo.Row{}, portal: emulator.New(emulator.Config{
		Plan: emulator.PlanStandard, ApplicationToken: clusterToken, Latency: emulator.Latency{Request: 20 * time.Millisecond},
	})}
	c.t.Cleanup(p.portal.Close)
	ids := emulator.Demo(p.portal)
	base := c.listen(p.portal)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(base + p.portal.WebhookPath()), Plan: bitrix.PlanStandard})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	if p.people, err = demo.NewPeople(c.t.Context(), client, ids.ShipmentList); err != nil {
		c.t.Fatal(err)
	}
	for i := range 2 {
		deal, err := p.people.AddDeal(c.t.Context(), fmt.Sprint("Deal ", i))
		if err != nil {
			c.t.Fatal(err)
		}
		p.deals[deal] = nil
	}
	return p
}

// listen serves a handler on loopback until the test ends.
func (c *cluster) listen(h http.Handler) (base string) {
	c.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }()
	c.t.Cleanup(func() { _ = server.Close() })
	return "http://" + ln.Addr().String()
}

// join puts a process in a place and waits until it takes events.
func (c *cluster) join(place int) *member {
	c.t.Helper()
	m := &member{n: len(c.everybody), hooks: testkit.FreeAddr(c.t)}
	base := c.listen(c.front(m))
	rules, err := filepath.Abs("../../../rules/deal-shipments.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "listen: %s\ndatabase: %s\nrules: [%s]\nlog: {level: info}\nlimits: {retry_first: 100ms, retry_max: 1s, grace: 5s, settle: 2s, event_delay: 1s}\nportals:\n",
		m.hooks, c.pg.DSN("postgres"), rules)
	for _, p := range c.portals {
		fmt.Fprintf(&text, "  %s: {webhook: %s/%s%s, application_token: %s, inputs: {deal-shipments: {list: %d}}}\n",
			p.name, base, p.name, p.portal.WebhookPath(), clusterToken, p.people.List)
	}
	m.file = filepath.Join(c.dir, fmt.Sprintf("member-%d.yaml", m.n))
	testkit.WriteFile(c.t, m.file, text.String())
	m.Process = testkit.StartProcess(c.t, nil, "serve", "--config", m.file)
	m.Log.Wait(c.t, 0, "events at http://"+m.hooks+"/hooks/"+c.portals[len(c.portals)-1].name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[place] = m
	c.everybody = append(c.everybody, m)
	return m
}

// front leads to all portals, and notes what passes.
func (c *cluster) front(m *member) http.Handler {
	mux := http.NewServeMux()
	for _, p := range c.portals {
		mux.Handle("/"+p.name+"/", http.StripPrefix("/"+p.name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the lease was lost while it left: no portal gets to see it
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			m.mu.Lock()
			m.sent = append(m.sent, sentRequest{p.name, time.Now()})
			m.mu.Unlock()
			p.portal.ServeHTTP(w, r)
		})))
	}
	return mux
}

// edit changes deals of a portal and tells the engine of each change until it
// answers 200, which no portal would do; all processes take turns at hearing.
func (c *cluster) edit(ctx context.Context, p *clusterPortal, every time.Duration, sent *atomic.Int64) {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for n := 1; ; n++ {
		for deal := range p.deals {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
			rows := make([]demo.Row, 1+n%3)
			for i := range rows {
				rows[i] = row(fmt.Sprint("Part ", i), "1.10", fmt.Sprint(n))
			}
			if err := p.people.SetRows(c.t.Context(), "D", deal, rows); err != nil {
				c.t.Errorf("%s: %v", p.name, err)
				return
			}
			p.mu.Lock()
			p.deals[deal] = rows
			p.mu.Unlock()
			for try := n; !c.send(client, p, deal, try); try++ {
				select {
				case <-c.t.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
			sent.Add(1)
		}
	}
}

// send posts an event to one of the processes.
func (c *cluster) send(client *http.Client, p *clusterPortal, deal, turn int) bool {
	c.mu.Lock()
	m := c.members[turn%len(c.members)]
	c.mu.Unlock()
	form := url.Values{
		"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {fmt.Sprint(deal)}, "auth[application_token]": {clusterToken},
	}
	resp, err := client.PostForm("http://"+m.hooks+"/hooks/"+p.name, form)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
