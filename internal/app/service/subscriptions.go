package service

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
)

// eventCodes are the events that a portal's rules listen to, as they are bound:
// the base code of smart processes, or suffixed codes when no rule needs all of
// them. offers are the codes that the portal has, missing those that it lacks.
func (g *Generation) eventCodes(portal string, offers []string) (codes, missing []string) {
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

// lifecycleEvents are bound next to those of the rules: they report another
// version and the end of the application.
var lifecycleEvents = []string{bitrix.EventUpdate, bitrix.EventUninstall}

// subscriptions are the events of an application that one portal sends or keeps.
type subscriptions struct {
	portal *Portal
	hook   string // where the portal posts events; "" when that is not known
	log    *slog.Logger

	connector string // the auth_connector in use; "" when the portal's plan has none
	offline   bool   // offline events can be fetched
}

// bind makes the portal send, or keep, the events that the rules listen to. It
// removes no subscription, because others may need those that no rule needs.
func (s *subscriptions) bind(ctx context.Context, gen *Generation) error {
	p := s.portal
	connector, err := s.prepareOffline(ctx)
	if err != nil {
		return err
	}
	offers, err := p.Client.EventCodes(ctx)
	if err != nil {
		return err
	}
	desired, missing := s.desired(gen, offers, connector)
	for _, code := range missing {
		s.log.Error("the portal does not offer an event that a rule hears: the application may lack a scope",
			slog.String("portal", p.Name), slog.String("event", code))
	}
	if s.hook == "" && !p.app.offline {
		s.log.Error("no event can be bound: the configuration has no public_url", "portal", p.Name)
	}
	bound, err := p.Client.Subscriptions(ctx)
	if err != nil {
		return err
	}
	desired = slices.DeleteFunc(desired, func(one bitrix.Subscription) bool { return slices.Contains(bound, one) })
	if len(desired) == 0 {
		return nil
	}
	if err := p.Client.Bind(ctx, desired...); err != nil {
		return fmt.Errorf("bind %w", err)
	}
	names := make([]string, len(desired))
	for i, one := range desired {
		names[i] = one.Event
	}
	s.log.Info("events bound", slog.String("portal", p.Name), slog.String("events", strings.Join(names, ",")))
	return nil
}

// desired are the subscriptions that a portal's rules need, and the codes among
// their events that the portal does not offer. Without an address to post to
// these are only the events that the portal keeps.
func (s *subscriptions) desired(gen *Generation, offers []string, connector string) (desired []bitrix.Subscription, missing []string) {
	codes, missing := gen.eventCodes(s.portal.Name, offers)
	posted := codes
	if s.portal.app.offline {
		for _, code := range codes {
			desired = append(desired, bitrix.Subscription{Event: code, Offline: true, Connector: connector})
		}
		posted = []string{bitrix.EventOffline}
	}
	posted = append(posted, lifecycleEvents...)
	if s.hook == "" {
		return desired, missing
	}
	for _, code := range posted {
		desired = append(desired, bitrix.Subscription{Event: code, Handler: s.hook})
	}
	return desired, missing
}

// prepareOffline asks what the portal's plan has of what offline events need,
// and returns the connector to use.
func (s *subscriptions) prepareOffline(ctx context.Context) (connector string, err error) {
	p := s.portal
	s.offline = false
	if !p.app.offline {
		return "", nil
	}
	extended, err := p.Client.Feature(ctx, bitrix.FeatureOffline)
	if err != nil {
		return "", err
	}
	if !extended {
		return "", fmt.Errorf("the portal's plan lacks %s, without which a crash would lose events: use events: online with catch_up", bitrix.FeatureOffline)
	}
	sources, err := p.Client.Feature(ctx, bitrix.FeatureConnector)
	if err != nil {
		return "", err
	}
	connector = p.app.connector
	if !sources {
		connector = ""
		s.log.Warn("the portal's plan lacks "+bitrix.FeatureConnector+": our own changes come back as events and find nothing to do", "portal", p.Name)
	}
	p.Client.SetConnector(connector)
	s.connector, s.offline = connector, true
	return connector, nil
}
