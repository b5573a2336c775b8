package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestRestoredBackup: a database from before many changes is put back. Serve notices what
// it does not know and catches up on it: no change and no deletion is lost, and nothing is
// doubled.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, CatchUp: apptest.QuickCatchUp()})
	c := newCLI(h, dir)
	kept := h.AddDeal("Kept", row("Tiles", "10", "1"))
	changed := h.AddDeal("Changed", row("Tiles", "10", "1"))
	deleted := h.AddDeal("Deleted", row("Tiles", "10", "1"))
	h.Wait()
	file := filepath.Join(dir, "yesterday.db")
	if out, _ := c.run(exitFine, "backup", file); !strings.HasPrefix(out, file+": ") || !strings.Contains(out, "3 runs") {
		t.Errorf("backup says %q", out)
	}
	if _, talk := c.run(exitFailure, "backup", file); !strings.Contains(talk, "exists already: name a new file") {
		t.Errorf("a second backup says %q", talk)
	}
	if _, talk := c.run(exitFailure, "restore", "--yes", file); !strings.Contains(talk, "stop serve first") {
		t.Errorf("restore while serve is running says %q", talk)
	}
	if _, talk := c.run(exitFailure, "backup", "--to", "postgres://x@127.0.0.1:1/x"); !strings.Contains(talk, "serve is running: stop it first") {
		t.Errorf("a move while serve is running says %q", talk)
	}

	// All this is not in the backup, and part of it happens without serve.
	h.SetRows(changed, row("Tiles", "10", "2"))
	if err := h.People.DeleteDeal(h.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	added := h.AddDeal("Added", row("Nails", "1", "5"))
	h.Wait()
	h.Stop()
	h.SetRowsQuietly(changed, row("Tiles", "10", "3"))
	if _, talk := c.run(exitUsage, "restore", file); !strings.Contains(talk, "add --yes") {
		t.Errorf("restore without --yes says %q", talk)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.db"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(exitFailure, "restore", "--yes", filepath.Join(dir, "broken.db"))
	if out, talk := c.run(exitFine, "restore", "--yes", file); !strings.Contains(out, "restored ") || !strings.Contains(talk, "the database before is ") {
		t.Errorf("restore says %q %q", out, talk)
	}
	h.Back()
	apptest.WantNames(t, h.Elements(kept), "Tiles × 1")
	apptest.WantNames(t, h.Elements(changed), "Tiles × 3")
	apptest.WantNames(t, h.Elements(added), "Nails × 5")
	apptest.WantNames(t, h.Elements(deleted))
	writes := len(h.Portal.History())
	h.Stop()
	h.Back()
	if n := len(h.Portal.History()) - writes; n != 0 {
		t.Errorf("%d changes for nothing", n)
	}
}
