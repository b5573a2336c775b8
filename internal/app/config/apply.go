package config

import (
	"cmp"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/diag"
)

// Apply configures how new versions of rule sets come to portals.
type Apply struct {
	// Waves are tags of portals, in their order; the last one may be AllPortals. Without any,
	// all portals are one wave.
	Waves []string
	// Bake is how long each wave is watched before the next one.
	Bake time.Duration
	// Halt is how many parked runs a wave may have.
	Halt int
}

// AllPortals is the wave, and the value of --portal, with all portals.
const AllPortals = "all"

type applyFile struct {
	Waves scalars  `yaml:"waves" doc:"tags of portals, the first wave first; all is each portal" example:"[canary, all]"`
	Bake  duration `yaml:"bake" validate:"omitempty,min=1s" default:"30m" doc:"how long a wave is watched before the next one"`
	Halt  *int     `yaml:"halt" validate:"omitempty,min=0" default:"1" doc:"how many runs of the changed rules may be parked in a wave; more of them, or a hold, end apply"`
}

// apply reads the waves. Each has a portal.
func (r *reader) apply(in applyFile, portals []Portal) Apply {
	out := Apply{Bake: cmp.Or(in.Bake, 30*time.Minute), Halt: 1}
	if in.Halt != nil {
		out.Halt = *in.Halt
	}
	var tags []string
	for _, p := range portals {
		tags = append(tags, p.Tags...)
	}
	for _, s := range in.Waves.all {
		out.Waves = append(out.Waves, s.text)
		if s.text == AllPortals || slices.Contains(tags, s.text) {
			continue
		}
		f := r.errorf(s.pos, "invalid-value", "apply: no portal has the tag %q", s.text)
		f.Hint = "add it to the tags of a portal, or write all"
		if near := diag.Closest(s.text, tags); near != "" {
			f.Hint = "did you mean " + near + "?"
		}
	}
	return out
}
