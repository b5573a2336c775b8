package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
)

// The commands work on PostgreSQL as on SQLite, with and without a running serve. A
// command takes no portal from serve.
func TestCommandsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Database: testkit.NewPostgres(t), Limits: config.Limits{Attempts: 1}, CatchUp: apptest.QuickCatchUp()})
	c := newCLI(h, dir)
	h.Until("alive", func() bool { return h.Logged("first start with this portal") == 1 })

	// A dead letter, replayed; one that is discarded.
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.*", Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	roof, wall := h.AddDeal("Roof", row("Tiles", "10", "1")), h.AddDeal("Wall", row("Bricks", "1", "500"))
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	parked := firstRun(c, "--entity", fmt.Sprintf("deal:%d", roof), "--state", "parked")
	if out, _ := c.run(exitFine, "runs", "show", parked); !strings.Contains(out, "ACCESS_DENIED") {
		t.Errorf("the story of a parked run: %s", out)
	}
	c.run(exitFine, "runs", "replay", parked)
	if out, _ := c.run(exitFine, "runs", "discard", "--entity", fmt.Sprintf("deal:%d", wall), "--yes"); out != "discarded 1 run\n" {
		t.Errorf("discard says %s", out)
	}
	h.Wait()
	apptest.WantNames(t, h.Elements(roof), "Tiles × 1")

	// A pause keeps what comes.
	c.run(exitFine, "runs", "pause", "--rule", "deal-shipments", "--portal", demo.PortalName)
	deal, err := h.People.AddDeal(h.Context(), "Floor", row("Parquet", "80", "20"))
	if err != nil {
		t.Fatal(err)
	}
	h.Until("it waits", func() bool { return h.States()[journal.Waiting] == 1 })
	c.run(exitFine, "runs", "resume", "--rule", "deal-shipments", "--portal", demo.PortalName)
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Parquet × 20")

	// A running serve keeps the portal.
	if out, _ := c.run(exitFine, "sync", "--rule", "deal-shipments"); !strings.HasPrefix(out, "deal-shipments: 3 entities, 3 runs, 0 failed") {
		t.Errorf("sync while serve is running says %s", out)
	}
	apptest.WantNames(t, h.Elements(wall), "Bricks × 500")
	if out, _ := c.run(exitFine, "run", "--entity", fmt.Sprintf("deal:%d", wall)); !strings.Contains(out, "succeeded") {
		t.Errorf("run beside serve says %s", out)
	}
	if h.Logged("this process gives it back") != 0 {
		t.Error("serve has given its portal to a command")
	}

	// Without one the commands do the work.
	h.Stop()
	deals := h.Fill(5)
	if out, _ := c.run(exitFine, "sync", "--rule", "deal-shipments"); !strings.HasPrefix(out, "deal-shipments: 8 entities, 8 runs, 0 failed") || h.Missing(deals) != 0 {
		t.Errorf("sync without serve says %s, %d deals have no element", out, h.Missing(deals))
	}
	h.SetRowsQuietly(deals[0], row("Nails", "1", "7"))
	if out, _ := c.run(exitFine, "run", "--entity", fmt.Sprintf("deal:%d", deals[0])); !strings.Contains(out, "succeeded") {
		t.Errorf("run without serve says %s", out)
	}
	apptest.WantNames(t, h.Elements(deals[0]), "Nails × 7")

	// Serve catches up missed changes.
	h.SetRowsQuietly(deals[1], row("Nails", "1", "9"))
	h.Back()
	apptest.WantNames(t, h.Elements(deals[1]), "Nails × 9")
}
