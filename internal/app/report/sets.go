package report

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/store"
)

// Sets are rule sets, what runs and what is on disk.
type Sets struct {
	Schema   string    `json:"schema"`
	Sets     []Set     `json:"sets"`
	Findings []Finding `json:"findings"` // of sets whose text on disk does not run
	Warnings []Finding `json:"warnings"`
}

// Set is one rule set in all portals.
type Set struct {
	Name  string   `json:"name"`
	File  string   `json:"file"`
	State SetState `json:"state"` // the worst one of its portals
	// Versions are those that run, the first since Since.
	Versions []string   `json:"versions"`
	Since    *time.Time `json:"since,omitempty"`
	Portals  []string   `json:"portals"`
	Rules    []string   `json:"rules"`
	// Refused is why the text on disk does not run, since RefusedAt. Errors is how many errors it
	// has.
	Refused   string     `json:"refused,omitempty"`
	RefusedAt *time.Time `json:"refused_at,omitempty"`
	Errors    int        `json:"errors,omitempty"`
	// Diff are the lines in which the text on disk differs from the one that runs.
	Diff []Line `json:"diff,omitempty"`
}

// SetState says how a rule set runs.
type SetState string

// The states of rule sets.
const (
	SetLive     SetState = "live"     // as on disk
	SetBehind   SetState = "behind"   // an earlier version: no process that works the portal has read the one on disk
	SetWaiting  SetState = "waiting"  // an earlier version: a person has to apply the one on disk
	SetOutdated SetState = "outdated" // an earlier version: the one on disk has errors, or is missing
	SetBroken   SetState = "broken"   // it does not run
)

// setStates are the states, what needs a person most is first.
var setStates = []SetState{SetBroken, SetOutdated, SetWaiting, SetBehind, SetLive}

