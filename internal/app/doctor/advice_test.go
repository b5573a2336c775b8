package doctor_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/probe"
)

// plain is an emulated portal with a list, without an engine.
type plain struct {
	t      *testing.T
	portal *emulator.Portal
	url    string
	secret string
}

func newPlain(t *testing.T, cfg emulator.Config) *plain {
	t.Helper()
	if cfg.Plan == "" {
		cfg.Plan = emulator.PlanUnlimited
	}
	portal := emulator.New(cfg)
	t.Cleanup(portal.Close)
	portal.AddList(emulator.List{ID: 47, Name: "Shipments"})
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	return &plain{t: t, portal: portal, url: server.URL, secret: portal.WebhookPath()}
}

const plainRule = `version: 1
inputs:
  list: {type: integer, title: the list}
rules:
  keep:
    on: [ONCRMDEALADD]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - upsert_element:
          list: =inputs.list
          key: =event.id
          fields: {NAME: =deal.title}
`

// examined is the portal with a rule that writes to a list. change changes how it is called.
func (p *plain) examined(list string, change func(c *bitrix.Config)) doctor.Portal {
	p.t.Helper()
	c := bitrix.Config{Webhook: bitrix.Secret(p.url + p.secret), Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	client, err := bitrix.NewClient(c)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(client.Close)
	out := doctor.Portal{
		Name: "main", Client: client, URL: c.Webhook.Reveal(), Webhook: true, Now: time.Now,
		Latest: func(context.Context, string) (time.Time, error) { return time.Now(), nil },
		Arrivals: func(context.Context) (doctor.Arrivals, error) {
			return doctor.Arrivals{Last: time.Now()}, nil
		},
	}
	set, findings := load.File("keep.yaml", []byte(plainRule), actions.All)
	if err := findings.Err(); err != nil {
		p.t.Fatal(err)
	}
	inputs, problems := set.BindInputs(map[string]string{"list": list})
	if len(problems) > 0 {
		p.t.Fatal(problems)
	}
	for _, r := range set.Rules {
		out.Rules = append(out.Rules, doctor.Rule{Rule: r, Inputs: inputs})
	}
	return out
}

// answering is an HTTP server that stands before an emulated portal. answer returns true if it
// has answered.
func (p *plain) answering(answer func(w http.ResponseWriter, r *http.Request) bool) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			p.portal.ServeHTTP(w, r)
		}
	}))
	p.t.Cleanup(server.Close)
	return server.URL
}

