package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
)

// hears are the events that a portal's rules listen to, as they are bound:
// the base code of smart processes, or suffixed codes when no rule wants all of
// them. offers are the codes that the portal has.
func (g *generation) hears(portal string, offers []string) (codes, missing []string) {
	base, typed := map[string]bool{}, map[string]string{}
	for _, s := range g.sets {
		if _, ok := s.inputs[portal]; !ok {
			continue
		}
		for _, r := range s.set.Rules {
			if !servesPortal(r, portal) {
				continue
			}
			for _, t := range r.Triggers {
				suffixed := t.Code + "_" + strconv.Itoa(t.EntityTypeID)
				if t.EntityTypeID > 0 && slices.Contains(offers, suffixed) {
					typed[suffixed] = t.Code
					continue
				}
				base[t.Code] = true // without a suffixed code the base one is what there is
			}
		}
	}
	for code, of := range typed {
		if !base[of] { // else it would come twice
			codes = append(codes, code)
		}
	}
	for code := range base {
		if !slices.Contains(offers, code) {
			missing = append(missing, code)
			continue
		}
		codes = append(codes, code)
	}
	slices.Sort(codes)
	slices.Sort(missing)
	return codes, missing
}

// lifeEvents are bound beside those of the rules: to learn of another version
// and of the end of the application.
var lifeEvents = []string{bitrix.EventUpdate, bitrix.EventUninstall}

// bind makes the portal send, or keep, what the rules listen to. What is bound
// already stays, also what no rule listens to any more: others may want it.
func (a *app) bind(ctx context.Context, p *portal, gen *generation) error {
	connector, err := a.prepareOffline(ctx, p)
	if err != nil {
		return err
	}
	offers, err := p.client.EventCodes(ctx)
	if err != nil {
		return err
	}
	want, missing := a.wanted(p, gen, offers, connector)
	for _, code := range missing {
		a.log.Error("the portal does not offer an event that a rule hears: the application may lack a scope",
			slog.String("portal", p.name), slog.String("event", code))
	}
	if a.config.Hook(p.name) == "" && !p.app.offline {
		a.log.Error("no event can be bound: the configuration has no public_url", "portal", p.name)
	}
	bound, err := p.client.Subscriptions(ctx)
	if err != nil {
		return err
	}
	want = slices.DeleteFunc(want, func(s bitrix.Subscription) bool { return slices.Contains(bound, s) })
	if len(want) == 0 {
		return nil
	}
	if err := p.client.Bind(ctx, want...); err != nil {
		return fmt.Errorf("bind %w", err)
	}
	names := make([]string, len(want))
	for i, s := range want {
		names[i] = s.Event
	}
	a.log.Info("events bound", slog.String("portal", p.name), slog.String("events", strings.Join(names, ",")))
	return nil
}

// wanted are the subscriptions that a portal's rules need, and the codes among
// their events that the portal does not offer. Without an address to post to it
// is those alone that the portal keeps.
func (a *app) wanted(p *portal, gen *generation, offers []string, connector string) (want []bitrix.Subscription, missing []string) {
	codes, missing := gen.hears(p.name, offers)
	hook := a.config.Hook(p.name)
	posted := codes
	if p.app.offline {
		for _, code := range codes {
			want = append(want, bitrix.Subscription{Event: code, Offline: true, Connector: connector})
		}
		posted = []string{bitrix.EventOffline}
	}
	posted = append(posted, lifeEvents...)
	if hook == "" {
		return want, missing
	}
	for _, code := range posted {
		want = append(want, bitrix.Subscription{Event: code, Handler: hook})
	}
	return want, missing
}

// prepareOffline asks what the portal's plan has of what offline events need,
// and returns the connector to use.
func (a *app) prepareOffline(ctx context.Context, p *portal) (connector string, err error) {
	p.app.ready = false
	if !p.app.offline {
		return "", nil
	}
	extended, err := p.client.Feature(ctx, bitrix.FeatureOffline)
	if err != nil {
		return "", err
	}
	if !extended {
		return "", fmt.Errorf("the portal's plan lacks %s, without which a crash would lose events: use events: online with catch_up", bitrix.FeatureOffline)
	}
	sources, err := p.client.Feature(ctx, bitrix.FeatureConnector)
	if err != nil {
		return "", err
	}
	connector = p.app.source
	if !sources {
		connector = ""
		a.log.Warn("the portal's plan lacks "+bitrix.FeatureConnector+": our own changes come back as events and find nothing to do", "portal", p.name)
	}
	p.client.SetConnector(connector)
	p.app.connector, p.app.ready = connector, true
	return connector, nil
}
