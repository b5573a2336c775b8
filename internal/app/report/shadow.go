package report

import (
	"fmt"
	"io"

	"github.com/b24rules/b24rules/internal/shadow"
)

// ShadowPortal is what the shadow mode has found in one portal.
type ShadowPortal struct {
	Portal string `json:"portal"`
	// Mode is shadow or live: results stay after a change to live mode.
	Mode  string           `json:"mode"`
	Rules []*shadow.Result `json:"rules"`
}

// Differs reports whether an entity differs now or could not be compared.
func (p ShadowPortal) Differs() bool {
	for _, r := range p.Rules {
		if r.Differing > 0 {
			return true
		}
	}
	return false
}

// Complete reports whether each rule was compared at least once.
func (p ShadowPortal) Complete() bool {
	for _, r := range p.Rules {
		if r.Compared == 0 {
			return false
		}
	}
	return len(p.Rules) > 0
}

// WriteShadow prints the results of portals, with times in their zones; format is text or
// json.
func WriteShadow(w io.Writer, format string, portals []ShadowPortal, known Known) error {
	if format == "json" {
		return WriteJSON(w, struct {
			Portals []ShadowPortal `json:"portals"`
		}{portals})
	}
	s := newSheet(w, nil)
	for i, p := range portals {
		if i > 0 {
			s.WriteString("\n")
		}
		s.now = s.now.In(known.zone(p.Portal))
		mode := "in shadow mode"
		if p.Mode != "shadow" {
			mode = "in live mode, results of an earlier shadow mode"
		}
		fmt.Fprintf(s, "portal %s, %s\n", s.in(bold, p.Portal), mode)
		for _, r := range p.Rules {
			s.shadowResult(r)
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *sheet) shadowResult(r *shadow.Result) {
	if r.Compared == 0 && r.Pending == 0 {
		fmt.Fprintf(s, "  %s: nothing compared yet\n", s.in(bold, r.Rule))
		return
	}
	fmt.Fprintf(s, "  %s: the portal agreed %d of %s", s.in(bold, r.Rule), r.Agreed, Plural(r.Compared, "time", "times"))
	if !r.Since.IsZero() {
		fmt.Fprintf(s, " since %s (version %s)", s.dateTime(r.Since), r.Version)
	}
	s.WriteString("\n")
	if r.Pending > 0 {
		fmt.Fprintf(s, "    %s compared a second time soon\n", Plural(r.Pending, "entity is", "entities are"))
	}
	// The entities that differ now come first.
	now := min(len(r.Entities), r.Differing)
	s.shadowEntities(Plural(r.Differing, "entity differs", "entities differ"), r.Entities[:now])
	if more := r.Differing - now; more > 0 {
		fmt.Fprintf(s, "      … and %d more; --limit shows more\n", more)
	}
	before := r.Entities[now:]
	s.shadowEntities(Plural(len(before), "entity differed before and agrees now", "entities differed before and agree now"), before)
	for _, e := range r.Sent {
		fmt.Fprintf(s, "    step %s would have sent %s %s, the last for %s at %s\n", e.Step, e.Method, Plural(e.Times, "time", "times"), e.Entity, s.dateTime(e.Last))
	}
}

// shadowEntities prints entities below a title, and nothing without entities.
func (s *sheet) shadowEntities(title string, all []shadow.Entity) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(s, "    %s:\n", title)
	for _, e := range all {
		s.shadowEntity(e)
	}
}

func (s *sheet) shadowEntity(e shadow.Entity) {
	fmt.Fprintf(s, "      %s at %s, run %d", s.in(bold, OneLine(e.Entity)), s.dateTime(e.At), e.Run)
	if !e.Agreed.IsZero() {
		fmt.Fprintf(s, ", agrees since %s", s.dateTime(e.Agreed))
	}
	s.WriteString("\n")
	if e.Error != "" {
		s.WriteString("        ")
		s.wrapped(8, e.Error)
	}
	for _, c := range e.Changes {
		s.change(c)
	}
	if e.More > 0 {
		fmt.Fprintf(s, "      … and %s more\n", Plural(e.More, "change", "changes"))
	}
}

// ShadowSummary is one line about the results of the shadow mode in a portal.
func ShadowSummary(results map[string]*shadow.Result) string {
	agreed, compared, differing := 0, 0, 0
	for _, r := range results {
		agreed, compared, differing = agreed+r.Agreed, compared+r.Compared, differing+r.Differing
	}
	if compared == 0 {
		return "shadow mode: nothing compared yet"
	}
	text := fmt.Sprintf("shadow mode: agreed %d of %s", agreed, Plural(compared, "time", "times"))
	if differing > 0 {
		text += ", " + Plural(differing, "entity differs", "entities differ")
	}
	return text
}
