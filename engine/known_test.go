package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/enginetest"
	"github.com/b24rules/b24rules/internal/snapshot"
)

// TestUnknownType: a type is named as missing only when the snapshot knows all types.
func TestUnknownType(t *testing.T) {
	known := &snapshot.Snapshot{Portal: "acme", Types: []snapshot.Type{{ID: 2, Title: "Deals"}, {ID: 1072, Title: "Contracts"}}}
	unread := &snapshot.Snapshot{Portal: "acme", Unread: map[string]string{snapshot.PartTypes: "ACCESS_DENIED"}}
	for _, tt := range []struct {
		portal *snapshot.Snapshot
		typeID int
		why    string
	}{
		{nil, 177, ""},
		{unread, 177, ""},
		{known, 1072, ""},
		{known, 177, "portal acme has no type 177 of items"},
	} {
		why, hint := engine.UnknownType(tt.portal, tt.typeID)
		if got := why.String(); got != tt.why {
			t.Errorf("type %d: %q, want %q", tt.typeID, got, tt.why)
		}
		if tt.why != "" && hint.String() != "its smart processes are 1072 (Contracts)" {
			t.Errorf("type %d: hint %q", tt.typeID, hint)
		}
	}
	var nothing *engine.Known
	if nothing.Portal() != nil || nothing.InputsOf(nil) != nil {
		t.Error("a nil Known knows something")
	}
}

// TestSchedule: a tick is in the zone of the schedule, else in that of the portal, else in UTC,
// and the filter takes the time of the tick as text.
func TestSchedule(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
rules:
  own:
    about: deal
    on: {schedule: "30 9 * * *", zone: Europe/Moscow, filter: {stageId: NEW, "<closedate": =event.time, "@id": [1, 2]}}
    steps: [{make_rows: {count: 1}}]
  portals: {about: deal, on: {schedule: "30 9 * * *"}, steps: [{make_rows: {count: 1}}]}
`, new([]enginetest.Saved))
	rules := map[string]engine.Schedule{}
	for _, r := range set.Rules {
		rules[r.ID] = r.Schedules[0]
	}
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		rule string
		zone *time.Location
		want string
	}{
		{"own", time.UTC, "2026-05-01T06:30:00Z"},
		{"portals", time.FixedZone("", 2*3600), "2026-05-01T07:30:00Z"},
		{"portals", nil, "2026-05-01T09:30:00Z"},
	} {
		if got := rules[tt.rule].Next(from, tt.zone).UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: next tick %s, want %s", tt.rule, got, tt.want)
		}
	}
	if got := rules["own"].String(); got != "30 9 * * * Europe/Moscow" {
		t.Errorf("schedule %q", got)
	}
	got, err := rules["own"].FilterAt(context.Background(), "acme", from, nil)
	want := map[string]any{"stageId": "NEW", "<closedate": "2026-05-01T00:00:00Z", "@id": []any{"1", "2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if all, err := rules["portals"].FilterAt(context.Background(), "acme", from, nil); all != nil || err != nil {
		t.Errorf("without a filter: %v, %v", all, err)
	}
}
