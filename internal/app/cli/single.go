package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/queue"
)

// single is what plan and run have in common: rules for one entity of a portal.
type single struct {
	config, rule, portal, entity string
	deleted                      bool
	rehearsal                    bool     // nothing is written, neither to the portal nor to the database
	files                        []string // in place of the configured rules
}

func (s *single) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.config, "config", config.DefaultFile, "read the configuration from `FILE`")
	fs.StringVar(&s.rule, "rule", "", "only the rule `ID`; without it all rules that hear of such an entity")
	fs.StringVar(&s.portal, "portal", "", "the portal `NAME`; not needed when there is one")
	fs.StringVar(&s.entity, "entity", "", "the `ENTITY`: deal:759, smart_invoice:7 or item:31:7")
	fs.BoolVar(&s.deleted, "deleted", false, "as if the portal had said that the entity is deleted; whether it is, is looked up")
}

// target is one rule to run for an entity.
type target struct {
	rule   *engine.Rule
	inputs map[string]any
	entity engine.Entity
	event  engine.Event
}

// open reads the configuration and the rules, and opens the app. The caller
// calls done.
func (s *single) open(ctx context.Context, env environment) (a *app, targets []target, done func(), err error) {
	if s.entity == "" {
		return nil, nil, nil, usagef("which entity? --entity deal:759")
	}
	entity, err := parseEntity(s.entity)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := loadConfig(env, s.config)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.portal, err = onePortal(c, s.portal); err != nil {
		return nil, nil, nil, err
	}
	c.Only = s.portal
	if len(s.files) > 0 {
		c.Rules, c.RulesAt = s.files, nil
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return nil, nil, nil, err
	}
	if targets, err = s.targets(gen, entity); err != nil || len(targets) == 0 {
		return nil, nil, nil, s.without(env, gen, err)
	}
	forget := func() {}
	if s.rehearsal {
		if forget, err = temporaryDatabase(c); err != nil {
			return nil, nil, nil, err
		}
	}
	if a, err = newApp(ctx, c, rules, warnings(env)); err != nil {
		forget()
		return nil, nil, nil, err
	}
	return a, targets, func() { a.close(); forget() }, nil
}

// temporaryDatabase gives a configuration whose database serve has not made yet
// one that forget removes.
func temporaryDatabase(c *config.Config) (forget func(), err error) {
	file, ok := strings.CutPrefix(c.Database, "sqlite:")
	if _, statErr := os.Stat(file); !ok || !errors.Is(statErr, fs.ErrNotExist) {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "b24rules")
	if err != nil {
		return nil, err
	}
	c.Database = "sqlite:" + filepath.Join(dir, "none.db")
	return func() { _ = os.RemoveAll(dir) }, nil
}

// targets are the rules for the entity.
func (s *single) targets(gen *generation, entity engine.Entity) ([]target, error) {
	var out []target
	for _, set := range gen.sets {
		inputs, ok := set.inputs[s.portal]
		if !ok {
			continue
		}
		for _, r := range set.set.Rules {
			if !servesPortal(r, s.portal) {
				continue
			}
			if s.rule != "" && s.rule != r.ID {
				continue
			}
			code, ok := hearsOf(r, entity, s.deleted)
			if !ok && s.rule == "" {
				continue
			}
			if !ok {
				return nil, usagef("rule %s does not hear of %s: it hears %s", r.ID, entity, heard(r))
			}
			data := map[string]any{"ID": entity.ID}
			if entity.Kind == "item" {
				data["ENTITY_TYPE_ID"] = fmt.Sprint(entity.TypeID)
			}
			out = append(out, target{rule: r, inputs: inputs, entity: entity, event: engine.Event{
				Code: code, Data: map[string]any{"FIELDS": data}, Time: time.Now().Truncate(time.Second),
			}})
		}
	}
	if len(out) == 0 && s.rule != "" {
		return nil, gen.checkRule(s.rule, s.portal)
	}
	return out, nil
}

// hearsOf reports whether a rule hears events of such an entity, and of which
// code the one would be that asks for the run.
func hearsOf(r *engine.Rule, e engine.Entity, deleted bool) (code string, ok bool) {
	for _, t := range r.Triggers {
		if !isAbout(t, e) {
			continue
		}
		if code == "" || t.Op == "update" && !deleted || t.Op == "delete" && deleted {
			code = t.Code
		}
	}
	return code, code != ""
}

func isAbout(t engine.Trigger, e engine.Entity) bool {
	switch t.Entity {
	case "item":
		return e.Kind == "item" && (t.EntityTypeID == 0 || t.EntityTypeID == e.TypeID)
	case "":
		return strings.EqualFold(strings.TrimSuffix(t.Code, strings.ToUpper(t.Op)), e.Kind)
	}
	return t.Entity == e.Kind
}

func heard(r *engine.Rule) string {
	codes := make([]string, len(r.Triggers))
	for i, t := range r.Triggers {
		codes[i] = t.Code
	}
	return strings.Join(codes, ", ")
}

// without says why there is nothing to run: findings of broken files first.
func (s *single) without(env environment, gen *generation, err error) error {
	if all := gen.findings(); len(all) > 0 {
		if told := tell(env, all); !errors.Is(told, errFindings) || err == nil {
			return told
		}
		return err
	}
	if err != nil {
		return err
	}
	return usagef("no rule of portal %s hears of %s", s.portal, s.entity)
}

// planRun is a run of a target, to be made a dry one.
func (a *app) planRun(p *portal, t target, deleted bool) run.Run {
	return run.Run{
		Portal: p.name, Client: p.client, Entity: t.entity, Event: t.event, Count: 1, Deleted: deleted,
		Attempt: 1, LastAttempt: true, Inputs: t.inputs, Zone: p.zone,
		Memory: remembered{a.queue, p.name, t.rule.ID, t.entity.String()},
	}
}

// remembered is the memory of real runs, to be read.
type remembered struct {
	q                    *queue.Queue
	portal, rule, entity string
}

// Once returns what the last successful run has left.
func (m remembered) Once(ctx context.Context, step string) (string, bool, error) {
	return m.q.Once(ctx, m.portal, m.rule, m.entity, step)
}

// SetOnce, Done and MarkDone are never reached: a rehearsal remembers nothing.
func (remembered) SetOnce(string, string) {}

// Done is false.
func (remembered) Done(context.Context, string) (bool, error) { return false, nil }

// MarkDone does nothing.
func (remembered) MarkDone(context.Context, string) error { return nil }