// TestFollowAdvice makes each check fail for its true cause, follows the advice, and makes the
// check again.
func TestFollowAdvice(t *testing.T) {
	t.Parallel()
	at := func(url string) func(*bitrix.Config) {
		return func(c *bitrix.Config) { c.Webhook = bitrix.Secret(url) }
	}
	for _, tt := range []struct {
		check        string
		state        doctor.State
		text, advice string
		// make returns the portal with the fault, and follow does what the advice says.
		make func(t *testing.T) (broken doctor.Portal, follow func() doctor.Portal)
	}{
		{
			"address", doctor.Failed, "no such host", "check the address",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				return p.examined("47", at("http://no-such-host.invalid"+p.secret)), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"address", doctor.Failed, "cannot be trusted", "insecure_skip_verify",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				server := httptest.NewUnstartedServer(p.portal)
				server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, 90*24*time.Hour)}}
				server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				server.StartTLS()
				t.Cleanup(server.Close)
				return p.examined("47", at(server.URL+p.secret)), func() doctor.Portal {
					q := p.examined("47", func(c *bitrix.Config) { at(server.URL + p.secret)(c); c.HTTP = server.Client() })
					q.Insecure = true
					return q
				}
			},
		},
		{
			"credentials", doctor.Failed, "INVALID_CREDENTIALS", "make a new inbound webhook",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				return p.examined("47", at(p.url+"/rest/1/deleted/")), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"credentials", doctor.Failed, "the portal has moved to", "use the new address",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				old := p.answering(func(w http.ResponseWriter, r *http.Request) bool {
					http.Redirect(w, r, p.url+r.URL.Path, http.StatusFound)
					return true
				})
				return p.examined("47", at(old+p.secret)), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"clock", doctor.Warning, "behind the portal's", "set the clock",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				q := p.examined("47", nil)
				q.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
				return q, func() doctor.Portal { q.Now = time.Now; return q }
			},
		},
		{
			"clock", doctor.Warning, "time_zone UTC has +00:00", "set time_zone",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{Location: time.FixedZone("", 5*60*60)})
				q := p.examined("47", nil)
				q.Zone = time.UTC
				return q, func() doctor.Portal { q.Zone = time.FixedZone("Asia/Tashkent", 5*60*60); return q }
			},
		},
		{
			"user", doctor.Warning, "is not an administrator", "let an administrator make the webhook",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				plainUser := p.answering(func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.Path, "/profile") {
						return false
					}
					_, _ = w.Write([]byte(`{"result":{"ID":"7","ADMIN":false,"NAME":"Eve","LAST_NAME":"Low"},"time":{}}`))
					return true
				})
				return p.examined("47", at(plainUser+p.secret)), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"scopes", doctor.Failed, "missing: lists (for keep)", "tick it in the form of the inbound webhook",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{Scopes: []string{"crm"}})
				return p.examined("47", nil), func() doctor.Portal { return newPlain(t, emulator.Config{}).examined("47", nil) }
			},
		},
		{
			"places", doctor.Failed, "list 4, for keep", "correct the input",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				return p.examined("4", nil), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"places", doctor.Failed, "access denied", "give the user of the credentials the right",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				if err := p.portal.SetFaults(emulator.Fault{Method: "lists.element.get", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
					t.Fatal(err)
				}
				return p.examined("47", nil), func() doctor.Portal {
					if err := p.portal.SetFaults(); err != nil {
						t.Fatal(err)
					}
					return p.examined("47", nil)
				}
			},
		},
		{
			"time filter", doctor.Failed, "ignores the filter", "ask the portal's support",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				ignoring := p.answering(func(w http.ResponseWriter, r *http.Request) bool {
					return answered(t, w, r, "crm.item.list", `{"result":{"items":[{"id":1}]},"total":1,"time":{}}`)
				})
				return p.examined("47", at(ignoring+p.secret)), func() doctor.Portal { return p.examined("47", nil) }
			},
		},
		{
			"rate", doctor.Warning, "were refused because of the rate limit", "set shared: true",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				examined := func(shared bool) doctor.Portal {
					p := newPlain(t, emulator.Config{})
					if err := p.portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "QUERY_LIMIT_EXCEEDED", Skip: 2, Count: 2}); err != nil {
						t.Fatal(err)
					}
					q := p.examined("47", func(c *bitrix.Config) { c.Plan, c.Shared = bitrix.PlanEnterprise, shared })
					q.Shared = shared
					return q
				}
				return examined(false), func() doctor.Portal { return examined(true) }
			},
		},
		{
			"probe", doctor.Warning, "a probe was interrupted and has left deal 1", "b24rules doctor --probe --portal main",
			func(t *testing.T) (doctor.Portal, func() doctor.Portal) {
				p := newPlain(t, emulator.Config{})
				q := p.examined("47", nil)
				fields := map[string]any{"title": "b24rules probe", "originatorId": "b24rules-probe", "originId": "x"}
				if err := q.Client.Call(t.Context(), "crm.item.add", map[string]any{"entityTypeId": 2, "fields": fields}, nil); err != nil {
					t.Fatal(err)
				}
				return q, func() doctor.Portal {
					if _, err := probe.Clean(t.Context(), q.Client); err != nil {
						t.Fatal(err)
					}
					return q
				}
			},
		},
	} {
		t.Run(tt.check+" "+tt.text, func(t *testing.T) {
			t.Parallel()
			broken, follow := tt.make(t)
			want(t, doctor.Examine(t.Context(), broken), tt.check, tt.state, tt.text, tt.advice)
			fixed := follow()
			for _, c := range doctor.Examine(t.Context(), fixed) {
				if c.Name == tt.check && c.State != doctor.OK {
					t.Errorf("after the advice %s is %s: %s", c.Name, c.State, c.Text)
				}
			}
		})
	}
}

