package dryrun

import (
	"encoding/json"
	"maps"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// Sent is a command that a run has sent, from its record.
type Sent struct {
	Step  string
	Call  bitrix.Call
	Write bool
	// Result is the answer, or the list of rows of a listing. It is nil if the record does not
	// have it.
	Result json.RawMessage
}

// Recorded returns the writes of a run that is over as differences: with the records as the run
// had read them. It is the differ of Changes, without further reads. A value before that the
// record does not have is nil.
func Recorded(sent []Sent) []Change {
	var r Run
	var out []Change
	before := map[record]map[string]any{}
	for _, s := range sent {
		if !s.Write {
			for of, fields := range knownOf([]seenRead{{call: s.Call, rows: rowsOfRecord(s)}}) {
				whole := maps.Clone(before[of])
				if whole == nil {
					whole = map[string]any{}
				}
				maps.Copy(whole, fields)
				before[of] = whole
			}
			continue
		}
		w := Write{Step: s.Step, Call: s.Call, record: recordOf(s.Call)}
		out = append(out, r.change(w, before[w.record]))
		if s.Call.Method == "crm.item.update" {
			before[w.record] = patched(before[w.record], s.Call)
		}
	}
	return out
}

func rowsOfRecord(s Sent) []json.RawMessage {
	var rows []json.RawMessage
	if json.Unmarshal(s.Result, &rows) == nil {
		return rows
	}
	return rowsOf(s.Call.Method, s.Result)
}

// ParamsOf returns the parameters of a recorded command, nil if the record does not have them.
func ParamsOf(recorded json.RawMessage) map[string]any {
	v, err := formula.FromJSON(recorded)
	if err != nil {
		return nil
	}
	params, _ := v.(map[string]any)
	return params
}
