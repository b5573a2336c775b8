package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
)

// FixtureOptions configure NewFixture.
type FixtureOptions struct {
	// Emulator configures the portal.
	Emulator emulator.Config
	// Rules are the rule sets to run, with the actions that they may use.
	Rules   fleet.RuleSource
	Actions []*engine.Action
	// Inputs are the inputs of the rule sets: rule set, input, value. {list} in a value
	// is replaced with the id of the shipment list, {type} with that of the smart
	// process.
	Inputs map[string]map[string]string
	Limits config.Limits
	// Listen is the address that receives events; "" means a free port.
	Listen string
	// Events are those that the portal sends; nil means CRMEvents.
	Events []string
	// Dir is a folder for an SQLite database. Database is a DSN instead of it.
	Dir, Database string
	// Log is the log of the engine.
	Log *slog.Logger
	// Application makes the engine an application of the portal, with events of this
	// kind: online or offline. "" means a webhook.
	Application string
	// CatchUp configures catch-up; nil disables it.
	CatchUp *config.CatchUp
	// Shadow puts the portal into shadow mode, with this delay; 0 is live mode.
	Shadow time.Duration
	// Findings lets the engine start although rule sets have errors.
	Findings bool
	// Read, if not nil, reads the configuration again: see service.Options. Configure, if not
	// nil, changes the configuration of a start.
	Read      func() (*config.Config, diag.List, error)
	Configure func(*config.Config)
	// Before, if not nil, is called after the start of the portal and before the start
	// of the engine.
	Before func(*Fixture)
}

// Fixture is an emulated portal and an engine that serves it. They communicate over
// HTTP on loopback.
type Fixture struct {
	Options FixtureOptions
	Portal  *emulator.Portal
	IDs     emulator.DemoIDs
	// PortalURL is the URL of the portal, HookURL that of the engine's event handler.
	// HookAddr is the engine's address.
	PortalURL, HookURL, HookAddr string
	People                       *People
	// Service is the engine; nil while it is stopped.
	Service *service.Service

	server     *http.Server
	stopServe  context.CancelFunc
	serveEnded chan error
}

// PortalName is the portal's name in the configuration of a fixture.
const PortalName = "demo"

// NewFixture starts the portal and the engine. The caller must call Close.
func NewFixture(ctx context.Context, o FixtureOptions) (s *Fixture, err error) {
	s = &Fixture{Options: o, Portal: emulator.New(o.Emulator)}
	defer func() {
		if err != nil {
			_ = s.Close()
			s = nil
		}
	}()
	s.IDs = emulator.Demo(s.Portal)
	ln, err := service.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.PortalURL = "http://" + ln.Addr().String()
	s.Portal.SetBaseURL(s.PortalURL)
	s.server = &http.Server{Handler: s.Portal, ReadHeaderTimeout: time.Minute} // only our own clients connect, perhaps on a busy machine
	go func() { _ = s.server.Serve(ln) }()                                     // ends with Close
	client, err := bitrix.NewClient(bitrix.Config{Webhook: s.Webhook(), Plan: bitrix.Plan(o.Emulator.Plan)})
	if err != nil {
		return s, err
	}
	if s.People, err = NewPeople(ctx, client, s.IDs.ShipmentList); err != nil {
		return s, err
	}
	if o.Before != nil {
		o.Before(s)
	}
	if err := s.Start(ctx); err != nil {
		return s, err
	}
	return s, nil
}

// Webhook is the URL of the inbound webhook.
func (s *Fixture) Webhook() bitrix.Secret {
	return bitrix.Secret(s.PortalURL + s.Portal.WebhookPath())
}

