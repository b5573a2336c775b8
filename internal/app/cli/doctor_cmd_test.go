package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestDoctor: the command prints the checks as text and as JSON, next to a serve that
// works, and when the portal is away.
func TestDoctor(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	c := newCLI(h, h.Options.Dir)
	out, _ := c.run(exitFindings, "doctor")
	for _, line := range []string{
		"demo       scopes       ok       the rules need crm, lists\n",
		"demo       events       warning  have not arrived yet: ONCRMDEALADD, ",
		"-> tick the events in the outbound webhook",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%s\nwant %s", out, line)
		}
	}
	// Serve has its own user on many machines, and must be able to write its database.
	before := testkit.ReadFile(t, c.config)
	testkit.WriteFile(t, c.config, strings.Replace(before, "sqlite:b24rules.db", "sqlite:new.db", 1))
	out, _ = c.run(exitFindings, "doctor")
	if want := "demo       events       unknown  serve has not run yet"; !strings.Contains(out, want) || !strings.Contains(out, "-> start serve and change an entity") {
		t.Errorf("%s\nwant %s", out, want)
	}
	if _, err := os.Stat(filepath.Join(h.Options.Dir, "new.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("doctor has created the database: %v", err)
	}
	testkit.WriteFile(t, c.config, before)
	if err := h.StopPortal(); err != nil {
		t.Fatal(err)
	}
	out, _ = c.run(exitFindings, "doctor", "--portal", "demo", "--format", "json")
	var checks []doctor.Check
	if err := json.Unmarshal([]byte(out), &checks); err != nil {
		t.Fatal(err)
	}
	if len(checks) < 9 || checks[0].Name != "address" || checks[0].State != doctor.Failed || checks[1].State != doctor.Unknown {
		t.Errorf("%s", out)
	}
	c.run(exitUsage, "doctor", "--portal", "demmo")
	c.run(exitUsage, "doctor", "--format", "xml")
}