// TestReachability follows the advice about events that do not arrive, with a real service: a
// wrong token, a wrong name in the handler's address, and a public address that leads to
// something else.
func TestReachability(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	// The counts of refused events are stored when serve stops.
	again := func() { h.Stop(); h.Start() }
	const name = "reachability"
	post := func(url, token string) {
		h.Post(url, "application/x-www-form-urlencoded", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]="+token)
	}
	want(t, examine(h, nil), name, doctor.Unknown, "no event has arrived yet -> change an entity in the portal while serve runs")

	post(strings.TrimSuffix(h.HookURL, demo.PortalName)+"dmeo", "any")
	again()
	want(t, examine(h, nil), name, doctor.Warning, "1 event for a portal that the configuration does not have", "for /hooks/dmeo", "must end with /hooks/"+demo.PortalName)

	post(h.HookURL, "wrong")
	post(h.HookURL, "wrong")
	again()
	want(t, examine(h, nil), name, doctor.Warning, "2 events with a wrong application token since yesterday", "copy the token of the outbound webhook")

	h.AddDeal("Roof", demo.Row{Name: "Tiles", Price: "1", Quantity: "1"})
	h.Wait()
	want(t, examine(h, nil), name, doctor.OK, "the last event arrived", "before it 2 events with a wrong application token")

	public := func(url string) func(*doctor.Portal) { return func(p *doctor.Portal) { p.Hook = url } }
	server := func(handler http.HandlerFunc) string {
		s := httptest.NewServer(handler)
		t.Cleanup(s.Close)
		return s.URL + "/hooks/demo"
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, 90*24*time.Hour)}}
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tt := range []struct {
		url          string
		state        doctor.State
		text, advice string
	}{
		{"https://no-such-host.invalid/hooks/demo", doctor.Failed, "no such host", "make an entry in the DNS"},
		{secure.URL + "/hooks/demo", doctor.Failed, "certificate", "get one from a public authority"},
		{server(http.NotFound), doctor.Failed, "the status 404, and not as b24rules does", "without changing the path"},
		{server(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), doctor.Failed, "does not reach b24rules", "start serve"},
		{server(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }), doctor.Failed, "a redirect to /x", "public_url"},
		{gone.URL + "/hooks/demo", doctor.Warning, "cannot be reached from this machine", "start serve and its proxy"},
		{h.HookURL, doctor.OK, h.HookURL + " answers; the last event arrived", ""},
	} {
		want(t, examine(h, public(tt.url)), name, tt.state, tt.text, tt.advice)
	}
	want(t, examine(h, func(p *doctor.Portal) { p.Offline = true }), name, doctor.OK, "the program fetches its events")
	want(t, examine(h, func(p *doctor.Portal) { p.Arrivals = nil }), name, doctor.Unknown, "serve has not run yet")
	want(t, examine(h, func(p *doctor.Portal) {
		p.Arrivals = func(context.Context) (doctor.Arrivals, error) { return doctor.Arrivals{}, context.DeadlineExceeded }
	}), name, doctor.Unknown, "deadline exceeded")
}

// TestRate: what the rate limit has refused to serve counts too, unless the configuration
// expects other programs, or it is very little.
func TestRate(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	const name = "rate"
	want(t, examine(h, nil), name, doctor.OK, "none of ")
	if err := h.Portal.SetFaults(emulator.Fault{Method: "crm.item.productrow.list", Kind: emulator.FaultRefuse, Code: "QUERY_LIMIT_EXCEEDED", Count: 2}); err != nil {
		t.Fatal(err)
	}
	h.AddDeal("Roof", demo.Row{Name: "Tiles", Price: "1", Quantity: "1"})
	h.Wait()
	h.Stop() // stores the count
	h.Start()
	want(t, examine(h, nil), name, doctor.OK, "was refused, and 2 requests of serve within two hours")
	limited := func(n int, shared bool, err error) func(*doctor.Portal) {
		return func(p *doctor.Portal) {
			p.Shared = shared
			p.Limited = func(context.Context) (doctor.Refused, error) {
				return doctor.Refused{Requests: n, Last: time.Now().Add(-4 * time.Minute)}, err
			}
		}
	}
	want(t, examine(h, limited(11, false, nil)), name, doctor.Warning, "the rate limit has refused 11 requests of serve within two hours, the last 4m0s ago", "set shared: true")
	want(t, examine(h, limited(11, true, nil)), name, doctor.OK, "and 11 requests of serve")
	want(t, examine(h, limited(0, false, context.DeadlineExceeded)), name, doctor.Unknown, "deadline exceeded")
	want(t, examine(h, func(p *doctor.Portal) { p.Limited = nil }), name, doctor.OK, "none of ")
}
