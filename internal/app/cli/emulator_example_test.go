package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
)

// TestExampleForTheEmulator checks that the example works with the emulator and the
// shipped rule sets.
func TestExampleForTheEmulator(t *testing.T) {
	c, list, err := config.Read("../../../docs/examples/emulator.yaml")
	if err != nil || len(list) > 0 {
		t.Fatalf("%v, %v", err, list)
	}
	l := &fleet.Rules{Actions: actions.All, Source: fleet.FilesOf(c.Rules), Portals: c.Portals}
	_, gen, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(gen.Findings()) > 0 || len(gen.Notes()) > 0 {
		t.Errorf("%v, %v", gen.Findings(), gen.Notes())
	}
	p := emulator.New(emulator.Config{Secret: emulatorSecret})
	defer p.Close()
	ids := emulator.Demo(p)
	in := c.Portals[0]
	totals, _ := in.Inputs.Set("invoice-total")
	shipments, _ := in.Inputs.Set("deal-shipments")
	if !strings.HasSuffix(in.Webhook.Reveal(), p.WebhookPath()) || totals.Values()["helper_type"] != fmt.Sprint(ids.TotalsType) || shipments.Values()["list"] != fmt.Sprint(ids.ShipmentList) {
		t.Errorf("%s, %v, %v", in.Webhook.Reveal(), totals.Values(), shipments.Values())
	}
}
