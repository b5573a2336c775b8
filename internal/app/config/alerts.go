package config

import (
	"cmp"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// AlertReceiver is one receiver of alerts: a webhook, a chat of Telegram or addresses of
// e-mail.
type AlertReceiver struct {
	Name string
	// Webhook is the URL of a webhook, Secret the key of its signatures; "" means none.
	Webhook, Secret bitrix.Secret
	// Telegram is the chat of a bot, Email the addresses; nil means another kind.
	Telegram *Telegram
	Email    *Email
	// Now says that it gets each alert, Daily that it gets the daily summary.
	Now, Daily bool
}

// AlertTimes say when alerts are sent.
type AlertTimes struct {
	// Daily is the time of the daily summary, in minutes after midnight.
	Daily int
	// QuietFrom and QuietTo are the hours, in minutes after midnight, in which only urgent alerts
	// are sent. They are equal without such hours.
	QuietFrom, QuietTo int
	// Zone is that of these times; nil means that of this machine.
	Zone *time.Location
}

// Email are addresses of e-mail and the server that takes messages for them.
type Email struct {
	To     []string
	From   string
	Server string // HOST:PORT
	// TLS says that the connection starts with TLS. Otherwise STARTTLS is used if the server
	// offers it.
	TLS      bool
	User     string // "" means that the server needs none
	Password bitrix.Secret
}

// Telegram is a chat of a bot.
type Telegram struct {
	Chat  string
	Token bitrix.Secret
	API   string // "" means https://api.telegram.org
}

type alertsFile struct {
	To      blocks[alertReceiverFile] `yaml:"to" doc:"the receivers of alerts by names that you choose" example:"{duty: {telegram: {chat: -100123, token_file: telegram-token}}}"`
	Send    alertSendFile             `yaml:"send" doc:"who gets what, by the names in to" example:"{now: [duty], daily: [mail]}"`
	DailyAt scalar                    `yaml:"daily_at" default:"09:00" doc:"the time of the daily summary"`
	Quiet   quietFile                 `yaml:"quiet" doc:"hours in which only urgent alerts are sent" example:"{from: \"22:00\", to: \"07:00\"}"`
	Zone    scalar                    `yaml:"zone" doc:"the zone of these times, that of the machine without it" example:"Europe/Moscow"`
}

type alertSendFile struct {
	Now   scalars `yaml:"now" doc:"receivers of each alert; all without this key" example:"[duty]"`
	Daily scalars `yaml:"daily" doc:"receivers of the daily summary; none without this key" example:"[mail]"`
}

type quietFile struct {
	From scalar `yaml:"from" doc:"the start" example:"22:00"`
	To   scalar `yaml:"to" doc:"the end" example:"07:00"`
}

type alertReceiverFile struct {
	Webhook     scalar        `yaml:"webhook" doc:"an https URL that takes alerts as JSON, or ${VARIABLE}" example:"https://ops.example/alerts"`
	WebhookFile scalar        `yaml:"webhook_file" doc:"instead of webhook: a file with its value"`
	Secret      scalar        `yaml:"secret" doc:"the key of the signature in X-B24rules-Signature (HMAC-SHA256 of the body), or ${VARIABLE}"`
	SecretFile  scalar        `yaml:"secret_file" doc:"instead of secret: a file with its value"`
	Telegram    telegramBlock `yaml:"telegram" doc:"a chat of Telegram, instead of webhook"`
	Email       emailBlock    `yaml:"email" doc:"addresses of e-mail, instead of webhook"`
}

type emailFile struct {
	To           scalars `yaml:"to" doc:"the addresses" example:"[ops@example.com]"`
	From         scalar  `yaml:"from" doc:"the address of the sender" example:"b24rules@example.com"`
	Server       scalar  `yaml:"server" doc:"the mail server: smtp://HOST:PORT, with STARTTLS if the server offers it, or smtps://HOST:PORT" example:"smtps://mail.example.com:465"`
	User         scalar  `yaml:"user" doc:"the name at the mail server"`
	Password     scalar  `yaml:"password" doc:"the password at the mail server, or ${VARIABLE}"`
	PasswordFile scalar  `yaml:"password_file" doc:"instead of password: a file with its value"`
}

// emailBlock is email with its place.
type emailBlock struct {
	block
	emailFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (e *emailBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return e.decode(f, n, &e.emailFile, "email: {to: [ops@example.com], from: b24rules@example.com, server: smtp://localhost:25}")
}

// NodeSchema implements yamlfile.NodeSchema.
func (e *emailBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[emailFile]() }

type telegramFile struct {
	Chat      scalar `yaml:"chat" doc:"the id of the chat, or @CHANNEL" example:"-100123"`
	Token     scalar `yaml:"token" doc:"the token of the bot, or ${VARIABLE}"`
	TokenFile scalar `yaml:"token_file" doc:"instead of token: a file with its value"`
	API       scalar `yaml:"api" default:"https://api.telegram.org" doc:"the address of the Bot API"`
}

// telegramBlock is telegram with its place.
type telegramBlock struct {
	block
	telegramFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (t *telegramBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return t.decode(f, n, &t.telegramFile, "telegram: {chat: -100123, token_file: telegram-token}")
}

// NodeSchema implements yamlfile.NodeSchema.
func (t *telegramBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[telegramFile]() }

// alerts reads the receivers of alerts, and when they get something.
func (r *reader) alerts(in alertsFile) ([]AlertReceiver, AlertTimes) {
	var out []AlertReceiver
	names := make([]string, len(in.To.all))
	for i, one := range in.To.all {
		names[i] = one.name
	}
	now, isAll := r.receivers("send: now", in.Send.Now, names)
	daily, _ := r.receivers("send: daily", in.Send.Daily, names)
	for _, one := range in.To.all {
		a, ok := r.alertReceiver(one)
		a.Now, a.Daily = isAll || slices.Contains(now, one.name), slices.Contains(daily, one.name)
		if !a.Now && !a.Daily {
			r.errorf(one.pos, "invalid-value", "receiver %s gets nothing", one.name).Hint = "add it to now or daily in send, or remove it"
		}
		if ok {
			out = append(out, a)
		}
	}
	return out, r.alertTimes(in)
}

// receivers reads names of receivers. isAll says that the key is missing.
func (r *reader) receivers(key string, in scalars, names []string) (out []string, isAll bool) {
	for _, s := range in.all {
		if !slices.Contains(names, s.text) {
			f := r.errorf(s.pos, "invalid-value", "%s: %q is no receiver in to", key, s.text)
			f.Hint = "write " + diag.Alternatives(names)
			if near := diag.Closest(s.text, names); near != "" {
				f.Hint = "did you mean " + near + "?"
			}
			continue
		}
		out = append(out, s.text)
	}
	return out, in.pos.Line == 0
}

func (r *reader) alertTimes(in alertsFile) AlertTimes {
	out := AlertTimes{Daily: 9 * 60}
	if in.DailyAt.set() {
		out.Daily = r.timeOfDay("daily_at", in.DailyAt)
	}
	from, to := in.Quiet.From, in.Quiet.To
	switch {
	case from.set() && to.set():
		out.QuietFrom, out.QuietTo = r.timeOfDay("quiet: from", from), r.timeOfDay("quiet: to", to)
		if out.QuietFrom == out.QuietTo && from.text == to.text {
			r.errorf(to.pos, "invalid-value", "the quiet hours start and end at %s", to.text).Hint = `write quiet: {from: "22:00", to: "07:00"}`
		}
	case from.set() || to.set():
		r.errorf(firstSet(from, to).pos, "missing-key", "quiet needs from and to").Hint = `write quiet: {from: "22:00", to: "07:00"}`
	}
	if in.Zone.set() {
		out.Zone = r.zone(in.Zone)
	}
	return out
}

// timeOfDay reads minutes after midnight.
func (r *reader) timeOfDay(key string, s scalar) int {
	at, err := time.Parse("15:04", s.text)
	if err != nil {
		r.errorf(s.pos, "invalid-value", "%s: %q is no time of a day", key, s.text).Hint = `write it like "09:00", in quotes`
	}
	return at.Hour()*60 + at.Minute()
}

func (r *reader) alertReceiver(in named[alertReceiverFile]) (AlertReceiver, bool) {
	out := AlertReceiver{Name: in.name}
	hook := firstSet(in.in.Webhook, in.in.WebhookFile)
	telegram, email := in.in.Telegram.pos, in.in.Email.pos
	kinds := 0
	for _, has := range []bool{hook.set(), telegram.Line > 0, email.Line > 0} {
		if has {
			kinds++
		}
	}
	switch {
	case in.in.Telegram.bad || in.in.Email.bad:
		return out, false
	case kinds > 1:
		r.errorf(in.pos, "duplicate-key", "receiver %s has more than one of webhook, telegram and email", in.name).Hint = "make a receiver for each"
		return out, false
	case kinds == 0:
		r.errorf(in.pos, "missing-key", "receiver %s needs webhook, telegram or email", in.name).Hint = "webhook: https://…, telegram: {chat: …, token_file: …}, or email: {to: […], from: …, server: …}"
		return out, false
	case !hook.set():
		if s := firstSet(in.in.Secret, in.in.SecretFile); s.set() {
			r.errorf(s.pos, "invalid-value", "only a webhook takes a signature").Hint = "remove it"
		}
		var ok bool
		if telegram.Line > 0 {
			out.Telegram, ok = r.telegram(in)
		} else {
			out.Email, ok = r.email(in)
		}
		return out, ok
	}
	text, pos, ok := r.secretOf("receiver "+in.name, in.pos, "webhook", in.in.Webhook, in.in.WebhookFile)
	out.Webhook = bitrix.Secret(text)
	if u, err := url.Parse(text); ok && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		r.errorf(pos, "invalid-value", "the webhook of receiver %s is not an http(s) address", in.name)
		return out, false
	} else if ok && u.Scheme == "http" && isPublic(u.Hostname()) {
		r.list.Warnf(pos, "plain-http", "receiver %s is called over http, so everybody on the way can read the alerts", in.name).Hint = "write https://"
	}
	if s := firstSet(in.in.Secret, in.in.SecretFile); s.set() {
		text, pos, found := r.secretOf("receiver "+in.name, in.pos, "secret", in.in.Secret, in.in.SecretFile)
		if found && text == "" {
			r.errorf(pos, "invalid-value", "the secret of receiver %s is empty", in.name)
		}
		out.Secret, ok = bitrix.Secret(text), ok && found && text != ""
	}
	return out, ok
}

// telegram reads a chat of Telegram.
func (r *reader) telegram(in named[alertReceiverFile]) (*Telegram, bool) {
	t := in.in.Telegram
	out := &Telegram{Chat: strings.TrimSpace(t.Chat.text), API: t.API.text}
	token, pos, ok := r.secretOf("receiver "+in.name, t.pos, "token", t.Token, t.TokenFile)
	if ok && !strings.Contains(token, ":") {
		r.errorf(pos, "invalid-value", "the token of receiver %s is not one of a bot", in.name).Hint = "BotFather shows it: 123456:ABC…"
		ok = false
	}
	out.Token = bitrix.Secret(token)
	if !t.Chat.bad && out.Chat == "" {
		r.errorf(t.pos, "missing-key", "receiver %s needs chat", in.name).Hint = "telegram: {chat: -100123, token_file: …}"
		ok = false
	}
	if u, err := url.Parse(out.API); t.API.set() && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		r.errorf(t.API.pos, "invalid-value", "api is not an http(s) address").Hint = "remove it, the default is https://api.telegram.org"
		ok = false
	}
	return out, ok && !t.Chat.bad
}

// email reads addresses and their mail server.
func (r *reader) email(in named[alertReceiverFile]) (out *Email, ok bool) {
	e := in.in.Email
	out, ok = &Email{From: e.From.text, User: e.User.text}, true
	fail := func(pos diag.Pos, code, hint, format string, args ...any) {
		r.errorf(pos, code, format, args...).Hint = hint
		ok = false
	}
	address := func(s scalar) string {
		a, err := mail.ParseAddress(s.text)
		if err != nil {
			fail(s.pos, "invalid-value", "write it like ops@example.com", "%q is no address of e-mail", s.text)
			return ""
		}
		return a.Address
	}
	for _, s := range e.To.all {
		out.To = append(out.To, address(s))
	}
	if len(e.To.all) == 0 {
		fail(e.pos, "missing-key", "email: {to: [ops@example.com], …}", "receiver %s needs to", in.name)
	}
	if e.From.set() {
		out.From = address(e.From)
	} else {
		fail(e.pos, "missing-key", "email: {from: b24rules@example.com, …}", "receiver %s needs from", in.name)
	}
	const servers = "write smtp://HOST:25, smtp://HOST:587 or smtps://HOST:465"
	u, err := url.Parse(e.Server.text)
	switch {
	case !e.Server.set():
		fail(e.pos, "missing-key", servers, "receiver %s needs server", in.name)
	case err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		fail(e.Server.pos, "invalid-value", servers+"; user and password are keys", "server is not the address of a mail server")
	default:
		out.TLS = u.Scheme == "smtps"
		port := "25"
		if out.TLS {
			port = "465"
		}
		out.Server = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	}
	password := firstSet(e.Password, e.PasswordFile)
	if e.User.set() || password.set() {
		if !e.User.set() {
			fail(password.pos, "missing-key", "add user", "receiver %s has a password and no user", in.name)
		}
		text, _, found := r.secretOf("receiver "+in.name, e.pos, "password", e.Password, e.PasswordFile)
		out.Password, ok = bitrix.Secret(text), ok && found
	}
	return out, ok
}

// secretOf is secret for something other than a portal.
func (r *reader) secretOf(owner string, pos diag.Pos, key string, here, file scalar) (text string, at diag.Pos, ok bool) {
	switch {
	case here.bad || file.bad:
		return "", pos, false
	case here.set() && file.set():
		r.errorf(file.pos, "duplicate-key", "%s has both %s and %s_file", owner, key, key).Hint = "remove one of them"
		return "", file.pos, false
	case here.set():
		r.literalSecret(here)
		text, ok = r.expand(here)
		return strings.TrimSpace(text), here.pos, ok
	case file.set():
		text, ok = r.secretFile(file, key)
		return strings.TrimSpace(text), file.pos, ok
	}
	r.errorf(pos, "missing-key", "%s needs %s or %s_file", owner, key, key)
	return "", pos, false
}
