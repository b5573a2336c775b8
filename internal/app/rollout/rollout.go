// Package rollout compares new versions of rule sets with those that run, and brings them to portals in
// waves.
//
// A Planner says what new versions would write, and Save and ReadPlan keep its plan in a file. NotLive
// and Split find the versions that do not run yet and divide them into waves. An Applying lets serve run
// them, wave by wave, and ends when a wave has failures. With a Planned it also runs the entities of a
// saved plan.
package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/queue"
)

// Change is a version of a rule set for a portal.
type Change struct {
	Portal, Set string
	// Before is the version that runs, "" if none does, and After the one for the portal. They are
	// equal if a version of a saved plan runs already.
	Before, After string
	Rules         []string // of After, by their ids
}

// changeOf is the change of a portal to a version.
func changeOf(portal string, i *fleet.Instance, live live) Change {
	c := Change{Portal: portal, Set: i.Set.Name, Before: live.version(portal, i.Set.Name), After: i.Set.Version}
	for _, r := range i.Set.Rules {
		c.Rules = append(c.Rules, r.ID)
	}
	return c
}

// NotLive returns the versions of a generation that do not run in portals.
func NotLive(ctx context.Context, q *queue.Queue, gen *fleet.Generation, portals []string) ([]Change, error) {
	live, err := readLive(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []Change
	for _, name := range portals {
		for _, i := range gen.Instances(name) {
			if c := changeOf(name, i, live); c.Before != c.After {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// live are the versions that run, by portal and rule set.
type live map[[2]string]fleet.Live

func (l live) version(portal, set string) string { return l[[2]string{portal, set}].Version }

func readLive(ctx context.Context, q *queue.Queue) (live, error) {
	rows, err := fleet.NewStore(q.Database()).List(ctx, "")
	out := live{}
	for _, l := range rows {
		out[[2]string{l.Portal, l.Set}] = l
	}
	return out, err
}

// Wave is a part of a rollout.
type Wave struct {
	Name    string
	Portals []string // sorted
	Changes []Change // in these portals
}

// Split divides changes into waves, which name their portals. A portal is in the first wave that names
// it. Waves without a change are omitted, and so are changes in portals of no wave.
func Split(all []Change, waves []Wave) []Wave {
	var out []Wave
	rest := slices.Clone(all)
	for _, w := range waves {
		here := Wave{Name: w.Name}
		rest = slices.DeleteFunc(rest, func(c Change) bool {
			is := slices.Contains(w.Portals, c.Portal)
			if is {
				here.Changes, here.Portals = append(here.Changes, c), append(here.Portals, c.Portal)
			}
			return is
		})
		slices.Sort(here.Portals)
		if here.Portals = slices.Compact(here.Portals); len(here.Changes) > 0 {
			out = append(out, here)
		}
	}
	return out
}

// orNone names a version, "none" for no version.
func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

// heldPortal says that a portal does not answer at present, "" if it does.
func heldPortal(all []queue.Hold, portal string) string {
	for _, h := range all {
		if h.Portal == portal && h.Rule == "" {
			return fmt.Sprintf("the portal is %s: %s", h.Cause, h.Reason)
		}
	}
	return ""
}
