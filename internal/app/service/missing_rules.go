package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/notes"
)

// ruleWasRemoved is why a window is opened for a rule that is back.
const ruleWasRemoved = "the rule was in no rule file"

// removedNote is the name of the note that a rule of a portal was removed. With the rule "" it starts
// the names for all rules of the portal.
func removedNote(portal, rule string) string { return "removed." + portal + "/" + rule }

// removals notes the rules that were removed from their files, and opens windows for those that are
// back: events of the time between started no run of them. Events for a rule set whose whole file
// is missing are stored, so its rules need no window.
func (k *portalKeeper) removals(ctx context.Context) error {
	c := k.config.Load()
	p := c.Portal(k.portal)
	if c.CatchUp.Off || p == nil || p.Offline {
		return nil
	}
	stored, err := notes.List(ctx, k.queue.Database(), removedNote(k.portal, ""))
	if err != nil {
		return err
	}
	runs := map[string]string{} // by the id of a rule, and by those that it has taken over
	for r := range k.gen.Rules(k.portal) {
		for _, from := range r.From {
			runs[from] = r.ID
		}
		runs[r.ID] = r.ID
	}
	var errs []error
	noted := map[string]bool{}
	for _, n := range stored {
		rule, old := strings.TrimPrefix(n.Name, removedNote(k.portal, "")), time.Since(n.Set) >= removedFor
		if noted[rule] = true; runs[rule] == "" && !old {
			continue
		}
		var err error
		if runs[rule] != "" && !old {
			k.log.Info("a removed rule is back, catching up", slog.String("portal", k.portal), slog.String("rule", runs[rule]), slog.Time("since", n.Set))
			err = catchup.NewWindows(k.queue.Database()).Open(ctx, catchup.Window{Portal: k.portal, Rule: runs[rule], From: n.Set, To: time.Now(), Why: ruleWasRemoved})
		}
		if err == nil {
			err = notes.Delete(ctx, k.queue.Database(), n.Name)
		}
		errs = append(errs, err)
	}
	missing := k.gen.Missing(k.portal)
	for r := range k.before().Rules(k.portal) {
		if runs[r.ID] == "" && !noted[r.ID] && !slices.Contains(missing, r.Set.Name) {
			errs = append(errs, notes.Set(ctx, k.queue.Database(), removedNote(k.portal, r.ID), ""))
		}
	}
	return errors.Join(errs...)
}

// before is the generation before the current one. At a start, it is that of the last process.
func (k *portalKeeper) before() *fleet.Generation {
	if gen := k.owned[k.portal]; gen != nil {
		return gen
	}
	return k.stored()
}

// storedRules returns the rules that ran when the last process ended.
func (k *ruleKeeper) storedRules() *fleet.Generation {
	last, _ := fleet.Last(k.rules.Before, k.config.Load().Portals, k.rules.Actions)
	return last
}
