package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// answer is what one command came to.
type answer struct {
	result   any
	absent   bool // the result is missing
	err      *restError
	total    int
	hasTotal bool
	next     int
	time     *php.Array
}

// body is the whole answer of a call that is no batch.
func (a *answer) body() *php.Array {
	if a.err != nil {
		return a.err.body()
	}
	b := php.NewArray()
	if !a.absent {
		b.Set("result", a.result)
	}
	if a.next > 0 {
		b.Set("next", value.FromInt(int64(a.next)))
	}
	if a.hasTotal {
		b.Set("total", value.FromInt(int64(a.total)))
	}
	b.Set("time", a.time)
	return b
}

func (a *answer) status() int {
	if a.err != nil {
		return a.err.status
	}
	return http.StatusOK
}

// timing is the member time of an answer.
func timing(zone *time.Location, start, finish time.Time, operating time.Duration, resetAt time.Time) *php.Array {
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

// writeJSON sends an answer.
func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := php.EncodeJSON(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"INTERNAL_SERVER_ERROR","error_description":"Internal server error"}`)
	}
	writeRaw(w, status, raw)
}

// allowAll lets pages of every site read an answer, as a portal does.
func allowAll(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "origin, content-type, accept")
	h.Set("X-Content-Type-Options", "nosniff")
}

func writeRaw(w http.ResponseWriter, status int, raw []byte) {
	writeAs(w, status, "application/json; charset=utf-8", raw)
}

func writeAs(w http.ResponseWriter, status int, contentType string, raw []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	allowAll(h)
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client may be gone
}
