package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/database"
)

// database returns the DSN of the queue. Findings do not repeat it, because it may
// hold a password.
func (r *reader) database(in *layout) string {
	here, file := in.Database, in.DatabaseFile
	text, pos := "sqlite:b24rules.db", here.pos
	ok := true
	switch {
	case here.bad || file.bad || in.DatabasePasswordFile.bad:
		return ""
	case here.set() && file.set():
		r.errorf(file.pos, "duplicate-key", "both database and database_file").Hint = "remove one of them"
		return ""
	case file.set():
		pos = file.pos
		text, ok = r.secretFile(file, "database")
	case here.set():
		text, ok = r.expandURL(here)
		if databasePassword(here.text) != "" {
			r.literalSecret(scalar{text: databasePassword(here.text).Reveal(), pos: here.pos})
		}
	}
	if !ok {
		return ""
	}
	if path, sqlite := strings.CutPrefix(text, "sqlite:"); sqlite && path != "" {
		if in.DatabasePasswordFile.set() {
			r.errorf(in.DatabasePasswordFile.pos, "invalid-value", "an SQLite database has no password").Hint = "remove database_password_file"
		}
		if filepath.IsAbs(path) {
			return "sqlite:" + filepath.Clean(path)
		}
		return "sqlite:" + filepath.Join(filepath.Dir(r.file.Pos(r.file.Root).File), path)
	}
	if in.DatabasePasswordFile.set() {
		if text, ok = r.withPassword(text, in.DatabasePasswordFile); !ok {
			return ""
		}
	}
	if err := database.CheckDSN(text); err != nil {
		f := r.errorf(pos, "invalid-value", "%v", err)
		if !strings.HasPrefix(text, "postgres") {
			f.Hint = "database: sqlite:b24rules.db"
		}
		return ""
	}
	return text
}

// expandURL replaces variables of the environment. Before the host of a URL it escapes
// them, because a password may hold any character.
func (r *reader) expandURL(s scalar) (string, bool) {
	at := strings.LastIndexByte(s.text, '@')
	if !strings.HasPrefix(s.text, "postgres") || at < 0 {
		return r.expand(s)
	}
	head, ok := r.expandWith(scalar{text: s.text[:at], pos: s.pos}, userinfo)
	tail, okTail := r.expand(scalar{text: s.text[at:], pos: s.pos})
	return head + tail, ok && okTail
}

// userinfo escapes a text for the user information of a URL.
func userinfo(text string) string { return url.User(text).String() }

// withPassword puts the password of a file into a URL.
func (r *reader) withPassword(dsn string, file scalar) (string, bool) {
	password, ok := r.secretFile(file, "database_password")
	if !ok {
		return "", false
	}
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil {
		r.errorf(file.pos, "invalid-value", "the database names no user for the password").Hint = "database: postgres://USER@HOST/NAME"
		return "", false
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), true
}

// databasePassword returns the password of a DSN.
func databasePassword(dsn string) bitrix.Secret {
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return bitrix.Secret(password)
}
