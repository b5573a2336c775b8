package config

import (
	"net/http"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// minHookSecret is the least length of a secret that proves requests of strangers.
const minHookSecret = 16

type hookFile struct {
	Secret     scalar `yaml:"secret" doc:"the secret that the other system sends or signs with, or ${VARIABLE}; for basic it is USER:PASSWORD" example:"${SHOP_SECRET}"`
	SecretFile scalar `yaml:"secret_file" doc:"instead of secret: a file with its value"`
	By         scalar `yaml:"by" default:"header X-Hook-Secret" doc:"how a request shows the secret: header NAME; path, as the last part of the address; basic, as HTTP basic authentication; or hmac-sha256 NAME, a header with the HMAC of the body" example:"hmac-sha256 X-Signature"`
	Stamp      scalar `yaml:"stamp" doc:"of hmac-sha256: a header with the time of the request in seconds since 1970. The HMAC is then that of the time, a dot and the body, and a request is refused when its time differs by more than five minutes" example:"header X-Time"`
}

type robotsFile struct {
	Secret     scalar `yaml:"secret" doc:"the last part of the address that robots and business processes call, /hooks/PORTAL/robot/CODE/SECRET, or ${VARIABLE}" example:"${ROBOT_SECRET}"`
	SecretFile scalar `yaml:"secret_file" doc:"instead of secret: a file with its value"`
}

// robotsBlock is robots with its place.
type robotsBlock struct {
	pos diag.Pos
	robotsFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (b *robotsBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	b.pos = f.Pos(n)
	return yamlfile.Decode(f, n, &b.robotsFile)
}

// NodeSchema implements yamlfile.NodeSchema.
func (b *robotsBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[robotsFile]() }

// hooks reads what proves the requests of other systems.
func (r *reader) hooks(p namedPortal) map[string]ingest.Credentials {
	if len(p.Hooks.all) == 0 {
		return nil
	}
	out := map[string]ingest.Credentials{}
	for _, h := range p.Hooks.all {
		if credentials, ok := r.hook(h); ok {
			out[h.name] = credentials
		}
	}
	return out
}

func (r *reader) hook(h named[hookFile]) (ingest.Credentials, bool) {
	owner := "hook " + h.name
	credentials := ingest.Credentials{By: ingest.ByHeader, Header: "X-Hook-Secret"}
	ok := !h.in.By.bad && !h.in.Stamp.bad
	if !hookName.MatchString(h.name) {
		r.errorf(h.pos, "invalid-value", "the name %q of a hook cannot be part of an address", h.name).Hint = "write small letters, digits, - and _"
		ok = false
	}
	if h.in.By.set() {
		words := strings.Fields(h.in.By.text)
		way := ingest.By("")
		if len(words) > 0 {
			way = ingest.By(words[0])
		}
		switch {
		case (way == ingest.ByPath || way == ingest.ByBasic) && len(words) == 1:
			credentials = ingest.Credentials{By: way}
		case (way == ingest.ByHeader || way == ingest.ByHMAC) && len(words) == 2 && headerName.MatchString(words[1]):
			credentials = ingest.Credentials{By: way, Header: http.CanonicalHeaderKey(words[1])}
		default:
			r.errorf(h.in.By.pos, "invalid-value", "by %q is unknown", h.in.By.text).Hint = "write path, basic, header NAME or hmac-sha256 NAME"
			ok = false
		}
	}
	if h.in.Stamp.set() {
		name, isHeader := strings.CutPrefix(h.in.Stamp.text, "header ")
		switch {
		case credentials.By != ingest.ByHMAC:
			r.errorf(h.in.Stamp.pos, "invalid-value", "stamp is signed with the body, so it needs by: hmac-sha256 NAME").Hint = "remove stamp"
			ok = false
		case !isHeader || !headerName.MatchString(name):
			r.errorf(h.in.Stamp.pos, "invalid-value", "stamp %q is unknown", h.in.Stamp.text).Hint = "stamp: header X-Time"
			ok = false
		}
		credentials.Stamp = http.CanonicalHeaderKey(name)
	}
	secret, found := r.hookSecret(owner, h.pos, h.in.Secret, h.in.SecretFile, credentials.By == ingest.ByPath)
	if user, _, pair := strings.Cut(secret.Reveal(), ":"); found && credentials.By == ingest.ByBasic && (!pair || user == "") {
		r.errorf(firstSet(h.in.Secret, h.in.SecretFile).pos, "invalid-value", "the secret of %s is no USER:PASSWORD", owner)
		found = false
	}
	credentials.Secret = secret
	return credentials, ok && found
}

// robots reads the secret of the addresses that robots call.
func (r *reader) robots(p namedPortal) ingest.Credentials {
	if p.Robots.pos.Line == 0 {
		return ingest.Credentials{}
	}
	secret, ok := r.hookSecret("robots of portal "+p.name, p.Robots.pos, p.Robots.Secret, p.Robots.SecretFile, true)
	if !ok {
		return ingest.Credentials{}
	}
	return ingest.Credentials{By: ingest.ByPath, Secret: secret}
}

// hookSecret reads a secret that proves requests. inPath says that it is a part of an
// address.
func (r *reader) hookSecret(owner string, pos diag.Pos, here, file scalar, inPath bool) (bitrix.Secret, bool) {
	text, at, ok := r.secretOf(owner, pos, "secret", here, file)
	switch {
	case !ok:
		return "", false
	case len(text) < minHookSecret:
		r.errorf(at, "invalid-value", "the secret of %s has %d characters, and strangers can guess it", owner, len(text)).Hintf("write at least %d, such as the output of: openssl rand -hex 16", minHookSecret)
		return "", false
	case inPath && !pathSecret.MatchString(text):
		r.errorf(at, "invalid-value", "the secret of %s is a part of an address, and has other characters than letters, digits, - and _", owner)
		return "", false
	}
	return bitrix.Secret(text), true
}

var (
	pathSecret = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	hookName   = regexp.MustCompile(`^[a-z]([a-z0-9_-]{0,62}[a-z0-9_])?$`)
)
