package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/internal/journal"
)

// TestCausesFitEveryWidth lists a failed run on terminals of all widths: no line is
// wider, and the code of the error can be read on each.
func TestCausesFitEveryWidth(t *testing.T) {
	run := Listed{Run: journal.Run{
		ID: 48213, Portal: "roofing-ural", Rule: "deal-shipments-of-the-north", Entity: "deal:123456", State: journal.Parked, Attempt: 8, MaxAttempts: 8,
		Error: "rules/a.yaml:43:9: rule deal-shipments-of-the-north, step sync_elements[2]: lists.element.get: ACCESS_DENIED: Access denied!", Finished: time.Now(),
	}}
	for width := 30; width <= 250; width++ {
		s := &sheet{now: time.Now(), width: width}
		s.listRuns([]Listed{run, {Run: journal.Run{ID: 1, Portal: "x", State: journal.Waiting}}}, Known{})
		for line := range strings.Lines(s.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: a line of %d: %s", width, n, line)
			}
		}
		if text := strings.Join(strings.Fields(s.String()), ""); !strings.Contains(text, "lists.element.get:ACCESS_DENIED") {
			t.Fatalf("width %d: the error is cut:\n%s", width, s.String())
		}
	}
}

// TestTimesHaveTheZoneOfTheirPortal lists runs of portals in one and in two zones.
func TestTimesHaveTheZoneOfTheirPortal(t *testing.T) {
	east, west := time.FixedZone("Asia/Omsk", 6*3600), time.FixedZone("Europe/Kaliningrad", 2*3600)
	known := Known{Portals: map[string]KnownPortal{"a": {Zone: east}, "b": {Zone: east}, "c": {Zone: west}}}
	at := time.Date(2024, 5, 6, 23, 30, 0, 0, time.UTC)
	list := func(portals ...string) string {
		var runs []Listed
		for _, p := range portals {
			runs = append(runs, Listed{Run: journal.Run{ID: 1, Portal: p, State: journal.Parked, Finished: at}})
		}
		s := &sheet{now: time.Now()}
		s.listRuns(runs, known)
		return s.String()
	}
	if text := list("a", "b"); !strings.HasPrefix(text, "times: Asia/Omsk\n") || strings.Count(text, "2024-05-07 05:30 ") != 2 {
		t.Errorf("one zone:\n%s", text)
	}
	if text := list("a", "c"); !strings.HasPrefix(text, "times: of each portal\n") || !strings.Contains(text, "2024-05-07 05:30+06:00") || !strings.Contains(text, "2024-05-07 01:30+02:00") {
		t.Errorf("two zones:\n%s", text)
	}
}
