package config

import (
	"cmp"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time_zone must also work in an empty container

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// reader makes a Config from the keys of a file, and collects findings.
type reader struct {
	file *yamlfile.File
	env  func(string) (string, bool)
	list diag.List
	// files are the other files that were read.
	files []string
	// warned are the files that are known to be readable by others. harmless says that the
	// secrets are those of an emulator.
	warned   map[string]bool
	harmless bool
	// concerns is that of Config.
	concerns map[string][]string
}

func (r *reader) errorf(pos diag.Pos, code, format string, args ...any) *diag.Finding {
	return r.list.Errorf(pos, code, format, args...)
}

func (r *reader) config(in *layout) *Config {
	c := &Config{Listen: "127.0.0.1:8400", Limits: in.Limits, History: in.History}
	r.listening(c, in.Listen)
	if in.Metrics.set() {
		c.Metrics = r.listen("metrics", in.Metrics, "127.0.0.1:8401")
	}
	c.Database = r.database(in)
	root := r.file.Pos(r.file.Root)
	switch {
	case in.Rules.pos.Line == 0:
		r.errorf(root, "missing-key", "the configuration needs rules").Hint = "rules: [rules]"
	case len(in.Rules.all) == 0 && !in.Rules.bad:
		r.errorf(in.Rules.pos, "missing-key", "rules names no file and no folder")
	}
	for _, p := range in.Rules.all {
		c.Rules, c.RulesAt = append(c.Rules, r.path(p)), append(c.RulesAt, p.pos)
	}
	c.PublicURL = cmp.Or(r.publicURL(in.PublicURL), c.SecureURL())
	c.CatchUp = r.catchUp(in.CatchUp)
	if in.FirstLook.set() && r.words(in.FirstLook, "first_look", "on", "off") {
		c.NoLooks = in.FirstLook.text == "off"
	}
	if in.Reload.set() && r.words(in.Reload, "reload", "auto", "manual") {
		c.Manual = in.Reload.text == "manual"
	}
	c.Drift = r.drift(in.Drift)
	r.portals(c, in, root)
	c.Apply = r.apply(in.Apply, c.Portals)
	c.afterPortals = r.lineAfterPortals(in.Portals.pos)
	c.PrivateHosts = r.privateHosts(in.PrivateHosts, c.Portals)
	c.Console = r.console(in.Console, c.Portals)
	c.Files = r.files
	r.log(c, in.Log)
	c.Alerts, c.AlertTimes = r.alerts(in.Alerts)
	r.misplacedVariables(r.file, r.file.Root)
	if c.Limits.RetryMax > 0 && c.Limits.RetryFirst > c.Limits.RetryMax {
		r.errorf(r.place("limits", "retry_first"), "invalid-value", "limits: retry_first %s is longer than retry_max %s", c.Limits.RetryFirst, c.Limits.RetryMax)
	}
	return c
}

// privateHosts reads the private hosts that rules may send requests to. The hosts of the
// portals are among them: the configuration names them, too.
func (r *reader) privateHosts(list scalars, portals []Portal) *private.Hosts {
	var texts []string
	for _, p := range portals {
		address := p.Webhook.Reveal()
		if p.OAuth != nil {
			address = p.OAuth.Portal
		}
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
			texts = append(texts, u.Hostname())
		}
	}
	for _, s := range list.all {
		if _, err := private.ParseHosts([]string{s.text}); err != nil {
			r.errorf(s.pos, "invalid-value", "private_hosts: %s", err)
			continue
		}
		texts = append(texts, s.text)
	}
	hosts, _ := private.ParseHosts(texts) // each is checked above
	return hosts
}

// place returns the position of the value of a key, or of the nearest key above it.
func (r *reader) place(keys ...string) diag.Pos {
	n := r.file.Root
	for _, key := range keys {
		m, _ := r.file.Mapping(n) // its mistakes are reported
		e, ok := m.Get(key)
		if !ok {
			break
		}
		n = e.Value
	}
	return r.file.Pos(n)
}

// path resolves a path. It is relative to the folder of the file that has it.
func (r *reader) path(s scalar) string {
	if s.text == "" {
		r.errorf(s.pos, "invalid-value", "an empty path")
		return ""
	}
	if filepath.IsAbs(s.text) {
		return filepath.Clean(s.text)
	}
	return filepath.Join(filepath.Dir(s.pos.File), s.text)
}

func (r *reader) listen(key string, s scalar, example string) string {
	_, port, err := net.SplitHostPort(s.text)
	n, numErr := strconv.Atoi(port)
	if err != nil || numErr != nil || n < 0 || n > 65535 {
		r.errorf(s.pos, "invalid-value", "%s %q is not an address", key, s.text).Hint = "write HOST:PORT, such as " + example
	}
	return s.text
}

