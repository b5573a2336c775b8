// Package config reads and checks the configuration of the program.
package config

import (
	"cmp"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// DefaultFile is what serve reads when it is not told otherwise.
const DefaultFile = "b24rules.yaml"

// config is a configuration that has been read and checked.
type Config struct {
	// Listen is the address that events come in at.
	Listen string
	// Metrics is the address that /metrics is served at; "" serves none.
	Metrics string
	// Database is the DSN of the queue.
	Database string
	// Rules are files and folders of rule sets, and RulesAt where each stands.
	Rules   []string
	RulesAt []diag.Pos
	// Portals in the order of the file.
	Portals []Portal
	// Only, unless it is "", is the one portal that a command works where several
	// processes share the work (PostgreSQL): it takes no other from a serve.
	Only    string
	Log     Log
	Limits  Limits
	History History
	// PublicURL is the address under which portals reach Listen, "" when an
	// application does not bind its events itself.
	PublicURL string
	CatchUp   CatchUp
}

// Portal is what is known of one portal.
type Portal struct {
	// Name is the portal's name here: the last part of its hook URL.
	Name string
	// Webhook is the URL of the inbound webhook.
	Webhook bitrix.Secret
	// OAuth calls the portal as an application; nil means with the webhook.
	OAuth *OAuth
	// Offline fetches the events that the portal keeps for the application.
	Offline bool
	// Token is the application token that the portal's events carry. With OAuth
	// it comes with the installation.
	Token bitrix.Secret
	// Plan says how many requests a second the portal allows.
	Plan bitrix.Plan
	// Shared says that other programs use the portal's rate, too.
	Shared bool
	// Insecure accepts any certificate of the portal.
	Insecure bool
	// Transport carries the requests to the portal. Nil means the network.
	Transport http.RoundTripper
	// Zone is the portal's time zone. Nil leaves times as the portal wrote them.
	Zone *time.Location
	// Inputs are the values of the rule sets' inputs.
	Inputs Inputs
	Pos    diag.Pos
}

// Log says what is logged and where to.
type Log struct {
	Level slog.Level
	// JSON asks for one JSON object a line instead of text.
	JSON bool
	// Requests logs every request to a portal, without its secrets.
	Requests bool
	// Off logs nothing at all.
	Off bool
	// Dir is a folder for the file b24rules.log; "" means stderr.
	Dir string
}

// Limits are the brakes. Zero values mean the defaults of the parts.
type Limits struct {
	Runs       int           `yaml:"runs" validate:"min=1,max=10000" default:"1000" doc:"runs of one portal at the same time"`
	Attempts   int           `yaml:"attempts" validate:"min=1,max=100" default:"8" doc:"attempts before a run is parked"`
	RetryFirst time.Duration `yaml:"retry_first" validate:"min=1ms" default:"5s" doc:"longest wait after the first failure"`
	RetryMax   time.Duration `yaml:"retry_max" validate:"min=1ms" default:"1h" doc:"longest wait between two attempts"`
	MaxBody    int64         `yaml:"max_body" validate:"min=1" default:"1048576" doc:"bytes of one event"`
	Grace      time.Duration `yaml:"grace" validate:"min=1ms" default:"10s" doc:"how long a stop waits for runs"`

	Settle time.Duration `yaml:"settle" validate:"min=1ms" default:"60s" doc:"how long the portal may still work on what was sent when a connection or the program was cut off"`

	Connections  int `yaml:"connections" validate:"min=1,max=100000" default:"1000" doc:"open connections to the event handler"`
	PortalEvents int `yaml:"portal_events" validate:"min=1,max=100000" default:"500" doc:"events of one portal that wait to be stored at the same time"`
}

// grace is how long a stop waits for what is under way.
func (l Limits) ShutdownGrace() time.Duration { return cmp.Or(l.Grace, 10*time.Second) }

// hider hides the secrets of the configuration.
func (c *Config) Hider() *bitrix.Hider {
	var secrets []bitrix.Secret
	for _, p := range c.Portals {
		secrets = append(secrets, p.Webhook, p.Token)
		if p.OAuth != nil {
			secrets = append(secrets, p.OAuth.ClientSecret)
		}
	}
	if password := databasePassword(c.Database); password != "" {
		secrets = append(secrets, password)
	}
	return bitrix.NewHider(secrets...)
}

// settle is how long a portal may go on with a request that was cut off. The
// cloud ends every request after a minute.
// https://apidocs.bitrix24.com/limits.html
func (l Limits) SettleTime() time.Duration { return cmp.Or(l.Settle, time.Minute) }

// layout is the file as it is written. The doc of a key is what an editor
// shows: `make gen` writes it to schemas/.
type layout struct {
	Listen               scalar       `yaml:"listen" default:"127.0.0.1:8400" doc:"the address that events come in at"`
	Metrics              scalar       `yaml:"metrics" doc:"the address that metrics are read at; none when it is not given" example:"127.0.0.1:8401"`
	Database             scalar       `yaml:"database" default:"sqlite:b24rules.db" doc:"where events and runs are kept: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME; it may hold ${VARIABLE}" example:"sqlite:/var/lib/b24rules/b24rules.db"`
	DatabaseFile         scalar       `yaml:"database_file" doc:"instead of database: a file that holds it"`
	DatabasePasswordFile scalar       `yaml:"database_password_file" doc:"a file that holds the password of a PostgreSQL database"`
	Rules                scalars      `yaml:"rules" doc:"files and folders of rule sets, seen from this file" example:"[rules]"`
	Portals              portalFiles  `yaml:"portals" doc:"the portals by their names here; events come in at /hooks/NAME"`
	Log                  logFile      `yaml:"log" doc:"what is logged, and where to"`
	Limits               Limits       `yaml:"limits" doc:"brakes"`
	History              History      `yaml:"history" doc:"how long finished runs are kept"`
	Console              scalar       `yaml:"console" doc:"web pages over queue and rules; not in this version"`
	PublicURL            scalar       `yaml:"public_url" doc:"the address under which portals reach listen: applications bind their events to it" example:"https://b24rules.example.com"`
	CatchUp              catchUpBlock `yaml:"catch_up" doc:"what is made up for after an absence: off, on, or limits"`
}

type logFile struct {
	Level    scalar `yaml:"level" words:"debug info warn error" default:"info" doc:"the least level that is logged"`
	Format   scalar `yaml:"format" words:"text json" default:"text" doc:"lines of text, or a JSON object a line"`
	Requests bool   `yaml:"requests" default:"false" doc:"log every request to a portal, without its secrets"`
	Off      bool   `yaml:"off" default:"false" doc:"log nothing at all"`
	Dir      scalar `yaml:"dir" doc:"a folder for the file b24rules.log; stderr when it is not given"`
	Dump     scalar `yaml:"dump" doc:"log what requests and answers hold; not in this version"`
}

type portalFile struct {
	Webhook              scalar     `yaml:"webhook" doc:"the URL of the inbound webhook, or ${VARIABLE}" example:"${B24_WEBHOOK}"`
	WebhookFile          scalar     `yaml:"webhook_file" doc:"instead of webhook: a file that holds it"`
	ApplicationToken     scalar     `yaml:"application_token" doc:"the token that the portal's events carry, or ${VARIABLE}" example:"${B24_TOKEN}"`
	ApplicationTokenFile scalar     `yaml:"application_token_file" doc:"instead of application_token: a file that holds it"`
	OAuth                oauthBlock `yaml:"oauth" doc:"access as an application, instead of webhook and application_token"`
	Plan                 scalar     `yaml:"plan" words:"standard enterprise unlimited" default:"standard" doc:"how many requests a second the portal allows"`
	Shared               bool       `yaml:"shared" default:"false" doc:"other programs at this address use the portal's rate, too: begin with half of it and no burst"`
	Inputs               Inputs     `yaml:"inputs" doc:"the inputs of rule sets: file name without ending, input, value" example:"{deal-shipments: {list: 47}}"`
	TLS                  tlsFile    `yaml:"tls" doc:"how the portal's certificate is checked"`
	TimeZone             scalar     `yaml:"time_zone" doc:"the portal's time zone; without it times stay as the portal wrote them" example:"Europe/Moscow"`
	Events               scalar     `yaml:"events" words:"online offline" default:"online" doc:"how events come: sent by the portal, or fetched from its queue"`
	Encoding             scalar     `yaml:"encoding" default:"utf-8" doc:"the encoding that the portal speaks; this version knows utf-8 alone"`
}

type tlsFile struct {
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false" doc:"accept any certificate; only for a portal on your own network"`
}

// Read reads a configuration file. The error says that there is no file
// to read; the findings say what is wrong in it.
func Read(path string) (*Config, diag.List, error) {
	data, err := yamlfile.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	c, list := Parse(path, data, os.LookupEnv)
	return c, list, nil
}

// Parse reads the text of a configuration. Paths in it are relative to
// the folder of the file; env gives the variables that it may name.
func Parse(path string, data []byte, env func(string) (string, bool)) (*Config, diag.List) {
	f, list := yamlfile.Parse(path, data)
	r := &reader{file: f, dir: filepath.Dir(path), env: env, list: list}
	if f.Root == nil {
		if !list.HasErrors() {
			r.list.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "empty-file", "the configuration is empty").Hint = "it needs rules and portals"
		}
		return nil, r.list
	}
	var in layout
	r.list.Add(yamlfile.Decode(f, f.Root, &in)...)
	c := r.config(&in)
	r.list.Sort()
	return c, r.list
}
