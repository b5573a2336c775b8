package config

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/diag"
)

// readableByOthers warns of a file with a secret that every user of this machine can
// read. Windows has no such bits.
func (r *reader) readableByOthers(pos diag.Pos, path, what string) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o004 == 0 {
		return // a file that cannot be read has its own finding
	}
	r.list.Warnf(pos, "readable-secret", "%s has a secret, and every user of this machine can read it", what).Hintf("chmod o-r %s", path)
}

// literalSecret warns when the configuration itself holds a secret that others can read.
// It warns once for each file.
func (r *reader) literalSecret(s scalar) {
	if s.bad || !s.set() || r.harmless || r.warned[s.pos.File] || strings.TrimSpace(variable.ReplaceAllLiteralString(s.text, "")) == "" {
		return
	}
	path := s.pos.File
	r.warned[path] = true
	r.readableByOthers(s.pos, path, filepath.Base(path))
}

// connection warns of a portal that is called without encryption, or without a check of
// its certificate, although others may be between: only a host of a private network may
// be meant so.
func (r *reader) connection(p namedPortal, pos diag.Pos, address string) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" {
		return // it has its own finding
	}
	public := isPublic(u.Hostname())
	if u.Scheme == "http" && public {
		r.list.Warnf(pos, "plain-http", "portal %s is called over http, so everybody on the way can read its data and our secret", p.name).Hint = "write https://"
	}
	if p.TLS.InsecureSkipVerify && public {
		r.list.Warnf(p.pos, "unchecked-certificate", "portal %s may show any certificate, so everybody on the way can read its data and our secret", p.name).Hint = "remove tls: {insecure_skip_verify: true}"
	}
}

// isPublic reports whether a host is on the internet, as far as its name says. A name
// without a dot is one of a local network.
func isPublic(host string) bool {
	return !private.IsHost(host) && strings.ContainsAny(host, ".:")
}

// isLoopback reports whether an address is one of this machine, as an emulator has.
func isLoopback(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && IsLoopbackHost(u.Hostname())
}

// IsLoopbackHost reports whether the host of an address is this machine only.
func IsLoopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plainAddress warns of an address of another party that is not encrypted.
func (r *reader) plainAddress(s scalar, key string) {
	u, err := url.Parse(s.text)
	if err == nil && u.Scheme == "http" && u.Hostname() != "" && isPublic(u.Hostname()) {
		r.list.Warnf(s.pos, "plain-http", "%s is an http address, so everybody on the way can read what is sent to it", key).Hint = "write https://"
	}
}
