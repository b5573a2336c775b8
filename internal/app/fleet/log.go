package fleet

import (
	"log/slog"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ledger"
)

// LogChanges logs the changes of a load. It returns those that are no errors.
func LogChanges(log *slog.Logger, before, now *Generation) (changes []string) {
	changed := func(text, file string, attrs ...any) {
		log.Info(text, append([]any{"file", file}, attrs...)...)
		changes = append(changes, text+": "+file)
	}
	old := before.sets()
	for _, s := range now.sets() {
		if !slices.ContainsFunc(old, func(o *engine.RuleSet) bool { return o.File == s.File && o.Version == s.Version }) {
			changed("rule set loaded", s.File, "version", s.Version, "rules", len(s.Rules))
		}
	}
	for _, b := range now.broken() {
		if b.isIn(before) { // it is logged once for the same findings
			continue
		}
		message := "rule set is invalid, it does not run"
		if b.Running {
			message = "rule set is invalid, keeping the last valid one"
		}
		log.Error(message, "file", b.File, "findings", lines(b.Findings))
	}
	if before == nil || !slices.Equal(lines(before.notes), lines(now.notes)) {
		for _, f := range now.notes {
			log.Warn("rules", "finding", f.String())
		}
	}
	logOrphans(log, before, now)
	if before != nil {
		logEnds(changed, before, now)
	}
	return changes
}

// logOrphans logs what rules have made and no rule has any more, once.
func logOrphans(log *slog.Logger, before, now *Generation) {
	for _, portal := range now.Portals() {
		old := before.Orphans(portal)
		all := now.Orphans(portal)
		for _, m := range all {
			known := slices.ContainsFunc(old, func(o ledger.Mark) bool { return o.ID == m.ID })
			if !known && m.Released.IsZero() {
				log.Warn("no rule has any more what a rule has made, it stays unchanged: put the rule back, or run b24rules release", "portal", portal, "rule", m.Rule, "place", PlaceName(m.Place), "file", m.File)
			}
		}
	}
}

// logEnds logs what a load has ended: rule sets, and errors of files.
func logEnds(changed func(text, file string, attrs ...any), before, now *Generation) {
	inFile := func(file string) func(*engine.RuleSet) bool {
		return func(s *engine.RuleSet) bool { return s.File == file }
	}
	sets := now.sets()
	for _, s := range before.sets() {
		if !slices.ContainsFunc(sets, inFile(s.File)) && !now.hasBroken(s.File) {
			changed("rule set removed", s.File)
		}
	}
	for _, b := range before.broken() {
		if !now.hasBroken(b.File) && slices.ContainsFunc(sets, inFile(b.File)) {
			changed("rule set is valid again", b.File)
		}
	}
}

// isIn reports whether a generation has the file with the same findings.
func (b brokenFile) isIn(g *Generation) bool {
	return slices.ContainsFunc(g.broken(), func(o brokenFile) bool {
		return o.File == b.File && o.Running == b.Running && slices.Equal(lines(o.Findings), lines(b.Findings))
	})
}

func (g *Generation) hasBroken(file string) bool {
	return slices.ContainsFunc(g.broken(), func(b brokenFile) bool { return b.File == file })
}
