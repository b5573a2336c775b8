//go:build unix

package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// project makes a configuration for the portal, with more keys for the portal.
func (c *customer) project(keys string) (dir, config string) {
	c.t.Helper()
	dir = c.t.TempDir()
	config = filepath.Join(dir, "b24rules.yaml")
	testkit.WriteFile(c.t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", "      - log: {message: hi}\n"))
	testkit.WriteFile(c.t, filepath.Join(dir, "webhook"), c.webhook+"\n")
	if err := os.Chmod(filepath.Join(dir, "webhook"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	testkit.WriteFile(c.t, config, "rules: [rules]\nportals:\n  main:\n    webhook_file: webhook\n    application_token: ${TEST_TOKEN}\n"+keys)
	return dir, config
}

// TestCatalogueAdd asks the portal of a configuration for the inputs of a rule set. The printed
// lines make the configuration valid.
func TestCatalogueAdd(t *testing.T) {
	t.Setenv("TEST_TOKEN", "t0k3n")
	c := newCustomer(t)
	dir, config := c.project("")
	add := func(code int, in string, more ...string) (out, talk string) {
		t.Helper()
		args := append([]string{"catalogue", "add", "--config", config, "--portal", "main"}, more...)
		return initCommand(t.Context(), t, code, strings.NewReader(in), append(args, "deal-shipments")...)
	}
	rules := func() string {
		entries, err := os.ReadDir(filepath.Join(dir, "rules"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	// Each fault is one sentence, and no file is written.
	for _, tt := range []struct {
		in   string
		args []string
		code int
		want string
	}{
		{"", []string{"--yes"}, exitFailure, "list, IBLOCK_ID of the shipment list: 61 (Suppliers), 63 (Loading): name it with --input list=VALUE"},
		{"", []string{"--input", "list=Loadin"}, exitUsage, `portal has no "Loadin", did you mean 63 (Loading)?`},
		{"", []string{"--input", "list=Cars"}, exitUsage, `portal has no "Cars", it has 61 (Suppliers), 63 (Loading)`},
		{"", []string{"--input", "lst=63"}, exitUsage, "rule set deal-shipments has no input lst"},
		{"63\nGoo", nil, exitFailure, "no answer, so nothing was written: name it with --input product_property=VALUE"},
	} {
		if out, talk := add(tt.code, tt.in, tt.args...); !strings.Contains(out+talk, tt.want) {
			t.Errorf("%v: %s%s\nwant %s", tt.args, out, talk, tt.want)
		}
		if got := rules(); got != "r.yaml" {
			t.Fatalf("%v: the folder has %s", tt.args, got)
		}
	}
	// Ctrl-C at a question.
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	go func() {
		_, _ = typed.Write([]byte("63\n")) // the next question waits
		cancel()
	}()
	if _, talk := initCommand(ctx, t, exitFailure, in, "catalogue", "add", "--config", config, "--portal", "main", "deal-shipments"); !strings.Contains(talk, "interrupted") || rules() != "r.yaml" {
		t.Errorf("%s, %s", talk, rules())
	}

	out, talk := add(exitFine, "loading\n", "--input", "product_property=goods", "--input", "deal_property=Deal")
	const lines = `    inputs:
      deal-shipments:
        list: 63 # Loading
        deal_property: "OWNER" # Deal
        product_property: "PROPERTY_302" # Goods
        quantity_property: "QTY" # Quantity
        sum_property: "SUM" # Amount
`
	if out != lines || !strings.Contains(talk, "the portal needs this in "+config) {
		t.Errorf("%s%s", out, talk)
	}
	testkit.WriteFile(t, config, testkit.ReadFile(t, config)+out)
	initCommand(t.Context(), t, exitFine, nil, "validate", "--config", config, filepath.Join(dir, "rules"))
	if _, talk := add(exitFailure, ""); !strings.Contains(talk, "add never replaces a file") {
		t.Errorf("%s", talk)
	}
	// Two lists with one name: the number decides.
	c.portal.AddList(emulator.List{ID: 65, Name: "Loading"})
	if err := os.Remove(filepath.Join(dir, "rules", "deal-shipments.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "rules", "deal-shipments_test.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, talk := add(exitUsage, "", "--input", "list=Loading"); !strings.Contains(talk, "Loading is the name of several: 63 (Loading), 65 (Loading)") {
		t.Errorf("%s", talk)
	}
	// Without --portal nothing is asked.
	if _, talk := initCommand(t.Context(), t, exitUsage, nil, "catalogue", "add", "--yes", "deal-shipments", filepath.Join(dir, "other")); !strings.Contains(talk, "--input and --yes need --portal") {
		t.Errorf("%s", talk)
	}
	initCommand(t.Context(), t, exitUsage, nil, "catalogue", "add", "--portal", "mian", "--config", config, "deal-shipments")

	// A portal that has inputs already gets the lines below them. Fields of deals are found by
	// their titles, also those that the rules only read; a standard field is known by its name.
	for _, f := range []emulator.UserField{
		{Name: "UF_CRM_1701", Title: "Доставка", Type: "money"},
		{Name: "UF_CRM_1702", Title: "Комиссия", Type: "money"},
		{Name: "UF_CRM_1703", Title: "Договор", Type: "string"},
	} {
		if err := c.portal.AddUserField(2, f); err != nil {
			t.Fatal(err)
		}
	}
	another := func(code int, want string, args ...string) {
		t.Helper()
		out, talk := initCommand(t.Context(), t, code, strings.NewReader(""), append([]string{"catalogue", "add", "--config", config, "--portal", "main", "--yes"}, args...)...)
		if !strings.Contains(out+talk, want) {
			t.Errorf("%v: %s%s\nwant %s", args, out, talk, want)
		}
	}
	another(exitFailure, "delivery_field, the deal's money field for the delivery: ufCrm_1701 (Доставка), ufCrm_1702 (Комиссия), ufCrm_1703 (Договор): name it with --input", "amount-with-delivery")
	another(exitUsage, `portal has no "Достака", did you mean ufCrm_1701 (Доставка)?`, "--input", "delivery_field=Достака", "amount-with-delivery")
	another(exitFine, "under inputs of portal main:\n", "--input", "delivery_field=доставка", "amount-with-delivery")
	another(exitFine, `field: "closedate" # `, "--input", "field=closedate", "required-field")
	another(exitFailure, "sum_field, the company's field for the sum, in the portal's base currency (the portal has no custom fields there: add one, or name a standard field): name it with --input", "company-won-total")
	// A field of another kind: the copy is there, and its place is shown.
	another(exitFindings, "ufCrm_1702 (Комиссия) of a deal takes money such as 300|USD, this is a number", "--input", "field=комиссия", "deal-commission")
	if got := rules(); !strings.Contains(got, "deal-commission.yaml") {
		t.Error(got)
	}

	// A portal with use, and secrets that stay in the environment.
	_, config = c.project("    use: {r: on}\n")
	out, talk = initCommand(t.Context(), t, exitFine, nil, "catalogue", "add", "--config", config, "--portal", "main", "--yes", "--input", "chat=-100", "won-telegram")
	if !strings.HasPrefix(out, "      won-telegram:\n        bot: ${B24RULES_BOT}\n") || !strings.Contains(talk, "under use of portal main") || !strings.Contains(talk, "set the variable B24RULES_BOT of the environment") {
		t.Errorf("%s%s", out, talk)
	}
	// A portal that lacks a permission, and one that is gone.
	c.portal = emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Scopes: []string{"crm"}})
	t.Cleanup(c.portal.Close)
	poor := newServed(t, c.portal)
	c.webhook = poor + c.portal.WebhookPath()
	dir, config = c.project("")
	if out, talk := initCommand(t.Context(), t, exitFindings, nil, "catalogue", "add", "--config", config, "--portal", "main", "--yes", "won-task"); !strings.Contains(out, "missing: task (for") || !strings.Contains(talk, "nothing was written") || rules() != "r.yaml" {
		t.Errorf("%s%s", out, talk)
	}
	c.webhook = "http://127.0.0.1:1/rest/1/abcdefgh/"
	_, config = c.project("")
	if _, talk := initCommand(t.Context(), t, exitFailure, nil, "catalogue", "add", "--config", config, "--portal", "main", "--yes", "won-task"); !strings.Contains(talk, "portal main: ") || !strings.Contains(talk, "connection refused") {
		t.Errorf("%s", talk)
	}
}
