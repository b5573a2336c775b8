package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

var emulatorCmd = &command{
	name:  "emulator",
	args:  "[--listen ADDR] [--plan PLAN] [--latency TIME] [--seed FILE] [--faults FILE] [--single-owner] [--like FILE] [--handler URL] [--token TOKEN]",
	short: "run an emulated portal",
	long: `Emulator runs a Bitrix24 portal in memory: CRM items with product rows, universal
lists, batch requests, the limits of a plan, events, and an application with
OAuth and offline events. Its address in a browser shows a live page.

By default the portal has a smart process for the totals of invoices and a list
for shipments, as the shipped rule sets require, and no data. A --seed file
replaces this with its own content, in the format of rule tests: portal, users,
deals, invoices, items, elements. A --faults file lists errors to simulate. --like takes
the report of b24rules doctor --probe: the portal then answers as that portal did.

The first line on stdout is the URL of the inbound webhook. The following lines
are for people and contain a portals section for b24rules.yaml. Ctrl-C stops the
emulator. docs/emulator.md describes it in full.

Control API, under /_emulator/: GET stats, calls, history, app, other and faults;
POST faults, webhooks {"url": "…", "events": ["…"]}, robots, other, app, reset,
person/METHOD and robot/METHOD; DELETE faults. Requests to /_other/ are answered
as another system.

Exit codes: 0 stopped, 1 a file has findings, 2 usage error, 3 a file cannot be
read or the address is in use.`,
	setup: func(fs *flag.FlagSet) runFunc {
		o := &emulatorOptions{}
		fs.StringVar(&o.listen, "listen", "127.0.0.1:8484", "listen on `ADDR`; port 0 means a free port")
		fs.StringVar(&o.plan, "plan", emulator.PlanStandard, "the portal's `PLAN`, which limits requests: standard, enterprise or unlimited")
		fs.StringVar(&o.latency, "latency", "0s", "the `TIME` of a request, plus the time of each command in it, with a variation: 60ms+15ms~20%")
		fs.StringVar(&o.seed, "seed", "", "fill the portal with the data of `FILE`")
		fs.StringVar(&o.faults, "faults", "", "simulate the errors that `FILE` lists")
		fs.BoolVar(&o.singleOwner, "single-owner", false, "refuse lists of owners in filters, as a strict portal does")
		fs.StringVar(&o.like, "like", "", "answer like the portal of the report `FILE`, from doctor --probe")
		fs.StringVar(&o.handler, "handler", "", "send all events to `URL`")
		fs.StringVar(&o.token, "token", "emulator-application-token", "send the application token `TOKEN` with events")
		return o.run
	},
}

// emulatorSecret is part of the webhook's URL. It is constant, so that a
// configuration file for the emulator stays valid.
const emulatorSecret = "emulator"

type emulatorOptions struct {
	listen, plan, handler, token string
	latency, seed, faults        string
	like                         string
	singleOwner                  bool
}

func (o *emulatorOptions) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if o.token == "" {
		return usagef("--token: want a token that is not empty")
	}
	if err := oneOf("plan", o.plan, emulator.PlanStandard, emulator.PlanEnterprise, emulator.PlanUnlimited); err != nil {
		return err
	}
	if o.handler != "" {
		if u, err := url.Parse(o.handler); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return usagef("--handler %q: want a URL such as http://127.0.0.1:8400/hooks/demo", o.handler)
		}
	}
	latency, err := parseLatency(o.latency)
	if err != nil {
		return err
	}
	seed, faults, err := o.prepare(env)
	if err != nil {
		return err
	}
	report, err := o.report()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()

	ln, err := service.Listen(ctx, o.listen)
	if err != nil {
		return err
	}
	cfg := emulator.Config{Plan: o.plan, Secret: emulatorSecret, ApplicationToken: o.token, Latency: latency, SingleOwner: o.singleOwner || seed.SingleOwner()}
	if report != nil {
		like(&cfg, report)
	}
	portal := emulator.New(cfg)
	defer portal.Close()
	base := "http://" + ln.Addr().String()
	portal.SetBaseURL(base)
	introduction, err := o.fill(portal, base, seed, faults)
	if err == nil {
		_, err = io.WriteString(env.Out, introduction)
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return servePortal(ctx, ln, portal)
}

// fill fills a portal and returns the text that describes it.
func (o *emulatorOptions) fill(portal *emulator.Portal, base string, seed *testportal.Seed, faults []emulator.Fault) (introduction string, err error) {
	webhook := base + portal.WebhookPath()
	if seed == nil {
		introduction = o.introduction(base, webhook, emulator.Demo(portal))
	} else {
		if err := seed.Fill(portal); err != nil {
			return "", err
		}
		introduction = o.introductionOf(base, webhook, seed)
	}
	// From here on the faults apply, and requests are recorded.
	if err := portal.SetFaults(faults...); err != nil {
		return "", err
	}
	if o.handler != "" {
		portal.AddWebhook(o.handler, emulator.EventCodes()...)
	}
	return introduction, nil
}

// servePortal serves until ctx ends.
func servePortal(ctx context.Context, ln net.Listener, portal http.Handler) error {
	server := &http.Server{Handler: portal, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	err := server.Close()
	<-ended
	return err
}

// introduction returns the output of the command: the webhook's URL alone on the
// first line, for scripts, then a description for people.
func (o *emulatorOptions) introduction(base, webhook string, seed emulator.DemoIDs) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%s", webhook)
	p("smart process for totals: entityTypeId %d, fields %s and %s", seed.TotalsType, seed.InvoiceField, seed.TotalField)
	p("list for shipments: IBLOCK_TYPE_ID lists, IBLOCK_ID %d, properties", seed.ShipmentList)
	for _, code := range slices.SortedFunc(maps.Keys(seed.Properties), func(a, b string) int { return strings.Compare(seed.Properties[a], seed.Properties[b]) }) {
		p("  %s is %s", seed.Properties[code], code)
	}
	o.more(&b, base)
	o.snippet(&b, webhook)
	p("    inputs:")
	p("      invoice-total: {helper_type: %d}", seed.TotalsType)
	p("      deal-shipments: {list: %d}", seed.ShipmentList)
	return b.String()
}

// introductionOf returns the output of the command for a seeded portal.
func (o *emulatorOptions) introductionOf(base, webhook string, seed *testportal.Seed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", webhook, seeded(o.seed, seed))
	o.more(&b, base)
	o.snippet(&b, webhook)
	return b.String()
}

// more describes the page, the faults and the receiver of events.
func (o *emulatorOptions) more(b *strings.Builder, base string) {
	p := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	p("page: %s/", base)
	if o.faults != "" {
		p("simulated errors: %s", o.faults)
	}
	p("application token of events: %s", o.token)
	if o.handler != "" {
		p("events are sent to %s", o.handler)
	} else {
		p("events have no receiver; set one with --handler URL, or at any time with:")
		p(`  curl -s %s/_emulator/webhooks -d '{"url": "http://127.0.0.1:8400/hooks/demo", "events": ["%s"]}'`, base, strings.Join(demo.CRMEvents, `", "`))
	}
}

// snippet writes the portals section for b24rules.yaml.
func (o *emulatorOptions) snippet(b *strings.Builder, webhook string) {
	p := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	p("")
	p("portals:")
	p("  demo:")
	p("    webhook: %s", webhook)
	p("    application_token: %s", o.token)
	p("    plan: %s", o.plan)
}