// Start starts the engine. After Stop it uses the same address and database again.
func (s *Fixture) Start(ctx context.Context) error {
	ln, err := service.Listen(ctx, cmp.Or(s.HookAddr, s.Options.Listen, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	if s.HookAddr == "" {
		s.HookAddr = ln.Addr().String()
		s.HookURL = "http://" + s.HookAddr + "/hooks/" + PortalName
		if s.Options.Application == "" {
			events := s.Options.Events
			if events == nil {
				events = CRMEvents
			}
			s.Options.Emulator.ApplicationToken = s.Portal.AddWebhook(s.HookURL, events...)
		}
	}
	c := s.Config()
	if s.Options.Configure != nil {
		s.Options.Configure(c)
	}
	rules := &fleet.Rules{Source: s.Options.Rules, Actions: s.Options.Actions, Portals: c.Portals}
	if s.Service, err = service.New(ctx, service.Options{Config: c, Rules: rules, Log: s.Options.Log, Read: s.Options.Read}); err != nil {
		return errors.Join(err, ln.Close())
	}
	if found := rules.Current().Findings().Err(); found != nil && !s.Options.Findings {
		s.Service.Close()
		s.Service = nil
		return errors.Join(found, ln.Close())
	}
	if err := s.Service.Queue().Lock(ctx); err != nil { // before events arrive, as the command serve does
		s.Service.Close()
		s.Service = nil
		return errors.Join(err, ln.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stopServe, s.serveEnded = cancel, make(chan error, 1)
	go func() { s.serveEnded <- s.Service.Serve(running, ln) }()
	return nil
}

// Config is the configuration of the fixture's engine.
func (s *Fixture) Config() *config.Config {
	p := config.Portal{
		Name: PortalName, Webhook: s.Webhook(), Token: bitrix.Secret(s.Options.Emulator.ApplicationToken),
		Plan: bitrix.Plan(s.Options.Emulator.Plan), Shadow: s.Options.Shadow,
	}
	if kind := s.Options.Application; kind != "" {
		p.Webhook, p.Token, p.Offline = "", "", kind == "offline"
		p.OAuth = &config.OAuth{
			Portal: s.PortalURL, ClientID: s.Portal.App().ClientID(), ClientSecret: bitrix.Secret(s.Portal.App().ClientSecret()),
			TokenURL: s.PortalURL + "/oauth/token/", Connector: config.DefaultConnector,
		}
	}
	fill := strings.NewReplacer("{list}", fmt.Sprint(s.IDs.ShipmentList), "{type}", fmt.Sprint(s.IDs.TotalsType))
	inputs := map[string]map[string]string{}
	for name, values := range s.Options.Inputs {
		inputs[name] = map[string]string{}
		for input, text := range values {
			inputs[name][input] = fill.Replace(text)
		}
	}
	p.Inputs = config.NewInputs(inputs)
	catchUp := config.CatchUp{Off: true} // a demo shows only the work for events
	if s.Options.CatchUp != nil {
		catchUp = *s.Options.CatchUp
	}
	return &config.Config{
		Database: cmp.Or(s.Options.Database, "sqlite:"+filepath.Join(s.Options.Dir, "b24rules.db")),
		Portals:  []config.Portal{p}, Limits: s.Options.Limits, CatchUp: catchUp,
		PublicURL: "http://" + s.HookAddr,
	}
}

// StopPortal makes the portal unreachable.
func (s *Fixture) StopPortal() error { return s.server.Close() }

// Stop stops the engine as Ctrl-C does.
func (s *Fixture) Stop() error {
	if s.Service == nil {
		return nil
	}
	s.stopServe()
	err := <-s.serveEnded
	s.Service.Close()
	s.Service = nil
	return err
}

// Wait returns when no event is being delivered and no run is waiting or running.
func (s *Fixture) Wait(ctx context.Context) error {
	for {
		if err := s.Portal.WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the events: %w", err)
		}
		before, err := journal.Count(ctx, s.Service.Queue().Database())
		if err != nil {
			return err
		}
		if err := s.Service.Queue().WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the runs: %w", err)
		}
		// A run may have written data, which causes another event.
		if err := s.Portal.WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the events: %w", err)
		}
		after, err := journal.Count(ctx, s.Service.Queue().Database())
		if err != nil {
			return err
		}
		if before.Events == after.Events {
			return nil
		}
	}
}

// Close stops the engine and the portal.
func (s *Fixture) Close() error {
	err := s.Stop()
	if s.People != nil {
		s.People.Client.Close()
	}
	s.Portal.Close()
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	return err
}

// CRMEvents are the events that an outbound webhook for the shipped rule sets
// needs, and those of their neighbours that every portal sends along.
var CRMEvents = []string{
	"ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE",
	"ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMUPDATE", "ONCRMDYNAMICITEMDELETE",
}
