package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/rules"
)

const catalogueHead = `# The catalogue

<!-- made by make gen from the rule sets in rules/ -->

These rule sets are part of the program. Each does one thing, has inputs for what differs between portals, and has tests that reach all of it.
A copy is yours: change its texts and its conditions as you like.

` + "```sh" + `
b24rules catalogue list distribute leads    # by the words that you would use, in any form; also in Russian
b24rules catalogue list --lang ru распределить лиды
b24rules catalogue show won-invoice         # what it does, its inputs, the permissions of the webhook, and what it costs
b24rules catalogue add won-invoice          # copies it and its tests to rules/
b24rules catalogue add --portal main --input observers=12 large-deal-observers   # the portal main of b24rules.yaml answers for the other inputs
b24rules test rules/won-invoice.yaml
` + "```" + `

With ` + "`--portal`" + `, lists and smart processes are found by their names and fields by their titles. It prints the lines for the configuration.

| if | then |
| --- | --- |
| the portal lacks a permission, a list or a field | it says which, and writes no file |
| a field takes other values, such as money where the rule writes a number | it copies the files and shows the place to change |
| the files are there already | it changes nothing |

` + "`b24rules init`" + ` makes a whole configuration for a rule set ([portal.md](portal.md)).

Amounts of several currencies are converted at the rates of the portal at the time of the run. A field that a rule fills is the rule's: what people write into it is replaced.

| name | what it does | по-русски | permissions |
| --- | --- | --- | --- |
`

// catalogueManual is the page about the catalogue.
func catalogueManual(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(catalogueHead)
	for _, s := range rules.Catalogue() {
		set, list := load.File(s.Name+".yaml", s.Rules, actions.All)
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, set.Title, s.Russian, strings.Join(describe.Scopes(set), ", "))
	}
	return b.Bytes()
}

// TestCatalogueCount: the pages say how many rule sets the catalogue has.
func TestCatalogueCount(t *testing.T) {
	for page, phrase := range map[string]string{"../README.md": "%d rule sets", "tutorial.md": "%d such rule sets", "tutorial.ru.md": "%d такой набор правил"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(phrase, len(rules.Catalogue())); !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", page, want)
		}
	}
}
