package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

const snapshotRules = `version: 1
inputs:
  list: {type: integer, title: the list}
rules:
  zones:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - upsert_element:
          list: =inputs.list
          key: =event.id
          fields: {NAME: '{{ deal.ufCrm_ZONE ?? "none" }}', COMMENT: =deal.title}
`

// TestSnapshot pulls a portal, checks rules with it, changes the portal and shows what the
// change breaks.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	if err := h.Portal.AddUserField(2, emulator.UserField{Name: "UF_CRM_ZONE", Type: "string", Title: "Zone"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := newCLI(h, dir)
	rules := filepath.Join(dir, "own")
	file := filepath.Join(rules, "zones.yaml")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, file, snapshotRules)
	head, _, _ := strings.Cut(testkit.ReadFile(t, c.config), "      invoice-total")
	testkit.WriteFile(t, c.config, strings.Replace(head, "[rules]", "[own]", 1)+"      zones: {list: 47}\n")

	path := filepath.Join(rules, "demo.portal.json")
	c.run(exitFailure, "schema", "diff") // there is none yet
	_, stderr := c.run(exitFine, "schema", "pull")
	if !strings.Contains(stderr, "demo.portal.json: 7 types, 1 list") {
		t.Errorf("%s", stderr)
	}
	first := testkit.ReadFile(t, path)
	if out, _ := c.run(exitFine, "schema", "pull", "--portal", "demo", "--out", "-"); out != first {
		t.Error("a second pull has another text")
	}
	_, stderr = c.run(exitFine, "schema", "diff")
	if !strings.Contains(stderr, "portal demo has not changed") {
		t.Errorf("%s", stderr)
	}

	// The snapshot is found next to the rules, from the folder and from the file.
	c.bare(exitFine, "validate", "--strict", rules)
	testkit.WriteFile(t, file, strings.Replace(snapshotRules, "ufCrm_ZONE", "ufCrm_ZOEN", 1))
	for _, args := range [][]string{{rules}, {file}, {"--strict", "--schema", path, file}} {
		code := exitFine
		if len(args) > 1 {
			code = exitFindings
		}
		out, _ := c.bare(code, append([]string{"validate"}, args...)...)
		if !strings.Contains(out, `zones.yaml:13:35: warning: deals of portal demo have no field "ufCrm_ZOEN" [unknown-item-field] (did you mean ufCrm_ZONE (Zone)?)`) {
			t.Errorf("%v: %s", args, out)
		}
	}
	// What a portal explains is not also said without it.
	testkit.WriteFile(t, file, strings.Replace(snapshotRules, "deal.ufCrm_ZONE", "deal.Zone", 1))
	if out, _ := c.bare(exitFine, "validate", rules); strings.Count(out, "warning: ") != 1 || !strings.Contains(out, `deals of portal demo have no field "Zone" [unknown-item-field] (did you mean ufCrm_ZONE (Zone)?)`) {
		t.Errorf("%s", out)
	}
	// With the configuration the list is known, too.
	testkit.WriteFile(t, file, strings.Replace(snapshotRules, "COMMENT", "COMENT", 1))
	c.bare(exitFine, "validate", "--strict", rules)
	if out, _ := c.bare(exitFindings, "validate", "--strict", "--config", c.config, rules); !strings.Contains(out, `list 47 (Shipments) of portal demo has no property "COMENT" [unknown-item-field] (did you mean COMMENT (Comment)?)`) {
		t.Errorf("%s", out)
	}
	testkit.WriteFile(t, file, snapshotRules)
	c.bare(exitFine, "validate", "--strict", "--config", c.config, rules)

	// The portal changes.
	if err := h.Portal.AddUserField(2, emulator.UserField{Name: "UF_CRM_ZONE_2", Type: "string", Title: "Zone 2"}); err != nil {
		t.Fatal(err)
	}
	var fields []struct {
		ID   string
		Name string `json:"FIELD_NAME"`
	}
	h.Rest("crm.deal.userfield.list", nil, &fields)
	for _, f := range fields {
		if f.Name == "UF_CRM_ZONE" {
			h.Rest("crm.deal.userfield.delete", map[string]any{"id": f.ID}, nil)
		}
	}
	out, _ := c.run(exitFindings, "schema", "diff")
	for _, line := range []string{
		"demo  removed  deals: field ufCrm_ZONE (Zone)\n",
		"demo  added    deals: field ufCrm_ZONE_2 (Zone 2)\n",
		`zones.yaml:13:35: warning: deals of portal demo have no field "ufCrm_ZONE" [unknown-item-field] (did you mean ufCrm_ZONE_2 (Zone 2)?)`,
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%s\nwant %s", out, line)
		}
	}
	out, _ = c.run(exitFindings, "schema", "diff", "--format", "json")
	var diffs []portalDiff
	if err := json.Unmarshal([]byte(out), &diffs); err != nil || len(diffs) != 1 || len(diffs[0].Changes) != 2 || len(diffs[0].Breaks) != 1 {
		t.Errorf("%v %s", err, out)
	}
	// The same with two files and no portal.
	now := filepath.Join(t.TempDir(), "now.portal.json")
	c.run(exitFine, "schema", "pull", "--out", now)
	if out, _ := c.bare(exitFindings, "schema", "diff", path, now, rules); !strings.Contains(out, "breaks") {
		t.Errorf("%s", out)
	}
	testkit.WriteFile(t, filepath.Join(rules, "half.yaml"), "version: 1\nrules:\n")
	if _, stderr := c.bare(exitFindings, "schema", "diff", path, now, rules); !strings.Contains(stderr, "half.yaml has errors, so it is not known what the changes break there: run b24rules validate") {
		t.Errorf("%s", stderr)
	}
	if err := os.Remove(filepath.Join(rules, "half.yaml")); err != nil {
		t.Fatal(err)
	}
	c.bare(exitFine, "schema", "diff", now, now)
	c.bare(exitUsage, "schema", "diff", now)

	// A file that this program cannot read is said, with how to renew it.
	testkit.WriteFile(t, path, strings.Replace(first, `"format": 1`, `"format": 0`, 1))
	if _, stderr := c.bare(exitFailure, "validate", rules); !strings.Contains(stderr, "has the format 0 of an older b24rules, this one reads 1: run `b24rules schema pull` to write it again") {
		t.Errorf("%s", stderr)
	}
	c.run(exitFine, "schema", "pull")
	c.bare(exitFindings, "validate", "--strict", rules)
}
