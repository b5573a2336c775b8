package rest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Answer is what one command came to.
type Answer struct {
	Result   any
	Absent   bool // the result is missing
	Err      *Error
	Total    int
	HasTotal bool
	Next     int
	Time     *php.Array
}

// Body is the whole answer of a call that is no batch.
func (a *Answer) Body() *php.Array {
	if a.Err != nil {
		return a.Err.Body()
	}
	b := php.NewArray()
	if !a.Absent {
		b.Set("result", a.Result)
	}
	if a.Next > 0 {
		b.Set("next", value.FromInt(int64(a.Next)))
	}
	if a.HasTotal {
		b.Set("total", value.FromInt(int64(a.Total)))
	}
	b.Set("time", a.Time)
	return b
}

func (a *Answer) Status() int {
	if a.Err != nil {
		return a.Err.Status
	}
	return http.StatusOK
}

// Timing is the member time of an answer.
func Timing(zone *time.Location, start, finish time.Time, operating time.Duration, resetAt time.Time) *php.Array {
	duration := finish.Sub(start)
	return value.Object(
		"start", seconds(start), "finish", seconds(finish),
		"duration", float(duration.Seconds()), "processing", float(duration.Seconds()),
		"date_start", start.In(zone).Format(time.RFC3339), "date_finish", finish.In(zone).Format(time.RFC3339),
		"operating_reset_at", resetAt.Unix(), "operating", float(operating.Seconds()),
	)
}

// seconds is a moment as PHP's microtime(true) prints it.
func seconds(t time.Time) json.Number { return float(float64(t.UnixMicro()) / 1e6) }

func float(f float64) json.Number { return json.Number(strconv.FormatFloat(f, 'f', -1, 64)) }

// WriteJSON sends an answer.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	raw, err := php.EncodeJSON(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"INTERNAL_SERVER_ERROR","error_description":"Internal server error"}`)
	}
	WriteRaw(w, status, raw)
}

// AllowAll lets pages of every site read an answer, as a portal does.
func AllowAll(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "origin, content-type, accept")
	h.Set("X-Content-Type-Options", "nosniff")
}

func WriteRaw(w http.ResponseWriter, status int, raw []byte) {
	WriteAs(w, status, "application/json; charset=utf-8", raw)
}

func WriteAs(w http.ResponseWriter, status int, contentType string, raw []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	AllowAll(h)
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client may be gone
}
