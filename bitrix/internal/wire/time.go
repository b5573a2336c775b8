package wire

import (
	"encoding/json"
	"time"
)

// Time is the part of an answer's time that says how much its method has been used.
// Source: https://apidocs.bitrix24.com/limits.html
type Time struct {
	// Known is false when the answer does not say it, or says it in another form: the
	// limit of the portal then applies without our help.
	Known bool
	// Used is the working time of the method in the last ten minutes.
	Used time.Duration
	// ResetIn is the time until some of it is forgotten, 0 when unknown.
	ResetIn time.Duration
}

// operatingWindow is what operating adds up; no reset is further away.
const operatingWindow = 10 * time.Minute

// DecodeTime reads an answer's time, which may be missing or [].
func DecodeTime(data json.RawMessage) Time {
	var raw struct {
		Operating json.RawMessage `json:"operating"`
		ResetAt   json.RawMessage `json:"operating_reset_at"`
		Finish    json.RawMessage `json:"finish"`
	}
	if json.Unmarshal(data, &raw) != nil {
		return Time{}
	}
	used, ok := Float(raw.Operating)
	if !ok || used < 0 {
		return Time{}
	}
	t := Time{Known: true, Used: seconds(used)}
	if reset, ok := Float(raw.ResetAt); ok && reset > 0 {
		// The portal's clock need not be ours.
		now, ok := Float(raw.Finish)
		if !ok || now <= 0 {
			now = float64(time.Now().UnixNano()) / 1e9
		}
		t.ResetIn = min(max(0, seconds(reset-now)), operatingWindow)
	}
	return t
}

func seconds(f float64) time.Duration {
	return time.Duration(min(max(f, -1e6), 1e6) * float64(time.Second))
}
