package compile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// readSchedule reads {schedule: "0 9 * * mon-fri", zone: Europe/Moscow, filter: {…}}. The
// filter is compiled when the names of the rule are known.
func (c *ruleCompiler) readSchedule(r *engine.Rule, n *yaml.Node, m yamlfile.Mapping) {
	c.keys(m, diag.Phrasef("a schedule"), keyNames(scheduleKeys)...)
	s := engine.Schedule{Node: n}
	good := true
	if e, ok := m.Get("schedule"); ok {
		v := yamlfile.Resolve(e.Value)
		cron, err := datetime.ParseCron(v.Value)
		switch {
		case v.Kind != yaml.ScalarNode:
			c.Errorf(v, "wrong-type", "schedule takes text").Hint = `schedule: "0 9 * * mon-fri"`
		case err != nil:
			c.Errorf(v, "invalid-value", "%s", err).Hint = `schedule: "0 9 * * mon-fri" for 9:00 on working days`
		}
		good, s.Cron = err == nil, cron
	}
	if e, ok := m.Get("zone"); ok {
		zone, err := datetime.Zone(yamlfile.Resolve(e.Value).Value)
		if err != nil {
			c.Errorf(e.Value, "invalid-value", "%s", err)
			good = false
		}
		s.Zone = zone
	}
	if good && s.Cron != nil {
		r.Schedules = append(r.Schedules, s)
	}
}

// scheduleFilters compiles the filters of the schedules, which read event.portal,
// event.time and inputs.
func (c *sourceCompiler) scheduleFilters(r *engine.Rule) {
	if len(r.Schedules) == 0 {
		return
	}
	env := formula.Env{Vars: map[string]formula.Type{
		engine.NameInputs: c.inputs,
		engine.NameEvent:  formula.RecordOf(map[string]formula.Type{"portal": {Kind: formula.String}, "time": {Kind: formula.Time}}),
	}, Later: map[string]string{engine.NameVars: "is not known in the filter of a schedule: use inputs"}}
	about, ok := r.Subject()
	for i, s := range r.Schedules {
		m, _ := c.mapping(s.Node)
		f, has := m.Get("filter")
		switch {
		case !ok:
			c.Errorf(s.Node, "invalid-value", "the events of the rule are about several kinds of entities, so a schedule cannot tell which ones it is for").Hint = "add about: deal"
		case has && about.Portal:
			c.Errorf(f.Key, "invalid-value", "a rule about the portal has no entities to filter").Hint = "remove filter, or add about: deal"
		case has && c.wantMapping(f.Value, diag.Phrasef("filter takes names and values"), "filter: {stageSemanticId: P}"):
			r.Schedules[i].Filter = c.fields(f.Value, wantAny, env)
			c.checkFilter(r, r.Schedules[i], f, about.TypeID)
		}
	}
}

// checkFilter checks the fields of a filter as the action that lists items does.
func (c *sourceCompiler) checkFilter(r *engine.Rule, s engine.Schedule, f yamlfile.Entry, typeID int) {
	i := slices.IndexFunc(c.set.Actions, func(a *engine.Action) bool { return a.CheckFilter != nil })
	if i < 0 || s.Filter == nil {
		return
	}
	types := engine.NewArgTypes()
	types.Knowing(c.known, r)
	types.Add("entityTypeId", &engine.Argument{Value: &engine.Value{File: c.file, Node: s.Node, Literal: num.FromInt(int64(typeID))}})
	types.Add("filter", &engine.Argument{Key: f.Key, Fields: s.Filter, Type: recordType(s.Filter)})
	c.set.Actions[i].CheckFilter(engine.NewStepCheck(c, r, &engine.Step{Action: c.set.Actions[i], Verb: f.Key, Types: types}, nil, false))
}
