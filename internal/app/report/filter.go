package report

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// States are all states of a run, in the order of its lifecycle.
var States = []journal.State{
	journal.Waiting, journal.Asleep, journal.Blocked, journal.Queued, journal.Running, journal.Succeeded, journal.Parked, journal.Discarded,
}

// FilterError says that a filter cannot be read, and what would be right.
type FilterError struct{ text string }

// Error implements error.
func (e *FilterError) Error() string { return e.text }

func filterError(format string, args ...any) error { return &FilterError{fmt.Sprintf(format, args...)} }

// ParseStates reads states between commas. name is that of the filter in errors.
func ParseStates(name, text string) ([]journal.State, error) {
	if text == "" {
		return nil, nil
	}
	var out []journal.State
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(States, journal.State(word)) {
			text := fmt.Sprintf("%s %q: want %s", name, word, diag.Alternatives(stateWords()))
			if near := diag.Closest(word, stateWords()); near != "" {
				text += fmt.Sprintf(" (did you mean %s?)", near)
			}
			return nil, &FilterError{text}
		}
		out = append(out, journal.State(word))
	}
	return out, nil
}

// Outcomes are the words for what a run did, in the order of pages.
var Outcomes = []journal.Did{
	journal.Wrote, journal.Nothing, journal.Did(history.Done), journal.Did(history.Skipped), journal.Did(history.Stopped), journal.Did(history.Removed), journal.Did(history.Gone), journal.Retrying,
}

// ParseOutcomes reads words for what a run did between commas. name is that of the filter in errors.
func ParseOutcomes(name, text string) ([]journal.Did, error) {
	if text == "" {
		return nil, nil
	}
	words := make([]string, len(Outcomes))
	for i, o := range Outcomes {
		words[i] = string(o)
	}
	var out []journal.Did
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(words, word) {
			text := fmt.Sprintf("%s %q: want %s", name, word, diag.Alternatives(words))
			if slices.Contains(States, journal.State(word)) {
				text += fmt.Sprintf("; %s is a state", word)
			} else if near := diag.Closest(word, words); near != "" {
				text += fmt.Sprintf(" (did you mean %s?)", near)
			}
			return nil, &FilterError{text}
		}
		out = append(out, journal.Did(word))
	}
	return out, nil
}

// leastCause is how many characters of a cause are enough, if no other one starts with
// them.
const leastCause = 4

