// Package config reads and checks the configuration of the program.
package config

import (
	"cmp"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// DefaultFile is the configuration that commands read without --config.
const DefaultFile = "b24rules.yaml"

// config is a checked configuration.
type Config struct {
	// Listen is the address that receives events.
	Listen string
	// HTTPS obtains certificates for Listen. Nil serves http, for a proxy.
	HTTPS *HTTPS
	// Metrics is the address of /metrics; "" serves none.
	Metrics string
	// Database is the DSN of the queue.
	Database string
	// Rules are files and folders of rule sets, RulesAt their places in the file.
	Rules   []string
	RulesAt []diag.Pos
	// Portals in the order of the file.
	Portals []Portal
	// Broken are the portals that Usable has found.
	Broken []BrokenPortal
	// Notes are the findings that are no errors.
	Notes diag.List
	// Files are the other files that were read: those of portals, and with secrets.
	Files []string
	// Folder has a file for each portal; "" if the configuration itself has them.
	Folder string

	afterPortals int // the line of the key after portals
	// concerns are the portals that findings concern, by the text of the finding.
	concerns map[string][]string
	// Only is the one portal whose runs a command executes if several processes share
	// a PostgreSQL database. "" means all portals.
	Only    string
	Log     Log
	Limits  Limits
	History History
	// Manual says that new versions of rule sets run only after b24rules apply.
	Manual bool
	// Apply configures b24rules apply.
	Apply Apply
	// PublicURL is the address under which portals reach Listen. If it is "",
	// applications bind no events.
	PublicURL string
	CatchUp   CatchUp
	// Alerts are the receivers of alerts.
	Alerts []AlertReceiver
	// AlertTimes say when they get something.
	AlertTimes AlertTimes
	// Console are the web pages.
	Console Console
	// NoLooks says that new rules do not look at their entities.
	NoLooks bool
	// Drift are the comparisons that serve does automatically.
	Drift Drift
	// PrivateHosts are the hosts on this machine and in private networks that rules may
	// send requests to.
	PrivateHosts *private.Hosts
	// Redactor hides the secrets of the configuration, of the rules' inputs and of
	// applications in everything that is shown or stored.
	Redactor *redact.Redactor
}

// HTTPS says how certificates are obtained, by the protocol ACME.
type HTTPS struct {
	// Hosts are the names for which certificates are obtained.
	Hosts []string
	// Directory is the URL of the authority.
	Directory string
	// Folder keeps the certificates; "" means the database.
	Folder string
	// Email is the contact for the authority; "" gives none.
	Email string
}

// PlaceholderToken is how an application token starts that init writes before the outbound webhook exists.
const PlaceholderToken = "to-be-replaced-"

// HasPlaceholder reports whether the application token is not that of the portal yet, so that all events are
// refused.
func (p *Portal) HasPlaceholder() bool { return strings.HasPrefix(p.Token.Reveal(), PlaceholderToken) }

// Portal is the configuration of one portal.
type Portal struct {
	// Name is the portal's name in the configuration, and the last part of its hook
	// URL.
	Name string
	// Webhook is the URL of the inbound webhook.
	Webhook bitrix.Secret
	// OAuth is the application that calls the portal; nil means the webhook.
	OAuth *OAuth
	// Offline fetches the events that the portal keeps for the application.
	Offline bool
	// Token is the application token of the portal's events. With OAuth the portal
	// sends it with the installation.
	Token bitrix.Secret
	// Hooks is what proves the requests of other systems, by the names of hooks.
	Hooks map[string]ingest.Credentials
	// Robots is what proves the requests of robots and business processes. The zero value
	// refuses all.
	Robots ingest.Credentials
	// Plan sets the rate limit of the portal.
	Plan bitrix.Plan
	// Encoding is the character encoding of the portal.
	Encoding bitrix.Encoding
	// Shared says that other programs use the portal's rate limit too.
	Shared bool
	// Shadow is how long after an event the rules are compared with the portal, without
	// writing. 0 means that they write.
	Shadow time.Duration
	// Insecure accepts any certificate of the portal.
	Insecure bool
	// Transport sends the requests to the portal. Nil means the network.
	Transport http.RoundTripper
	// Zone is the portal's time zone. Nil leaves times unchanged.
	Zone *time.Location
	// Language is that of names and numbers in formulas.
	Language datetime.Language
	// Dates are days that are working days or not, whatever the portal's calendar says.
	// The keys are days in the form 2026-01-31.
	Dates map[string]bool
	// Inputs are the values of the rule sets' inputs.
	Inputs Inputs
	// Tags are words with which commands and waves select portals.
	Tags []string
	// Ignore are the differences that drift does not count.
	Ignore []Ignore
	Pos    diag.Pos
}

// Log configures the log.
type Log struct {
	Level slog.Level
	// JSON logs a JSON object in each line instead of text.
	JSON bool
	// Requests logs each request to a portal, without secrets.
	Requests bool
	// Off logs nothing.
	Off bool
	// Dump logs events, requests and answers in full, without secrets.
	Dump bool
	// Dir is a folder for the files b24rules.log and dump.log; "" means stderr.
	Dir string
	// MaxSize is the size in MiB at which a file in Dir is rotated.
	MaxSize int
	// MaxAge is how long rotated files are kept; 0 means forever.
	MaxAge time.Duration
	// MaxFiles is how many rotated files of a kind are kept.
	MaxFiles int
}

// Limits bound the work. Zero values mean the defaults.
type Limits struct {
	Runs       int           `yaml:"runs" validate:"min=1,max=10000" default:"1000" doc:"runs of one portal at the same time"`
	RetryFor   time.Duration `yaml:"retry_for" validate:"min=1s" default:"24h" doc:"about how long a run that fails is tried again before it is parked; with attempts above 0 it has no default"`
	Attempts   int           `yaml:"attempts" validate:"min=0,max=100" default:"0" doc:"attempts before a run is parked; 0 means as many as retry_for needs"`
	RetryFirst time.Duration `yaml:"retry_first" validate:"min=1ms" default:"5s" doc:"the longest wait after the first failure"`
	RetryMax   time.Duration `yaml:"retry_max" validate:"min=1ms" default:"1h" doc:"the longest wait between two attempts"`
	MaxBody    int64         `yaml:"max_body" validate:"min=1" default:"1048576" doc:"the largest event, in bytes"`
	Grace      time.Duration `yaml:"grace" validate:"min=1ms" default:"10s" doc:"the shutdown grace: how long a stop waits for runs"`

	Settle time.Duration `yaml:"settle" validate:"min=1ms" default:"60s" doc:"the settle time: how long the portal may still execute a request whose connection was lost"`

	EventDelay time.Duration `yaml:"event_delay" validate:"min=1ms" default:"5s" doc:"how long an event may be on its way: a first look or a sync of a rule that remembers waits so long after the last change of an entity"`

	Connections  int `yaml:"connections" validate:"min=1,max=100000" default:"1000" doc:"open connections to the event handler"`
	PortalEvents int `yaml:"portal_events" validate:"min=1,max=100000" default:"500" doc:"events of one portal that wait to be stored at the same time"`
}

// ShutdownGrace is how long a stop waits for runs.
func (l Limits) ShutdownGrace() time.Duration { return cmp.Or(l.Grace, 10*time.Second) }

// EventsArrive is how long an event may be on its way.
func (l Limits) EventsArrive() time.Duration { return cmp.Or(l.EventDelay, 5*time.Second) }

// Secrets returns the secrets of the configuration, except the inputs of rule sets.
func (c *Config) Secrets() []string {
	var out []string
	for _, p := range c.Portals {
		out = append(out, p.Webhook.Reveal(), p.Token.Reveal())
		if p.OAuth != nil {
			out = append(out, p.OAuth.ClientSecret.Reveal())
		}
		out = append(out, p.Robots.Secret.Reveal())
		for _, h := range p.Hooks {
			out = append(out, h.Secret.Reveal())
			if _, password, ok := strings.Cut(h.Secret.Reveal(), ":"); ok && h.By == ingest.ByBasic {
				out = append(out, password)
			}
		}
	}
	for _, a := range c.Alerts {
		out = append(out, a.Webhook.Reveal(), a.Secret.Reveal())
		if a.Telegram != nil {
			out = append(out, a.Telegram.Token.Reveal())
		}
		if a.Email != nil {
			out = append(out, a.Email.Password.Reveal())
		}
	}
	return append(out, databasePassword(c.Database).Reveal())
}

// SettleTime is how long a portal may still execute a request whose connection was
// lost. The cloud ends each request after a minute.
// https://apidocs.bitrix24.com/limits.html
func (l Limits) SettleTime() time.Duration { return cmp.Or(l.Settle, time.Minute) }

// layout has the keys of the file. Editors show the doc of a key: `make gen` writes it
// to schemas/ and to docs/configuration.md.
type layout struct {
	Listen               listenBlock  `yaml:"listen" default:"127.0.0.1:8400" doc:"the address that receives events, or https: {https: b24.example.com} obtains certificates automatically"`
	Metrics              scalar       `yaml:"metrics" doc:"the address of the metrics; without it there are none" example:"127.0.0.1:8401"`
	Database             scalar       `yaml:"database" default:"sqlite:b24rules.db" doc:"the database for events and runs: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME; ${VARIABLE} is replaced" example:"sqlite:/var/lib/b24rules/b24rules.db"`
	DatabaseFile         scalar       `yaml:"database_file" doc:"instead of database: a file with its value"`
	DatabasePasswordFile scalar       `yaml:"database_password_file" doc:"a file with the password of a PostgreSQL database"`
	Rules                scalars      `yaml:"rules" doc:"files and folders of rule sets, relative to this file; folders below with a file .b24rulesignore are skipped" example:"[rules]"`
	Portals              portalFiles  `yaml:"portals" doc:"the portals by names that you choose, or a folder with a file NAME.yaml for each; a portal sends its events to /hooks/NAME"`
	Defaults             portalBlock  `yaml:"defaults" doc:"keys for all portals; what a portal has itself wins"`
	Log                  logFile      `yaml:"log" doc:"the log"`
	Limits               Limits       `yaml:"limits" doc:"limits and retries"`
	History              History      `yaml:"history" doc:"how long finished runs are kept"`
	Console              consoleBlock `yaml:"console" doc:"web pages about portals, runs, events and rules; without it there are none"`
	PublicURL            scalar       `yaml:"public_url" doc:"the address under which portals reach listen; applications bind their events to it" example:"https://b24rules.example.com"`
	PrivateHosts         scalars      `yaml:"private_hosts" doc:"names, addresses and networks on this machine and in private networks that rules may send requests to; the hosts of the portals are always among them" example:"[stock.local, 10.1.2.0/24]"`
	Alerts               alertsFile   `yaml:"alerts" doc:"who is informed when something is wrong"`
	FirstLook            scalar       `yaml:"first_look" words:"on off" default:"on" doc:"whether a new rule that remembers (entered, before, at, start) looks once at all its entities; it then writes nothing"`
	Reload               scalar       `yaml:"reload" words:"auto manual" default:"auto" doc:"auto: new versions of rule sets run at once; manual: after b24rules apply"`
	Apply                applyFile    `yaml:"apply" doc:"how b24rules apply brings new versions to portals, wave by wave"`
	Drift                driftFile    `yaml:"drift" doc:"how often serve compares the rules with the portals; b24rules status shows what differs" example:"{every: 24h, share: 10%, start: \"02:00\"}"`
	CatchUp              catchUpBlock `yaml:"catch_up" doc:"the catch-up after a downtime: off, on, or its limits"`
}

type logFile struct {
	Level    scalar `yaml:"level" words:"debug info warn error" default:"info" doc:"the lowest level that is logged"`
	Format   scalar `yaml:"format" words:"text json" default:"text" doc:"text, or a JSON object in each line"`
	Requests bool   `yaml:"requests" default:"false" doc:"log each request to a portal, without secrets"`
	Off      bool   `yaml:"off" default:"false" doc:"log nothing"`
	Dir      scalar `yaml:"dir" doc:"a folder for the files b24rules.log and, with dump, dump.log; without it the log goes to stderr"`
	Dump     bool   `yaml:"dump" default:"false" doc:"log each event, request and answer in full, without secrets"`

	MaxSize  int       `yaml:"max_size" validate:"min=1,max=10000" default:"100" doc:"the size in MiB at which a file in dir is rotated; it is also rotated when it is a day old"`
	MaxAge   retention `yaml:"max_age" default:"14d" doc:"how long rotated files are kept"`
	MaxFiles int       `yaml:"max_files" validate:"min=1,max=1000" default:"20" doc:"how many rotated files are kept, of each of the two"`
}

// duration is time.Duration with a short name, so that a new key does not align all
// others again.
type duration = time.Duration

type portalFile struct {
	Webhook              scalar           `yaml:"webhook" doc:"the URL of the inbound webhook, or ${VARIABLE}" example:"${B24_WEBHOOK}"`
	WebhookFile          scalar           `yaml:"webhook_file" doc:"instead of webhook: a file with its value; ${VARIABLE} in the path is replaced"`
	ApplicationToken     scalar           `yaml:"application_token" doc:"the application token of the portal's events, or ${VARIABLE}" example:"${B24_TOKEN}"`
	ApplicationTokenFile scalar           `yaml:"application_token_file" doc:"instead of application_token: a file with its value"`
	OAuth                oauthBlock       `yaml:"oauth" doc:"access as an application, instead of webhook and application_token"`
	Hooks                blocks[hookFile] `yaml:"hooks" doc:"the secrets of the hooks that rules take, by their names: other systems post to /hooks/PORTAL/in/NAME" example:"{shop: {secret: \"${SHOP_SECRET}\", by: header X-Shop-Token}}"`
	Robots               robotsBlock      `yaml:"robots" doc:"the secret of the addresses that robots and business processes call"`
	Plan                 scalar           `yaml:"plan" words:"standard enterprise unlimited" default:"standard" doc:"the plan of the portal, which sets its rate limit"`
	Shared               bool             `yaml:"shared" default:"false" doc:"other programs at this address use the portal's rate limit too: start with half of it, without a burst"`
	Inputs               Inputs           `yaml:"inputs" doc:"the inputs of rule sets: the file name without its ending, the input, the value" example:"{deal-shipments: {list: 47}}"`
	Use                  uses             `yaml:"use" doc:"the rule sets that the portal runs, with their inputs, instead of inputs; without it the portal runs all" example:"{deal-shipments: {list: 47}, invoice-total: off}"`
	Tags                 scalars          `yaml:"tags" doc:"words with which commands select portals: --portal tag=WORD" example:"[canary]"`
	Ignore               ignores          `yaml:"ignore" doc:"differences that drift does not count, until a day" example:"[{rule: deal-shipments, thing: element 47:12, field: SUM, reason: agreed with the customer, until: \"2027-01-31\"}]"`
	TLS                  tlsFile          `yaml:"tls" doc:"how the portal's certificate is checked"`
	TimeZone             scalar           `yaml:"time_zone" doc:"the portal's time zone; without it times stay unchanged" example:"Europe/Moscow"`
	Language             scalar           `yaml:"language" words:"en ru" default:"en" doc:"the language of names of months and of numbers in formulas"`
	Calendar             daysFile         `yaml:"calendar" doc:"working days and holidays of one year, in addition to the calendar of the portal"`
	Events               scalar           `yaml:"events" words:"online offline" default:"online" doc:"online: the portal sends its events; offline: the program fetches them from the portal"`
	Mode                 scalar           `yaml:"mode" words:"live shadow" default:"live" doc:"live: rules write; shadow: rules only compare what they would write with what the portal has, next to a script that does the work"`
	ShadowDelay          duration         `yaml:"shadow_delay" validate:"min=1s,max=1h" default:"30s" doc:"how long after the last event of an entity mode shadow compares; the script must have done its work by then"`
	Encoding             scalar           `yaml:"encoding" default:"utf-8" words:"utf-8 windows-1251" doc:"the encoding of requests, answers and events; cloud portals have utf-8"`
}

type daysFile struct {
	Holidays scalars `yaml:"holidays" doc:"holidays of one year" example:"[2026-05-11]"`
	Workdays scalars `yaml:"workdays" doc:"working days of one year, such as a Saturday" example:"[2026-05-09]"`
}

type tlsFile struct {
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false" doc:"accept any certificate; only for a portal on your own network"`
}

// FindDefault returns the configuration in a folder: DefaultFile, or the file whose name
// differs from it only in the ending or in capital letters. If there is none, it returns
// DefaultFile.
func FindDefault(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, DefaultFile)); err == nil {
		return DefaultFile
	}
	entries, _ := os.ReadDir(dir) // a folder that cannot be read has no configuration
	for _, e := range entries {
		if yamlfile.Ext(e.Name()) != "" && strings.EqualFold(yamlfile.Stem(e.Name()), yamlfile.Stem(DefaultFile)) {
			return e.Name()
		}
	}
	return DefaultFile
}

