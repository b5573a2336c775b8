package report

import (
	"cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
)

// Changes returns what an attempt has written, before and after, for each of its steps. It
// knows as much as the record has.
func Changes(r *history.Record) [][]dryrun.Change {
	out := make([][]dryrun.Change, len(r.Steps))
	var sent []dryrun.Sent
	add := func(step string, all []history.CommandRecord) {
		for _, c := range all {
			if c.Error == "" && (c.Params != nil || !c.Write) {
				sent = append(sent, dryrun.Sent{Step: step, Call: bitrix.Call{Method: c.Method, Params: dryrun.ParamsOf(c.Params)}, Write: c.Write, Result: c.Result})
			}
		}
	}
	add("", r.Commands)
	at := map[string]int{}
	for i, s := range r.Steps {
		add(s.Step, s.Commands)
		at[s.Step] = i
	}
	codes := propertyCodes(r)
	for _, c := range dryrun.Recorded(sent) {
		for i, f := range c.Fields {
			c.Fields[i].Name = cmp.Or(codes[f.Name], f.Name)
		}
		if i, ok := at[c.Step]; ok {
			out[i] = append(out[i], c)
		}
	}
	return out
}

// propertyCodes are the codes of properties, by the names that the portal gives them. Rules name
// properties by their codes.
func propertyCodes(r *history.Record) map[string]string {
	codes := map[string]string{}
	for _, fields := range r.Lists {
		for _, f := range fields {
			if f.Code != "" {
				codes[f.Name] = f.Code
			}
		}
	}
	return codes
}