// FindCause returns the stored form of a cause. An empty id selects all causes.
func FindCause(ctx context.Context, q *queue.Queue, name, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	counts, err := journal.Causes(ctx, q.Database(), journal.Filter{States: []journal.State{journal.Parked, journal.Waiting, journal.Running, journal.Discarded}})
	if err != nil {
		return "", err
	}
	var found, known []string
	for _, n := range counts {
		if n.Cause == "" {
			continue
		}
		known = append(known, cause.ID(n.Cause))
		if len(id) >= leastCause && strings.HasPrefix(cause.ID(n.Cause), strings.ToLower(id)) && !slices.Contains(found, n.Cause) {
			found = append(found, n.Cause)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	text := fmt.Sprintf("%s %q: no run has failed because of it: 'b24rules runs list --by cause' lists the causes", name, id)
	if len(found) > 1 {
		text = fmt.Sprintf("%s %q: %d causes start with it: write more characters", name, id, len(found))
	} else if near := diag.Closest(id, known); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return "", &FilterError{text}
}

// ParseEntity reads an entity. It accepts the names of types in rule files:
// smart_invoice:7 is item:31:7.
func ParseEntity(name, text string) (engine.Entity, error) {
	e, err := engine.ParseEntity(strings.TrimSpace(text))
	if err != nil || e.ID == "" {
		return e, filterError("%s %q: want a kind and an id, such as deal:759 or item:31:7", name, text)
	}
	o, ok := schemas.LookupOwner(e.Kind)
	if kinds := entityKinds(); !ok && !slices.Contains(kinds, e.Kind) {
		text := fmt.Sprintf("%s %q: no event has entities of the kind %q", name, text, e.Kind)
		if near := diag.Closest(e.Kind, kinds); near != "" {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		return e, &FilterError{text}
	}
	if ok {
		e.Kind = o.Name
		if o.ID >= schemas.TypeSmartInvoice {
			e = engine.Entity{Kind: "item", TypeID: o.ID, ID: e.ID}
		}
	}
	if e.TypeID == 0 {
		return e, nil // not an item of the CRM
	}
	n, err := strconv.ParseUint(e.ID, 10, 63)
	if err != nil || n == 0 {
		return e, filterError("%s %q: %q is not the id of an item", name, text, e.ID)
	}
	e.ID = strconv.FormatUint(n, 10)
	return e, nil
}

// entityKinds are the kinds of entities that events have, the portal itself, and keys of
// hooks.
func entityKinds() []string {
	kinds := []string{engine.KindPortal, engine.KindHook}
	for _, e := range schemas.Events() {
		if e.Entity != "" {
			kinds = append(kinds, e.Entity)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func stateWords() []string {
	out := make([]string, len(States))
	for i, s := range States {
		out[i] = string(s)
	}
	return out
}

// ParseTime reads the time, or a duration before now. local says that the text
// has no offset, so it is a time in the zone of now. With end, a date is the end of the
// day.
func ParseTime(name, text string, now time.Time, end bool) (at time.Time, local bool, err error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, false, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		at, err := time.ParseInLocation(layout, text, now.Location())
		if err != nil {
			continue
		}
		if end && layout == time.DateOnly {
			at = at.AddDate(0, 0, 1)
		}
		return at, true, nil
	}
	ago := text
	days := 0
	if n, rest, ok := strings.Cut(text, "d"); ok {
		d, err := strconv.Atoi(n)
		if err != nil || d < 0 || d > 36500 {
			ago = "?"
		}
		days, ago = d, rest
	}
	d := time.Duration(0)
	if ago != "" {
		d, err = time.ParseDuration(ago)
	}
	if err != nil || d < 0 || text == "" {
		return time.Time{}, false, filterError("%s %q: want a duration before now, such as 90m, 2h or 3d, or a time, such as 2026-01-31, '2026-01-31 15:00' or 2026-01-31T15:00:00+03:00", name, text)
	}
	return now.AddDate(0, 0, -days).Add(-d), false, nil
}

// ParsePast is ParseTime for a time that must not be after now, the time of the portal.
func ParsePast(name, text string, now time.Time) (time.Time, error) {
	at, _, err := ParseTime(name, text, now, false)
	if err == nil && at.After(now) {
		err = filterError("%s %s is in the future: the time of the portal is %s", name, text, now.Format(time.RFC3339))
	}
	return at, err
}

// ParseRecord reads RECORD and FIELD. RECORD may be written as two words: element 47:12.
func ParseRecord(args []string) (place string, id int64, field string, err error) {
	const example = "which record? element:47:12, item:1038:5 or deal:7"
	if len(args) > 1 && !strings.Contains(args[0], ":") {
		args = append([]string{args[0] + ":" + args[1]}, args[2:]...)
	}
	if len(args) == 0 || len(args) > 2 {
		return "", 0, "", filterError("%s", example)
	}
	if len(args) == 2 {
		field = args[1]
	}
	parts := strings.Split(args[0], ":")
	number := func(i int) int {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n <= 0 {
			return 0
		}
		return n
	}
	switch {
	case parts[0] == "element" && len(parts) == 3 && number(1) > 0:
		place = engine.PlaceOfList(number(1))
	case parts[0] == "item" && len(parts) == 3 && number(1) > 0:
		place = engine.PlaceOfItems(number(1))
	case len(parts) == 2 && engine.OwnerTypeID(parts[0]) > 0:
		place = engine.PlaceOfItems(engine.OwnerTypeID(parts[0]))
	default:
		text := fmt.Sprintf("%q is no record: write element:47:12, item:1038:5 or deal:7", args[0])
		names := []string{"element", "item"}
		for _, o := range schemas.Owners() {
			names = append(names, o.Name)
		}
		if near := diag.Closest(parts[0], names); near != "" && near != parts[0] {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		return "", 0, "", &FilterError{text}
	}
	if id = int64(number(len(parts) - 1)); id == 0 {
		return "", 0, "", filterError("%q has no id: write element:47:12, item:1038:5 or deal:7", args[0])
	}
	return place, id, field, nil
}
