package engine

import (
	"context"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// Schedule starts runs of a rule at times.
type Schedule struct {
	Cron *datetime.Cron
	// Zone is the time zone of the schedule; nil is that of the portal.
	Zone *time.Location
	// Filter chooses the entities; nil takes all. A rule about the portal has none.
	Filter *FieldsValue

	Node *yaml.Node
}

// Next returns the first tick after a time. zone is that of the portal; nil is UTC.
func (s Schedule) Next(after time.Time, zone *time.Location) time.Time {
	return s.Cron.Next(after, s.In(zone))
}

// In returns the zone of the schedule in a portal with a zone.
func (s Schedule) In(zone *time.Location) *time.Location {
	switch {
	case s.Zone != nil:
		return s.Zone
	case zone != nil:
		return zone
	}
	return time.UTC
}

// String returns the schedule as the file has it, and its zone if the file has one.
func (s Schedule) String() string {
	if s.Zone != nil {
		return s.Cron.String() + " " + s.Zone.String()
	}
	return s.Cron.String()
}

// FilterAt computes the filter for a tick, as a listing of the portal takes it.
func (s Schedule) FilterAt(ctx context.Context, portal string, tick time.Time, inputs map[string]any) (map[string]any, error) {
	if s.Filter == nil {
		return nil, nil
	}
	sc := Scope{
		Vars:    map[string]any{NameEvent: map[string]any{"portal": portal, "time": tick}, NameInputs: inputs},
		Machine: formula.NewMachine(ctx),
	}
	fields, err := s.Filter.Eval(ctx, sc)
	if err != nil {
		return nil, err
	}
	out, _ := plainFilter(fields.Map()).(map[string]any)
	return out, nil
}

// plainFilter writes times as text, for JSON.
func plainFilter(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = plainFilter(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = plainFilter(e)
		}
		return out
	case time.Time:
		return datetime.Text(x)
	case num.Num:
		return x.String()
	}
	return v
}