// Finding is a finding of a rule file.
type Finding struct {
	Severity string `json:"severity"`
	Place    string `json:"place"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	// Text is the finding with the line of the file.
	Text string `json:"-"`
}

// ReadSets reads the rule sets of the portals for which sees is true. gen is what is on disk, hide
// hides secrets in lines of files.
func ReadSets(ctx context.Context, db store.DB, gen *fleet.Generation, sees func(portal string) bool, hide func(string) string) (Sets, error) {
	live, err := fleet.NewStore(db).List(ctx, "")
	if err != nil {
		return Sets{}, err
	}
	b := setsBuilder{rows: map[string]*Set{}, versions: map[[2]string]string{}}
	for _, l := range live {
		if sees(l.Portal) {
			b.addLive(l)
		}
	}
	texts := map[string]string{}
	var wrong diag.List
	if gen != nil {
		for _, portal := range gen.Portals() {
			if sees(portal) {
				b.addInstances(gen.Instances(portal), portal)
			}
		}
		for _, r := range gen.Refused() {
			if sees(r.Portal) {
				b.addRefused(gen, r)
				wrong.Add(r.Findings...)
				texts[r.File] = r.Text
			}
		}
	}
	if err := b.compareBehind(ctx, fleet.NewStore(db)); err != nil {
		return Sets{}, err
	}
	out := Sets{Schema: "b24rules/rules/1", Sets: b.sorted(), Findings: []Finding{}, Warnings: []Finding{}}
	wrong.Sort()
	wrong = slices.CompactFunc(wrong, func(a, b diag.Finding) bool { return a.String() == b.String() && a.Code == b.Code })
	for i := range out.Sets {
		for k := range out.Sets[i].Diff {
			out.Sets[i].Diff[k].Text = hide(out.Sets[i].Diff[k].Text)
		}
	}
	if out.Findings, err = newFindings(wrong, texts, hide); err != nil || gen == nil {
		return out, err
	}
	out.Warnings, err = newFindings(gen.Notes(), nil, hide)
	return out, err
}

// newFindings converts findings. texts are those of files whose lines are shown.
func newFindings(list diag.List, texts map[string]string, hide func(string) string) ([]Finding, error) {
	out := []Finding{}
	for _, f := range list {
		var text bytes.Buffer
		err := diag.WriteText(&text, diag.List{f}, func(file string) []byte {
			if t := texts[file]; t != "" {
				return []byte(t)
			}
			return nil
		}, false)
		if err != nil {
			return nil, err
		}
		out = append(out, Finding{f.Severity.String(), f.Pos.String(), f.Code, f.Text(), f.HintText(), hide(strings.TrimRight(text.String(), "\n"))})
	}
	return out, nil
}

type setsBuilder struct {
	rows map[string]*Set
	// versions are those that run, by portal and rule set.
	versions map[[2]string]string
	behind   []behind
}

// behind is a version that runs although another one is on disk.
type behind struct {
	set           *Set
	version, disk string // disk is the text
}

func (b *setsBuilder) of(name string) *Set {
	if b.rows[name] == nil {
		b.rows[name] = &Set{Name: name, State: SetLive, Portals: []string{}, Rules: []string{}, Versions: []string{}}
	}
	return b.rows[name]
}

func addWord(words []string, word string) []string {
	if word == "" || slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}

func (b *setsBuilder) addLive(l fleet.Live) {
	s := b.of(l.Set)
	b.versions[[2]string{l.Portal, l.Set}] = l.Version
	s.Versions, s.Portals = addWord(s.Versions, l.Version), addWord(s.Portals, l.Portal)
	if at := stamp(l.Since); at != nil && (s.Since == nil || at.Before(*s.Since)) {
		s.Since = at
	}
	if l.Refused == "" {
		return
	}
	state := SetOutdated
	if l.Version == "" {
		state = SetBroken
	}
	if s.worse(state) {
		s.Refused, s.RefusedAt = l.Refused, stamp(l.RefusedAt)
	}
}

// worse notes a state, and reports whether it is worse than the one before.
func (s *Set) worse(state SetState) bool {
	is := slices.Index(setStates, state) < slices.Index(setStates, s.State)
	if is {
		s.State = state
	}
	return is
}

func (b *setsBuilder) addInstances(all []*fleet.Instance, portal string) {
	for _, i := range all {
		s := b.of(i.Set.Name)
		s.File, s.Portals = i.Set.File, addWord(s.Portals, portal)
		for _, r := range i.Set.Rules {
			s.Rules = addWord(s.Rules, r.ID)
		}
		switch v := b.versions[[2]string{portal, i.Set.Name}]; {
		case v == "": // it is not stored yet
			s.Versions = addWord(s.Versions, i.Set.Version)
		case v != i.Set.Version && s.worse(SetBehind):
			b.behind = append(b.behind, behind{s, v, string(i.Set.Source.Bytes())})
		}
	}
}

// compareBehind adds the differences of versions that run although another one is on disk.
func (b *setsBuilder) compareBehind(ctx context.Context, stored *fleet.Store) error {
	for _, one := range b.behind {
		text, ok, err := stored.Text(ctx, one.version)
		if err != nil {
			return err
		}
		if ok && one.set.Diff == nil {
			one.set.Diff = DiffLines(text.Text, one.disk)
		}
	}
	return nil
}

// addRefused adds why a text on disk does not run in a portal, and what of it is new.
func (b *setsBuilder) addRefused(gen *fleet.Generation, r fleet.Refused) {
	s := b.of(r.Set)
	s.File, s.Portals = cmp.Or(s.File, r.File), addWord(s.Portals, r.Portal)
	errors, waits := 0, true
	for _, f := range r.Findings {
		if f.Severity == diag.Error {
			errors++
			waits = waits && f.Code == "not-applied"
		}
	}
	state := SetOutdated
	switch {
	case r.Running == "":
		state = SetBroken
	case waits && errors > 0:
		state = SetWaiting
		if s.State == SetOutdated { // the database does not know the difference
			s.State = SetLive
		}
	}
	if s.worse(state) || s.Refused == "" {
		s.Refused = r.Reason()
	}
	s.Errors = max(s.Errors, errors)
	if s.Diff != nil || r.Text == "" {
		return
	}
	for _, i := range gen.Instances(r.Portal) {
		if i.Set.Name == r.Set {
			s.Diff = DiffLines(string(i.Set.Source.Bytes()), r.Text)
		}
	}
}

func (b *setsBuilder) sorted() []Set {
	out := make([]Set, 0, len(b.rows))
	for _, name := range slices.Sorted(maps.Keys(b.rows)) {
		s := *b.rows[name]
		slices.Sort(s.Portals)
		s.File = cmp.Or(s.File, s.Name)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Set) int { return slices.Index(setStates, a.State) - slices.Index(setStates, b.State) })
	return out
}

// Attention returns how many rule sets do not run as on disk.
func (s Sets) Attention() int {
	n := 0
	for _, one := range s.Sets {
		if one.State != SetLive {
			n++
		}
	}
	return n
}

// WriteSets prints rule sets; format is text or json.
func WriteSets(w io.Writer, format string, sets Sets) error {
	if format == "json" {
		return WriteJSON(w, sets)
	}
	s := newSheet(w, nil)
	need := "do not run as on disk"
	if sets.Attention() == 1 {
		need = "does not run as on disk"
	}
	if n := sets.Attention(); n == 0 {
		fmt.Fprintf(s, "%s, live as on disk\n", Plural(len(sets.Sets), "rule set", "rule sets"))
	} else {
		fmt.Fprintf(s, "%d of %s %s\n", n, Plural(len(sets.Sets), "rule set", "rule sets"), need)
	}
	if len(sets.Sets) > 0 {
		t := table{rows: [][]string{{"SET", "STATE", "LIVE", "SINCE", "PORTALS", "RULES"}}, whole: func(int) bool { return true }}
		for _, one := range sets.Sets {
			since := "-"
			if one.Since != nil {
				since = s.dateTime(*one.Since)
			}
			var versions []string
			for _, v := range one.Versions {
				versions = append(versions, v[:min(len(v), 8)])
			}
			t.rows = append(t.rows, []string{OneLine(one.Name), string(one.State), cmp.Or(strings.Join(versions, ","), "-"), since, fmt.Sprint(len(one.Portals)), names(one.Rules)})
		}
		s.table(t)
	}
	for _, f := range sets.Findings {
		fmt.Fprintf(s, "\n%s\n", f.Text)
	}
	for _, one := range sets.Sets {
		if len(one.Diff) == 0 {
			continue
		}
		fmt.Fprintf(s, "\n%s: live (-) against disk (+)\n", OneLine(one.File))
		for _, l := range one.Diff {
			colour := red
			if l.Op == "+" {
				colour = green
			}
			s.WriteString(s.in(colour, fmt.Sprintf("%s %4d | %s", l.Op, l.Line, OneLine(l.Text))) + "\n")
		}
	}
	if n := len(sets.Warnings); n > 0 {
		fmt.Fprintf(s, "\n%s: b24rules validate prints them\n", Plural(n, "warning", "warnings"))
	}
	_, err := io.WriteString(w, s.String())
	return err
}