// Read reads a configuration file. The error says that the file cannot be read; the
// findings are mistakes in it.
func Read(path string) (*Config, diag.List, error) {
	data, err := yamlfile.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	c, list := Parse(path, data, os.LookupEnv)
	return c, list, nil
}

// Parse reads the text of a configuration. Its paths are relative to the folder of the
// file. env returns the variables of the environment.
func Parse(path string, data []byte, env func(string) (string, bool)) (*Config, diag.List) {
	f, list := yamlfile.Parse(path, data)
	r := &reader{file: f, env: env, list: list, warned: map[string]bool{}, concerns: map[string][]string{}}
	if f.Root == nil {
		if !list.HasErrors() {
			r.list.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "empty-file", "the configuration is empty").Hint = "it needs rules and portals"
		}
		return nil, r.list
	}
	var in layout
	r.list.Add(yamlfile.Decode(f, f.Root, &in)...)
	c := r.config(&in)
	c.concerns = r.concerns
	r.list.Sort()
	seen := map[string]bool{} // several portals have the findings about defaults
	r.list = slices.DeleteFunc(r.list, func(f diag.Finding) bool {
		was := seen[keyOf(f)]
		seen[keyOf(f)] = true
		return was
	})
	c.Notes = slices.DeleteFunc(slices.Clone(r.list), func(f diag.Finding) bool { return f.Severity == diag.Error })
	return c, r.list
}
