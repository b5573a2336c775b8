// Package dump logs the traffic of portals in full and without secrets: events, requests
// and answers.
package dump

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/internal/redact"
)

// Dump logs the traffic of portals. A nil Dump logs nothing. It is safe for concurrent
// use.
type Dump struct {
	log      *slog.Logger
	hide     *redact.Redactor
	requests atomic.Int64 // the number of the last request
}

// New returns a dump to log. Its records have the level info.
func New(log *slog.Logger, hide *redact.Redactor) *Dump { return &Dump{log: log, hide: hide} }

// Event dumps the form of an event. It does nothing for nil.
func (d *Dump) Event(portal string, form []byte) {
	if d != nil {
		d.log.LogAttrs(context.Background(), slog.LevelInfo, "event", slog.String("portal", portal), d.form("form", string(form)))
	}
}

// form returns an attribute with a form or a query as JSON.
func (d *Dump) form(name, text string) slog.Attr {
	form, err := php.ParseStr(text, formLimits)
	if err != nil {
		return d.text(name, text)
	}
	data, err := php.EncodeJSON(form)
	if err != nil {
		return d.text(name, text)
	}
	return d.json(name, data)
}

// body returns an attribute with JSON, or with text if it is not JSON.
func (d *Dump) body(name string, body []byte) slog.Attr {
	if json.Valid(body) {
		return d.json(name, body)
	}
	return d.text(name, string(body))
}

func (d *Dump) text(name, text string) slog.Attr {
	return slog.String(name, d.hide.Text(strings.ToValidUTF8(text, "\uFFFD")))
}

// json returns an attribute with JSON.
func (d *Dump) json(name string, data []byte) slog.Attr {
	return slog.Any(name, json.RawMessage(d.hide.JSON(bytes.Clone(data))))
}

// formLimits allow queries of batch commands, which may be long.
var formLimits = php.Limits{Values: 1 << 20, KeyBytes: 1 << 16}
