package main

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

	"b24rules/emulator"
)

var emulatorCmd = &command{
	name:  "emulator",
	args:  "[--listen ADDR] [--plan PLAN] [--handler URL] [--token TOKEN]",
	short: "run an emulated portal",
	long: `Emulator runs a Bitrix24 portal in memory: CRM items with product rows, universal
lists, batch requests, the limits of a plan and events. It begins with a smart
process for the totals of invoices and a list for shipments, as the shipped rule
sets want them, and with no data: everything is changed through REST.

The first line on stdout is the URL of the inbound webhook. The lines after it
say what else there is to know, with a portals section for b24rules.yaml. Ctrl-C
ends it.

Control: GET /_emulator/stats, GET /_emulator/calls, POST /_emulator/reset and
POST /_emulator/webhooks {"url": "…", "events": ["…"]}.`,
	setup: func(fs *flag.FlagSet) runFunc {
		o := &emulatorOptions{}
		fs.StringVar(&o.listen, "listen", "127.0.0.1:8484", "listen on `ADDR`; port 0 takes a free one")
		fs.StringVar(&o.plan, "plan", emulator.PlanStandard, "limit requests as `PLAN` does: standard, enterprise or unlimited")
		fs.StringVar(&o.handler, "handler", "", "post the CRM events to `URL`")
		fs.StringVar(&o.token, "token", "emulator-application-token", "let events carry the application token `TOKEN`")
		return o.run
	},
}

// emulatorSecret is in the webhook's URL. It is always the same, so that a
// configuration for the emulator can be written down.
const emulatorSecret = "emulator"

type emulatorOptions struct {
	listen, plan, handler, token string
}

func (o *emulatorOptions) run(ctx context.Context, std stdio, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if o.token == "" {
		return usagef("--token: want a token, an empty one admits nobody")
	}
	if err := oneOf("plan", o.plan, emulator.PlanStandard, emulator.PlanEnterprise, emulator.PlanUnlimited); err != nil {
		return err
	}
	if o.handler != "" {
		if u, err := url.Parse(o.handler); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return usagef("--handler %q: want a URL such as http://127.0.0.1:8400/hooks/demo", o.handler)
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()

	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return listenError(o.listen, err)
	}
	portal := emulator.New(emulator.Config{Plan: o.plan, Secret: emulatorSecret, ApplicationToken: o.token})
	defer portal.Close()
	base := "http://" + ln.Addr().String()
	portal.SetBaseURL(base)
	seed := emulator.Demo(portal)
	if o.handler != "" {
		portal.AddWebhook(o.handler, crmEvents...)
	}
	if _, err := io.WriteString(std.out, o.introduction(base, base+portal.WebhookPath(), seed)); err != nil {
		return errors.Join(err, ln.Close())
	}
	return servePortal(ctx, ln, portal)
}

// servePortal serves until ctx ends.
func servePortal(ctx context.Context, ln net.Listener, portal http.Handler) error {
	server := &http.Server{Handler: portal, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout}
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

// introduction is what the command prints: the webhook's URL alone on the
// first line, for scripts, then what people want to know.
func (o *emulatorOptions) introduction(base, webhook string, seed emulator.DemoIDs) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%s", webhook)
	p("smart process for totals: entityTypeId %d, fields %s and %s", seed.TotalsType, seed.InvoiceField, seed.TotalField)
	p("list for shipments: IBLOCK_TYPE_ID lists, IBLOCK_ID %d, properties", seed.ShipmentList)
	for _, code := range slices.SortedFunc(maps.Keys(seed.Properties), func(a, b string) int { return strings.Compare(seed.Properties[a], seed.Properties[b]) }) {
		p("  %s is %s", seed.Properties[code], code)
	}
	p("application token of events: %s", o.token)
	if o.handler != "" {
		p("CRM events are posted to %s", o.handler)
	} else {
		p("CRM events are posted nowhere; --handler URL changes that, or at any time:")
		p(`  curl -s %s/_emulator/webhooks -d '{"url": "http://127.0.0.1:8400/hooks/demo", "events": ["%s"]}'`, base, strings.Join(crmEvents, `", "`))
	}
	p("")
	p("portals:")
	p("  demo:")
	p("    webhook: %s", webhook)
	p("    application_token: %s", o.token)
	p("    plan: %s", o.plan)
	p("    inputs:")
	p("      invoice-total: {helper_type: %d}", seed.TotalsType)
	p("      deal-shipments: {list: %d}", seed.ShipmentList)
	return b.String()
}
