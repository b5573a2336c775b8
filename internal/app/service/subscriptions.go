package service

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/fleet"
)

// eventCodes returns the codes that must be bound for a portal's rules. For smart
// processes these are codes with a suffix, or the code without one if a rule needs
// all types. offers are the codes that the portal has, missing those that it lacks.
func eventCodes(g *fleet.Generation, portal string, offers []string) (codes, missing []string) {
	base, typed := map[string]bool{}, map[string]string{}
	for r := range g.Rules(portal) {
		for _, t := range r.Triggers {
			suffixed := t.Code + "_" + strconv.Itoa(t.EntityTypeID)
			if t.EntityTypeID > 0 && slices.Contains(offers, suffixed) {
				typed[suffixed] = t.Code
				continue
			}
			base[t.Code] = true // the portal has no code with a suffix
		}
	}
	for code, of := range typed {
		if !base[of] { // otherwise the event would arrive twice
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

// lifecycleEvents are bound in addition to the events of the rules. They report an
// update and the removal of the application.
var lifecycleEvents = []string{bitrix.EventUpdate, bitrix.EventUninstall}

// subscriptions are the events of an application that one portal sends or keeps.
type subscriptions struct {
	portal *Portal
	hook   string // where the portal posts events; "" when unknown
	log    *slog.Logger

	connector string // the auth_connector in use; "" when the portal's plan has none
	offline   bool   // offline events can be fetched
}

// bind makes the portal send or keep the events of the rules. It removes no
// subscription, because other programs may need it.
func (s *subscriptions) bind(ctx context.Context, gen *fleet.Generation) error {
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
		s.log.Error("the portal does not offer an event of a rule, the application may lack a scope",
			slog.String("portal", p.Name), slog.String("event", code))
	}
	if s.hook == "" && !p.app.offline {
		s.log.Error("cannot bind events, the configuration has no public_url", "portal", p.Name)
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

// desired returns the subscriptions that a portal's rules need, and the codes of
// their events that the portal does not offer. Without a hook, the subscriptions are
// only those of offline events.
func (s *subscriptions) desired(gen *fleet.Generation, offers []string, connector string) (desired []bitrix.Subscription, missing []string) {
	codes, missing := eventCodes(gen, s.portal.Name, offers)
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

// prepareOffline asks the portal for the features of its plan that offline events
// need, and returns the connector to use.
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
		return "", fmt.Errorf("the portal's plan lacks %s, so a crash would lose offline events: use events: online with catch_up", bitrix.FeatureOffline)
	}
	sources, err := p.Client.Feature(ctx, bitrix.FeatureConnector)
	if err != nil {
		return "", err
	}
	connector = p.app.connector
	if !sources {
		connector = ""
		s.log.Warn("the portal's plan lacks "+bitrix.FeatureConnector+": the portal also sends events for changes of this application, their runs write nothing", "portal", p.Name)
	}
	p.Client.SetConnector(connector)
	s.connector, s.offline = connector, true
	return connector, nil
}
