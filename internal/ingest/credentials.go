package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// By says how a request of another system shows the secret of its hook.
type By string

// The ways of By.
const (
	ByPath   By = "path"        // the address ends with the secret
	ByHeader By = "header"      // a header has the secret as its value
	ByBasic  By = "basic"       // HTTP basic authentication; the secret is USER:PASSWORD
	ByHMAC   By = "hmac-sha256" // a header has the HMAC of the body
)

// MaxAge is how much the time of a signed request may differ from ours.
const MaxAge = 5 * time.Minute

// Credentials recognises the requests of another system. The zero value recognises none.
type Credentials struct {
	By     By
	Header string // of ByHeader and ByHMAC
	Secret bitrix.Secret
	// Stamp is a header with the time of the request as seconds since 1970, which is
	// signed, too: the HMAC is that of the time, a dot and the body. "" for none.
	Stamp string
}

// proves reports whether a request has the secret. last is the part of the path after the
// name of the hook. It compares in constant time.
func (c Credentials) proves(r *http.Request, last string, body []byte, now time.Time) bool {
	secret := DigestOf(c.Secret)
	switch c.By {
	case ByPath:
		return secret.proves(bitrix.Secret(last))
	case ByHeader:
		value, ok := oneHeader(r, c.Header)
		return ok && secret.proves(bitrix.Secret(value))
	case ByBasic:
		user, password, ok := r.BasicAuth()
		return ok && secret.proves(bitrix.Secret(user+":"+password))
	case ByHMAC:
		return c.Secret != "" && c.signed(r, body, now)
	}
	return false
}

// expected says where the secret is expected.
func (c Credentials) expected() string {
	switch {
	case c.Secret == "":
		return ": it has no secret"
	case c.By == ByPath:
		return ": want the secret at the end of the address"
	case c.By == ByBasic:
		return ": want the secret as user and password"
	case c.By == ByHMAC && c.Stamp != "":
		return ": want the HMAC of the time, a dot and the body in the header " + c.Header + ", and a time of the last five minutes in " + c.Stamp
	case c.By == ByHMAC:
		return ": want the HMAC of the body in the header " + c.Header
	}
	return ": want the secret in the header " + c.Header
}

func (c Credentials) signed(r *http.Request, body []byte, now time.Time) bool {
	value, ok := oneHeader(r, c.Header)
	if !ok {
		return false
	}
	mac := hmac.New(sha256.New, []byte(c.Secret.Reveal()))
	if c.Stamp != "" {
		stamp, ok := oneHeader(r, c.Stamp)
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if !ok || err != nil || seconds < 0 || seconds > 1<<40 || now.Sub(time.Unix(seconds, 0)).Abs() > MaxAge {
			return false
		}
		mac.Write([]byte(stamp + "."))
	}
	mac.Write(body)
	got, ok := signature(value)
	return ok && hmac.Equal(got, mac.Sum(nil))
}

// signature decodes an HMAC: hexadecimal digits or base64, with sha256= before it or not.
func signature(text string) ([]byte, bool) {
	text = strings.TrimPrefix(text, "sha256=")
	if b, err := hex.DecodeString(text); err == nil && len(b) == sha256.Size {
		return b, true
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(text); err == nil && len(b) == sha256.Size {
			return b, true
		}
	}
	return nil, false
}

// oneHeader returns the value of a header that a request has exactly once.
func oneHeader(r *http.Request, name string) (string, bool) {
	all := r.Header.Values(name)
	if len(all) != 1 {
		return "", false
	}
	return strings.TrimSpace(all[0]), true
}