// portalName is a name that needs no escaping in a hook URL.
var portalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (r *reader) portals(c *Config, in *layout, root diag.Pos) {
	switch {
	case in.Portals.folder.set():
		r.folder(c, &in.Portals)
	case in.Portals.folder.bad:
	case len(in.Portals.all) == 0:
		pos := root
		if in.Portals.pos.Line > 0 {
			pos = in.Portals.pos
		}
		r.errorf(pos, "missing-key", "the configuration needs at least one portal").Hint = "portals: {main: {webhook: …, application_token: …}}"
	}
	if in.Defaults.node != nil {
		r.misplacedName(in.Defaults.file, in.Defaults.node)
	}
	names := map[string]string{} // of portals, by their addresses
	for _, p := range in.Portals.all {
		before := len(r.list)
		one := r.onePortal(p, &in.Defaults)
		r.samePortal(names, one)
		c.Portals = append(c.Portals, one)
		for _, f := range r.list[before:] {
			if key := keyOf(f); !slices.Contains(r.concerns[key], p.name) {
				r.concerns[key] = append(r.concerns[key], p.name)
			}
		}
	}
	r.someUse(c.Portals)
}

// keyOf tells findings from each other.
func keyOf(f diag.Finding) string { return f.Code + " " + f.String() }

// onePortal reads a portal with its defaults.
func (r *reader) onePortal(p namedPortal, defaults *portalBlock) Portal {
	r.list.Add(p.found...)
	if !portalName.MatchString(p.name) {
		r.errorf(p.pos, "invalid-value", "portal name %q cannot be part of a URL", p.name).Hint = "write up to 63 letters, digits, dots, dashes and underscores"
	}
	if p.unread {
		return Portal{Name: p.name, Pos: p.pos}
	}
	if p.node != nil {
		r.misplacedName(p.file, p.node)
		if p.file != r.file {
			r.misplacedVariables(p.file, p.node)
		}
	}
	p.withDefaults(defaults)
	p.withName()
	return r.portal(p)
}

func (r *reader) portal(p namedPortal) Portal {
	out := Portal{Name: p.name, Pos: p.pos, Plan: bitrix.PlanStandard, Shared: p.Shared, Insecure: p.TLS.InsecureSkipVerify, Inputs: r.rules(p), Tags: r.tags(p.Tags)}
	if p.OAuth.set() {
		if out.OAuth = r.oauth(p); out.OAuth != nil {
			r.connection(p, p.OAuth.Portal.pos, out.OAuth.Portal)
		}
	} else {
		r.harmless = isLoopback(p.Webhook.text)
		out.Webhook = r.webhook(p)
		out.Token = r.token(p)
		r.harmless = false
		r.connection(p, firstSet(p.Webhook, p.WebhookFile).pos, out.Webhook.Reveal())
	}
	if p.Plan.set() {
		plan, err := bitrix.ParsePlan(p.Plan.text)
		if err != nil {
			r.words(p.Plan, "plan", "standard", "enterprise", "unlimited")
		}
		out.Plan = plan
	}
	if p.TimeZone.set() {
		out.Zone = r.zone(p.TimeZone)
	}
	now := time.Now()
	if out.Zone != nil {
		now = now.In(out.Zone)
	}
	out.Ignore = r.ignores(p.Ignore, now)
	if p.Language.set() && r.words(p.Language, "language", string(datetime.English), string(datetime.Russian)) {
		out.Language = datetime.Language(p.Language.text)
	}
	out.Dates = r.days(p.Calendar)
	out.Hooks, out.Robots = r.hooks(p), r.robots(p)
	r.events(p, &out)
	if p.Mode.set() && r.words(p.Mode, "mode", "live", "shadow") && p.Mode.text == "shadow" {
		out.Shadow = cmp.Or(p.ShadowDelay, 30*time.Second)
	}
	if p.Encoding.set() {
		p.Encoding.text = strings.ToLower(p.Encoding.text)
		if r.words(p.Encoding, "encoding", "utf-8", string(bitrix.Windows1251)) && p.Encoding.text != "utf-8" {
			out.Encoding = bitrix.Encoding(p.Encoding.text)
		}
	}
	return out
}

// tags reads words that select portals.
func (r *reader) tags(in scalars) []string {
	var out []string
	for _, s := range in.all {
		switch {
		case !instanceName(s.text):
			r.errorf(s.pos, "invalid-value", "%q cannot be a tag", s.text).Hint = "write letters, digits, dashes and underscores"
		case slices.Contains(out, s.text):
			r.errorf(s.pos, "invalid-value", "the portal has the tag %s twice", s.text).Hint = "remove one"
		default:
			out = append(out, s.text)
		}
	}
	return out
}

// token reads the application token of an outbound webhook's events.
func (r *reader) token(p namedPortal) bitrix.Secret {
	token, pos, ok := r.secret(p, "application_token", p.ApplicationToken, p.ApplicationTokenFile)
	if ok && token == "" {
		r.errorf(pos, "invalid-value", "the application token is empty, so every event would be refused").Hint = "the portal shows it in the form of the outbound webhook"
	}
	return bitrix.Secret(token)
}

// words checks a value that must be one of a few words.
func (r *reader) words(s scalar, key string, words ...string) bool {
	for _, w := range words {
		if s.text == w {
			return true
		}
	}
	f := r.errorf(s.pos, "invalid-value", "%s %q is unknown", key, s.text)
	f.Hint = "write " + diag.Alternatives(words)
	if near := diag.Closest(s.text, words); near != "" {
		f.Hint = "did you mean " + near + "?"
	}
	return false
}

