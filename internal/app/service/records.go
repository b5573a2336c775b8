package service

import (
	"context"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/store"
)

// records says what rules have made in a portal: engine.Records.
type records struct {
	portal string
	rules  *fleet.Generation // with which the run has started
	ledger *ledger.Ledger
	made   *ledger.Entities
}

// recordsOf returns what rules have made in a portal, for a run of rules.
func recordsOf(portal string, rules *fleet.Generation, db store.DB, made *ledger.Entities) engine.Records {
	return records{portal, rules, ledger.New(db), made}
}

// Owners returns the marks of the rules that run.
func (r records) Owners(place string) []engine.Mark {
	var out []engine.Mark
	for rule, inputs := range r.rules.Rules(r.portal) {
		for _, m := range rule.Marks(inputs) {
			if m.Kind == engine.MarkElements && (m.Place == place || m.Place == "") {
				out = append(out, m)
			}
		}
	}
	return out
}

// Recorded returns which records of a place the ledger has.
func (r records) Recorded(ctx context.Context, place string, ids []int) (map[int]bool, error) {
	return r.ledger.Recorded(ctx, r.portal, place, ids)
}

// HasMade reports whether the ledger has a record of a place that a step of a rule has made.
func (r records) HasMade(ctx context.Context, rule, step, place string) (bool, error) {
	return r.ledger.HasMade(ctx, r.portal, rule, step, place)
}

// MadeFor returns what a step of a rule has made for an entity.
func (r records) MadeFor(ctx context.Context, rule, step, place string, e engine.Entity, n int) ([]int, error) {
	return r.made.Made(ctx, r.portal, rule, step, place, e, n)
}
