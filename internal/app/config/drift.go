package config

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Drift configures the comparisons that serve does automatically: where portals differ from what the
// rules would write.
type Drift struct {
	// Every is the time from one comparison to the next, 0 without any.
	Every time.Duration
	// Share is the part of the time in which a portal is read, above 0 and at most 1.
	Share float64
	// Start is when the first comparison of a day starts, in minutes after midnight of the portal's
	// zone. It is negative without one.
	Start int
}

// Ignore is a difference that drift does not count.
type Ignore struct {
	Rule string
	// Record is "element 47:12" or "item 1038:7".
	Record string
	// Field is the field that may differ; "" are all.
	Field  string
	Reason string
	// Until is the end of its last day.
	Until time.Time
	Pos   diag.Pos
}

type driftFile struct {
	Every duration `yaml:"every" validate:"omitempty,min=1h" doc:"how often the rules are compared with each portal, without writing; without it never" example:"24h"`
	Share scalar   `yaml:"share" default:"10%" doc:"the part of the time in which a comparison reads a portal"`
	Start scalar   `yaml:"start" doc:"the time of the day, in the zone of the portal, from which every is counted" example:"\"02:00\""`
}

type ignoreFile struct {
	Rule   scalar `yaml:"rule" doc:"the rule" example:"deal-shipments"`
	Record scalar `yaml:"thing" doc:"the record, as drift prints it" example:"element 47:12"`
	Field  scalar `yaml:"field" doc:"the field, as drift prints it; all without it" example:"SUM"`
	Reason scalar `yaml:"reason" doc:"why it may differ" example:"agreed with the customer"`
	Until  scalar `yaml:"until" doc:"the last day" example:"\"2027-01-31\""`
}

// ignores is the list of a portal.
type ignores struct{ all []ignoreBlock }

type ignoreBlock struct {
	block
	ignoreFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (i *ignores) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	const example = "{rule: deal-shipments, thing: element 47:12, field: SUM, reason: agreed, until: 2027-01-31}"
	list := yamlfile.Resolve(n)
	if list.Kind != yaml.SequenceNode {
		return wrongType(f.Pos(n), "want a list such as ["+example+"]")
	}
	var found diag.List
	for _, item := range list.Content {
		var one ignoreBlock
		found.Add(one.decode(f, item, &one.ignoreFile, example)...)
		i.all = append(i.all, one)
	}
	return found
}

// NodeSchema implements yamlfile.NodeSchema.
func (i *ignores) NodeSchema() yamlfile.Schema {
	return yamlfile.ListSchema(yamlfile.SchemaFor[ignoreFile]())
}

// drift reads the comparisons that serve does.
func (r *reader) drift(in driftFile) Drift {
	out := Drift{Every: in.Every, Share: 0.1, Start: -1}
	if in.Share.set() {
		n, err := strconv.ParseFloat(strings.TrimSuffix(in.Share.text, "%"), 64)
		if err != nil || !strings.HasSuffix(in.Share.text, "%") || !(n > 0 && n <= 100) {
			r.errorf(in.Share.pos, "invalid-value", "drift: share %q is no part of the time", in.Share.text).Hint = "write more than 0% and at most 100%, such as 10%"
		}
		out.Share = n / 100
	}
	if in.Start.set() {
		out.Start = r.timeOfDay("drift: start", in.Start)
	}
	if in.Every == 0 && (in.Share.set() || in.Start.set()) {
		r.errorf(firstSet(in.Share, in.Start).pos, "missing-key", "drift has no every, so nothing is compared").Hint = "add every: 24h"
	}
	return out
}

// ignores reads the differences of a portal that drift does not count.
func (r *reader) ignores(in ignores, now time.Time) []Ignore {
	var out []Ignore
	for _, one := range in.all {
		if one.bad {
			continue
		}
		for _, key := range []struct {
			name string
			in   scalar
		}{{"rule", one.Rule}, {"thing", one.Record}, {"reason", one.Reason}, {"until", one.Until}} {
			if key.in.pos.Line == 0 || key.in.set() && strings.TrimSpace(key.in.text) == "" {
				r.errorf(cmp.Or(key.in.pos, one.pos), "missing-key", "ignore needs %s", key.name).Hint = "ignore: [{rule: deal-shipments, thing: element 47:12, field: SUM, reason: agreed with the customer, until: 2027-01-31}]"
			}
		}
		i := Ignore{Rule: one.Rule.text, Record: strings.Join(strings.Fields(one.Record.text), " "), Field: one.Field.text, Reason: one.Reason.text, Pos: one.pos}
		if one.Record.set() && i.Record != "" {
			kind, ids, ok := strings.Cut(i.Record, " ")
			place, id, both := strings.Cut(ids, ":")
			if !ok || !both || !digits(place) || !digits(id) || kind != "element" && kind != "item" {
				r.errorf(one.Record.pos, "invalid-value", "ignore: thing %q is no record", one.Record.text).Hint = "write it as drift prints it: element 47:12, or item 1038:7"
			}
		}
		if one.Until.set() && one.Until.text != "" {
			day, err := time.ParseInLocation(time.DateOnly, one.Until.text, now.Location())
			i.Until = day.AddDate(0, 0, 1)
			switch {
			case err != nil:
				r.errorf(one.Until.pos, "invalid-value", "ignore: until %q is no day", one.Until.text).Hint = "write it like 2027-01-31"
			case !i.Until.After(now):
				r.list.Warnf(one.Until.pos, "expired-ignore", "the difference of %s is counted again since %s", i.Record, i.Until.Format(time.DateOnly)).
					Hint = "remove it from ignore, or agree on another day"
			}
		}
		out = append(out, i)
	}
	return out
}

// digits reports whether a text is a number as ids are written.
func digits(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && strconv.Itoa(n) == s
}

// Ignores returns the entries of a portal that hold at a time.
func (p Portal) Ignores(now time.Time) []Ignore {
	var out []Ignore
	for _, i := range p.Ignore {
		if i.Until.After(now) {
			out = append(out, i)
		}
	}
	return out
}