func (r *reader) zone(s scalar) *time.Location {
	zone, err := time.LoadLocation(s.text)
	if err != nil || s.text == "" || s.text == "Local" {
		r.errorf(s.pos, "invalid-value", "time zone %q is unknown", s.text).Hint = "write a name such as Europe/Moscow"
		return nil
	}
	return zone
}

// days reads the days of a calendar, true for working days.
func (r *reader) days(c daysFile) map[string]bool {
	if len(c.Holidays.all)+len(c.Workdays.all) == 0 {
		return nil
	}
	out := map[string]bool{}
	read := func(days []scalar, works bool) {
		for _, s := range days {
			day, err := time.Parse(time.DateOnly, s.text)
			if err != nil {
				r.errorf(s.pos, "invalid-value", "%q is not a day", s.text).Hint = "write it like 2026-05-09"
				continue
			}
			key := day.Format(time.DateOnly)
			if _, twice := out[key]; twice {
				r.errorf(s.pos, "invalid-value", "the day %s is in the calendar twice", key).Hint = "remove one"
			}
			out[key] = works
		}
	}
	read(c.Holidays.all, false)
	read(c.Workdays.all, true)
	return out
}

// webhook reads the URL of the inbound webhook. Findings do not repeat it.
func (r *reader) webhook(p namedPortal) bitrix.Secret {
	text, pos, ok := r.secret(p, "webhook", p.Webhook, p.WebhookFile)
	if !ok {
		return ""
	}
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(text)})
	if err != nil {
		r.errorf(pos, "invalid-value", "portal %s: %v", p.name, err)
		return ""
	}
	client.Close()
	return bitrix.Secret(text)
}

// secret reads a secret from the file, from the environment or from a separate file.
// It returns false after a mistake.
func (r *reader) secret(p namedPortal, key string, here, file scalar) (text string, pos diag.Pos, ok bool) {
	return r.secretOf("portal "+p.name, p.pos, key, here, file)
}

// secretFile reads the file that a key such as webhook_file names. Its path may have
// variables of the environment, such as systemd's ${CREDENTIALS_DIRECTORY}.
func (r *reader) secretFile(s scalar, key string) (string, bool) {
	name, ok := r.expand(s)
	if !ok {
		return "", false
	}
	file := r.path(scalar{text: name, pos: s.pos})
	r.files = append(r.files, file)
	text, err := readSecret(file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		r.errorf(s.pos, "unreadable-file", secretFileMessage, key, s.text, err)
		return "", false
	}
	r.readableByOthers(s.pos, file, s.text)
	return text, true
}

var variable = regexp.MustCompile(`\$\{([^{}$\s]+)\}`)

// expand replaces variables of the environment.
func (r *reader) expand(s scalar) (string, bool) {
	return r.expandWith(s, func(value string) string { return value })
}

// expandWith replaces variables of the environment and escapes them.
func (r *reader) expandWith(s scalar, escape func(string) string) (string, bool) {
	text, missing := fillIn(s.text, func(name string) (string, bool) {
		value, found := r.env(name)
		return escape(value), found
	})
	for _, name := range missing {
		r.errorf(s.pos, "missing-variable", "%s", MissingVariable(name))
	}
	return text, len(missing) == 0
}

// MissingVariable returns what is wrong with a name that Expand returned.
func MissingVariable(name string) string {
	if strings.HasPrefix(name, "$") {
		return "the value has ${ without a name and a }: write ${NAME}"
	}
	return "the environment has no variable " + name
}

// fillIn replaces each ${NAME} by the variable of the environment, and returns the
// names of missing variables, and "${" for one that is not written to its end. A nil env
// has no variables.
func fillIn(text string, env func(name string) (string, bool)) (filled string, missing []string) {
	filled = variable.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, found := "", false
		if env != nil {
			value, found = env(name)
		}
		if !found {
			missing = append(missing, name)
		}
		return strings.TrimRight(value, "\r\n") // of a file with variables that has other line breaks
	})
	if strings.Contains(variable.ReplaceAllLiteralString(text, ""), "${") {
		missing = append(missing, "${")
	}
	return filled, missing
}

func (r *reader) log(c *Config, in logFile) {
	c.Log = Log{
		Requests: in.Requests, Off: in.Off, Dump: in.Dump,
		MaxSize: cmp.Or(in.MaxSize, 100), MaxAge: max(0, time.Duration(cmp.Or(in.MaxAge, 14*24*retention(time.Hour)))), MaxFiles: cmp.Or(in.MaxFiles, 20),
	}
	if in.Level.set() && r.words(in.Level, "level", "debug", "info", "warn", "error") {
		_ = c.Log.Level.UnmarshalText([]byte(in.Level.text)) // it is one of slog's words
	}
	if in.Format.set() && r.words(in.Format, "format", "text", "json") {
		c.Log.JSON = in.Format.text == "json"
	}
	if in.Dir.set() {
		c.Log.Dir = r.path(in.Dir)
	}
}
