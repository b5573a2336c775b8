package report

import (
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/cause"
)

// Known is what the configuration says about the things that a text names. The zero
// value knows nothing.
type Known struct {
	Portals map[string]KnownPortal
}

// KnownPortal is a portal of the configuration.
type KnownPortal struct {
	Zone  *time.Location // nil means the zone of this machine
	Place string         // in the configuration, such as b24rules.yaml:12
}

// KnownOf is what a configuration says about portals.
func KnownOf(c *config.Config) Known {
	k := Known{Portals: map[string]KnownPortal{}}
	for _, p := range c.Portals {
		k.Portals[p.Name] = KnownPortal{Zone: p.Zone, Place: fmt.Sprintf("%s:%d", p.Pos.File, p.Pos.Line)}
	}
	return k
}

// zone is the zone in which the times of a portal are printed.
func (k Known) zone(portal string) *time.Location {
	if zone := k.Portals[portal].Zone; zone != nil {
		return zone
	}
	return time.Local
}

// Zone is the zone of portals if they all have the same. Without portals it is the zone
// of all portals of the configuration.
func (k Known) Zone(portals ...string) (zone *time.Location, same bool) {
	if len(portals) == 0 {
		for name := range k.Portals {
			portals = append(portals, name)
		}
	}
	for _, name := range portals {
		next := k.zone(name)
		if zone != nil && next.String() != zone.String() {
			return time.Local, false
		}
		zone = next
	}
	if zone == nil {
		zone = time.Local
	}
	return zone, true
}

// where says which files and portal a recommendation names. place is the place in the
// rule file.
func (k Known) where(portal, place string) cause.Where {
	return cause.Where{Portal: portal, Config: k.Portals[portal].Place, Rule: place}
}

func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.Local()
	}
	return t.In(zone)
}

// ZoneName names the zone of a time: Europe/Moscow, or UTC+3 if the zone is that of this
// machine.
func ZoneName(t time.Time) string {
	if name := t.Location().String(); name != "Local" {
		return name
	}
	if _, offset := t.Zone(); offset != 0 {
		return t.Format("UTC-07:00")
	}
	return "UTC"
}
