package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/dump"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// intake stores the events that portals send.
type intake struct {
	limits   config.Limits
	rules    *fleet.Rules
	portals  *portals
	queue    *queue.Queue
	downtime *downtime
	unstored *unstored
	metrics  *metrics
	refusals *refusals
	dump     *dump.Dump
	log      *slog.Logger
}

// handler receives events at /hooks/PORTAL and probes at /healthz.
func (in *intake) handler() http.Handler {
	r := mux.NewRouter().SkipClean(true) // a redirect would lose an event
	r.Handle("/healthz", ingest.Ready(in.queue.Ping, in.log)).Methods(http.MethodGet, http.MethodHead)
	r.PathPrefix("/").Handler(ingest.New(ingest.Config{
		Portal: in.digest, Push: in.receive, Lost: in.downtime.eventLost, Install: in.install,
		Hook: in.hookCredentials, Robot: in.robotCredentials, Receive: in.receiveRequest, MaxBody: in.limits.MaxBody, PortalEvents: in.limits.PortalEvents,
		Log: in.log, Form: in.form, Dump: in.dump.Event, Done: in.answered,
	}))
	return r
}

// answered counts an answered request.
func (in *intake) answered(r ingest.Result) {
	in.metrics.event(r)
	in.refusals.count(r)
}

// form converts the form of an event to UTF-8.
func (in *intake) form(portal, contentType string, form []byte) []byte {
	if p := in.portals.get(portal); p != nil {
		return p.encoding.Form(contentType, form)
	}
	return form
}

// digest returns what proves a portal's events.
func (in *intake) digest(portal string) (ingest.Digest, bool) {
	p := in.portals.get(portal)
	if p == nil {
		return in.portals.stopped(portal)
	}
	return ingest.DigestOf(p.eventToken()), true
}

// install handles the events that bring an application's tokens.
func (in *intake) install(ctx context.Context, portal string, e bitrix.Event) (taken bool, err error) {
	if p := in.portals.get(portal); p != nil && p.app != nil {
		return p.app.install(ctx, e)
	}
	return false, nil
}

// receive is push for events that the portal sends once: what cannot be stored is kept
// in memory.
func (in *intake) receive(ctx context.Context, portal string, e bitrix.Event) error {
	return in.pushOr(ctx, portal, e, in.unstored.keep)
}

// push stores an event and the runs of the rules that match it. The data of the
// event is stored unchanged. An event without the id that its code promises is
// invalid, because it cannot start a run. One whose id cannot be read is stored.
func (in *intake) push(ctx context.Context, portal string, e bitrix.Event) error {
	return in.pushOr(ctx, portal, e, func(journal.Event) {})
}

// pushOr is push, and calls failed with a valid event that could not be stored.
func (in *intake) pushOr(ctx context.Context, portal string, e bitrix.Event, failed func(journal.Event)) error {
	if p := in.portals.get(portal); p != nil && p.app != nil {
		if taken, err := p.app.lifecycle(ctx, e); taken {
			return err
		}
	}
	if strings.HasPrefix(e.Code, engine.OwnCode) {
		return ingest.Invalid(fmt.Errorf("the portal has sent %s, a code of the program itself", e.Code))
	}
	data := json.RawMessage("null")
	if e.Data != nil {
		text, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.Code, err)
		}
		data = text
	}
	stored := journal.Event{Portal: portal, Code: e.Code, Data: data, Sent: e.Time}
	event, err := engineEvent(stored)
	if err != nil {
		return err
	}
	var unreadable error
	if known, _, ok := schemas.LookupEvent(event.Code); ok && len(known.IDs) > 0 {
		if _, err := event.ValidID(known); err != nil {
			if event.EntityID(known) == "" {
				return ingest.Invalid(err)
			}
			unreadable = err
		}
	}
	if err := in.store(ctx, stored, event); err != nil {
		failed(stored)
		return err
	}
	if unreadable != nil { // the portal sends the event once, so it is kept for a person
		in.log.Warn("an event is stored and starts no rule", "portal", portal, "error", unreadable)
	}
	return nil
}

// storeAgain stores an event that could not be stored before.
func (in *intake) storeAgain(ctx context.Context, stored journal.Event) error {
	event, err := engineEvent(stored)
	if err != nil {
		return err
	}
	return in.store(ctx, stored, event)
}

// store stores an event and the runs of the rules that match it.
func (in *intake) store(ctx context.Context, stored journal.Event, event engine.Event) error {
	portal := stored.Portal
	gen := in.rules.Current()
	stored.Missing = gen.Missing(portal)
	routes := in.portals.routes(portal, gen.Route(portal, event))
	if len(routes) == 0 {
		stored.Why = gen.WhyNot(portal, event)
	}
	storing := in.metrics.storing.WithLabelValues(portal)
	storing.Inc()
	defer storing.Dec()
	return in.queue.Push(ctx, stored, routes)
}

// engineEvent converts a stored event into the form that rules read.
func engineEvent(e journal.Event) (engine.Event, error) {
	v, err := formula.FromJSON(e.Data)
	if err != nil {
		return engine.Event{}, fmt.Errorf("data of event %s: %w", e.Code, err)
	}
	data, _ := v.(map[string]any) // PHP writes an empty array for an empty map
	return engine.Event{Code: e.Code, Data: data, Time: e.Sent}, nil
}
