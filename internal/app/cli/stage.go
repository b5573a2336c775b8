package cli

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
)

// stageOptions say what to set up.
type stageOptions struct {
	// emulator configures the portal.
	emulator emulator.Config
	// rules are the rule sets to run, with the actions that they may use.
	rules   RuleSource
	actions []*engine.Action
	// inputs are their inputs: rule set, input, value. A value {list} is the
	// seed's list, {type} its smart process.
	inputs map[string]map[string]string
	limits config.Limits
	// listen is where the engine takes events; "" means a free port of its own.
	listen string
	// dir is a folder for the database, which is SQLite's unless database names
	// another.
	dir, database string
	// log is what the engine logs to.
	log *slog.Logger
	// application makes the engine the portal's application, with events of this
	// kind: online or offline. "" is a webhook.
	application string
	// catchUp is what the engine makes up for; nil means nothing.
	catchUp *config.CatchUp
	// before, if not nil, is called when the portal is up and the engine is
	// not.
	before func(*stage)
}

// stage is an emulated portal and an engine that serves it, both on loopback
// and talking real HTTP.
type stage struct {
	options stageOptions
	portal  *emulator.Portal
	seed    stageSeed
	ids     emulator.DemoIDs
	// portalURL and hookURL are where the two are reached.
	portalURL, hookURL string
	people             *people

	server     *http.Server
	hookAddr   string
	service    *Service
	stopApp    context.CancelFunc
	serveEnded chan error
}

// stageSeed is what the portal holds from the start.
type stageSeed struct {
	TypeID int // entityTypeId of the smart process for totals
	ListID int // IBLOCK_ID of the shipment list
}

// stagePortal is what the stage's engine calls its portal.
const stagePortal = "demo"

// newStage starts both. The caller closes the stage.
func newStage(ctx context.Context, o stageOptions) (s *stage, err error) {
	s = &stage{options: o, portal: emulator.New(o.emulator)}
	defer func() {
		if err != nil {
			_ = s.close()
			s = nil
		}
	}()
	ids := emulator.Demo(s.portal)
	s.ids = ids
	s.seed = stageSeed{TypeID: ids.TotalsType, ListID: ids.ShipmentList}
	ln, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.portalURL = "http://" + ln.Addr().String()
	s.portal.SetBaseURL(s.portalURL)
	s.server = &http.Server{Handler: s.portal, ReadHeaderTimeout: time.Minute} // nobody but us comes here, on a machine that may be busy
	go func() { _ = s.server.Serve(ln) }()                                     // ends with close
	client, err := bitrix.NewClient(bitrix.Config{Webhook: s.webhook(), Plan: bitrix.Plan(o.emulator.Plan)})
	if err != nil {
		return s, err
	}
	s.people = &people{client: client, list: s.seed.ListID}
	if err := s.people.readProperties(ctx); err != nil {
		return s, err
	}
	if o.before != nil {
		o.before(s)
	}
	if err := s.startEngine(ctx); err != nil {
		return s, err
	}
	return s, nil
}

func (s *stage) webhook() bitrix.Secret {
	return bitrix.Secret(s.portalURL + s.portal.WebhookPath())
}

// startEngine starts the engine, again on the same address and database after
// stopEngine.
func (s *stage) startEngine(ctx context.Context) error {
	ln, err := Listen(ctx, cmp.Or(s.hookAddr, s.options.listen, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	if s.hookAddr == "" {
		s.hookAddr = ln.Addr().String()
		s.hookURL = "http://" + s.hookAddr + "/hooks/" + stagePortal
		if s.options.application == "" {
			s.options.emulator.ApplicationToken = s.portal.AddWebhook(s.hookURL, crmEvents...)
		}
	}
	c := s.config()
	rules := &Rules{Source: s.options.rules, Actions: s.options.actions, Portals: c.Portals}
	_, gen, err := rules.Load()
	if err == nil {
		err = gen.Findings().Err()
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if s.service, err = New(ctx, Options{Config: c, Rules: rules, Log: s.options.log}); err != nil {
		return errors.Join(err, ln.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stopApp, s.serveEnded = cancel, make(chan error, 1)
	go func() { s.serveEnded <- s.service.Serve(running, ln) }()
	return nil
}

// config is the configuration of the stage's engine.
func (s *stage) config() *config.Config {
	p := config.Portal{
		Name: stagePortal, Webhook: s.webhook(), Token: bitrix.Secret(s.options.emulator.ApplicationToken),
		Plan: bitrix.Plan(s.options.emulator.Plan),
	}
	if kind := s.options.application; kind != "" {
		p.Webhook, p.Token, p.Offline = "", "", kind == "offline"
		p.OAuth = &config.OAuth{
			Portal: s.portalURL, ClientID: s.portal.ClientID(), ClientSecret: bitrix.Secret(s.portal.ClientSecret()),
			TokenURL: s.portalURL + "/oauth/token/", Connector: config.DefaultConnector,
		}
	}
	fill := strings.NewReplacer("{list}", fmt.Sprint(s.seed.ListID), "{type}", fmt.Sprint(s.seed.TypeID))
	inputs := map[string]map[string]string{}
	for name, values := range s.options.inputs {
		inputs[name] = map[string]string{}
		for input, text := range values {
			inputs[name][input] = fill.Replace(text)
		}
	}
	p.Inputs = config.NewInputs(inputs)
	catchUp := config.CatchUp{Off: true} // what is seen there comes from events
	if s.options.catchUp != nil {
		catchUp = *s.options.catchUp
	}
	return &config.Config{
		Database: cmp.Or(s.options.database, "sqlite:"+filepath.Join(s.options.dir, "b24rules.db")),
		Portals:  []config.Portal{p}, Limits: s.options.limits, CatchUp: catchUp,
		PublicURL: "http://" + s.hookAddr,
	}
}

// stopEngine stops the engine as Ctrl-C does.
func (s *stage) stopEngine() error {
	if s.service == nil {
		return nil
	}
	s.stopApp()
	err := <-s.serveEnded
	s.service.Close()
	s.service = nil
	return err
}

// wait returns as soon as nothing is under way: no event on its way, no run
// waiting or at work.
func (s *stage) wait(ctx context.Context) error {
	for {
		if err := s.portal.WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the events: %w", err)
		}
		before, err := s.service.Queue().Stats(ctx)
		if err != nil {
			return err
		}
		if err := s.service.Queue().WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the runs: %w", err)
		}
		// A run may have written meanwhile, and its write have become an event.
		if err := s.portal.WaitIdle(ctx); err != nil {
			return fmt.Errorf("wait for the events: %w", err)
		}
		after, err := s.service.Queue().Stats(ctx)
		if err != nil {
			return err
		}
		if before.Events == after.Events {
			return nil
		}
	}
}

// close ends everything.
func (s *stage) close() error {
	err := s.stopEngine()
	if s.people != nil {
		s.people.client.Close()
	}
	s.portal.Close()
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	return err
}

// crmEvents are the events that an outbound webhook for the shipped rule sets
// needs, and those of their neighbours that every portal sends along.
var crmEvents = []string{
	"ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE",
	"ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMUPDATE", "ONCRMDYNAMICITEMDELETE",
}
