package config

import (
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// AlertReceiver is one receiver of alerts: a webhook or a chat of Telegram.
type AlertReceiver struct {
	Name string
	// Webhook is the URL of a webhook, Secret the key of its signatures; "" means none.
	Webhook, Secret bitrix.Secret
	// Telegram is the chat of a bot; nil means the webhook.
	Telegram *Telegram
}

// Telegram is a chat of a bot.
type Telegram struct {
	Chat  string
	Token bitrix.Secret
	API   string // "" means https://api.telegram.org
}

type alertsFile struct {
	To blocks[alertReceiverFile] `yaml:"to" doc:"the receivers of alerts by names that you choose" example:"{duty: {telegram: {chat: -100123, token_file: telegram-token}}}"`
}

type alertReceiverFile struct {
	Webhook     scalar        `yaml:"webhook" doc:"an https URL that takes alerts as JSON, or ${VARIABLE}" example:"https://ops.example/alerts"`
	WebhookFile scalar        `yaml:"webhook_file" doc:"instead of webhook: a file with its value"`
	Secret      scalar        `yaml:"secret" doc:"the key of the signature in X-B24rules-Signature (HMAC-SHA256 of the body), or ${VARIABLE}"`
	SecretFile  scalar        `yaml:"secret_file" doc:"instead of secret: a file with its value"`
	Telegram    telegramBlock `yaml:"telegram" doc:"a chat of Telegram, instead of webhook"`
}

type telegramFile struct {
	Chat      scalar `yaml:"chat" doc:"the id of the chat, or @CHANNEL" example:"-100123"`
	Token     scalar `yaml:"token" doc:"the token of the bot, or ${VARIABLE}"`
	TokenFile scalar `yaml:"token_file" doc:"instead of token: a file with its value"`
	API       scalar `yaml:"api" default:"https://api.telegram.org" doc:"the address of the Bot API"`
}

// telegramBlock is telegram with its place.
type telegramBlock struct {
	pos diag.Pos
	bad bool // it is no mapping
	telegramFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (t *telegramBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	t.pos = f.Pos(n)
	if t.bad = yamlfile.Resolve(n).Kind != yaml.MappingNode; t.bad {
		return wrongType(t.pos, "want a mapping such as telegram: {chat: -100123, token_file: telegram-token}")
	}
	return yamlfile.Decode(f, n, &t.telegramFile)
}

// NodeSchema implements yamlfile.NodeSchema.
func (t *telegramBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[telegramFile]() }

// alerts reads the receivers of alerts.
func (r *reader) alerts(in alertsFile) []AlertReceiver {
	var out []AlertReceiver
	for _, one := range in.To.all {
		if a, ok := r.alertReceiver(one); ok {
			out = append(out, a)
		}
	}
	return out
}

func (r *reader) alertReceiver(in named[alertReceiverFile]) (AlertReceiver, bool) {
	out := AlertReceiver{Name: in.name}
	hook := firstSet(in.in.Webhook, in.in.WebhookFile)
	switch {
	case in.in.Telegram.bad:
		return out, false
	case in.in.Telegram.pos.Line > 0 && hook.set():
		r.errorf(in.in.Telegram.pos, "duplicate-key", "receiver %s has both a webhook and telegram", in.name).Hint = "make two receivers"
		return out, false
	case in.in.Telegram.pos.Line > 0:
		if s := firstSet(in.in.Secret, in.in.SecretFile); s.set() {
			r.errorf(s.pos, "invalid-value", "Telegram takes no signature").Hint = "remove it"
		}
		t, ok := r.telegram(in)
		out.Telegram = t
		return out, ok
	case !hook.set():
		r.errorf(in.pos, "missing-key", "receiver %s needs webhook or telegram", in.name).Hint = "webhook: https://…, or telegram: {chat: …, token_file: …}"
		return out, false
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
