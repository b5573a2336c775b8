package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/compile"
	"github.com/b24rules/b24rules/schemas"
)

const fieldsHead = `# Fields

<!-- made by make gen from the tables in schemas/ -->

These are the documented fields of each type, as formulas and steps name them. The fields that your portal has added (` + "`ufCrm…`" + `) are in its
[snapshot](snapshot.md), or in the answer of ` + "`crm.item.fields`" + `. *Empty* means that a formula must expect nil. *Read* means that a step
cannot write the field.

| mark | kind of value |
| --- | --- |
| double, integer | a number |
| boolean | the text Y or N; a step may write true and false |
| date | a day |
| datetime | a time |
| user, crm_company, crm_contact, crm_lead, crm_deal | the id of a record, a number |
| crm_status | the code of an entry of a directory, such as a stage |
| crm_multifield | phones, e-mail addresses and the like ([rules.md](rules.md#phones-and-e-mail-addresses)) |
| a list of … | several values |
`

// fieldsManual is the page about fields.
func fieldsManual() []byte {
	var b bytes.Buffer
	b.WriteString(fieldsHead)
	table := func(title, text string, fields []schemas.Field) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| field | kind | | title |\n| --- | --- | --- | --- |\n", title, text)
		for _, f := range fields {
			kind, marks := f.Type, []string{}
			if f.Multiple {
				kind = "a list of " + kind
			}
			if f.Maybe {
				marks = append(marks, "empty")
			}
			if f.ReadOnly {
				marks = append(marks, "read")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, kind, strings.Join(marks, ", "), f.Title)
		}
	}
	for _, o := range schemas.Owners() {
		name := strings.ToUpper(o.Name[:1]) + strings.ReplaceAll(o.Name[1:], "_", " ")
		table(name, fmt.Sprintf("`owner: %s`, entityTypeId %d.", o.Name, o.ID), schemas.ItemFields(o.ID))
	}
	table("Smart process", fmt.Sprintf("`entityTypeId` from %d on. A field is missing where its switch is off in the settings of the smart process.", schemas.FirstDynamicType), schemas.ItemFields(schemas.FirstDynamicType))
	table("Product row", "Rows of `fetch_products` and `set_products`. A row also has `key`, which identifies it permanently.", schemas.ProductRowFields())
	table("List element", "The system fields of `lists.element.*`. The properties of a list are its own: a step names them by code, by name or as PROPERTY_101.", schemas.ListSystemFields())
	return b.Bytes()
}

// section returns a section of a page without its heading.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %s", page, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	text, _, _ = strings.Cut(text, "\n### ")
	return strings.TrimSpace(text)
}

// tableOf returns the first table of a text.
func tableOf(text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "|"):
			out = append(out, line)
		case len(out) > 0:
			return strings.Join(out, "\n")
		}
	}
	return strings.Join(out, "\n")
}

// oftenWrong are mistakes that people and models make, and what is right.
const oftenWrong = `
## Often wrong

| instead of | write | because |
| --- | --- | --- |
| ` + "`when: deal.opportunity > 0`" + ` | ` + "`when: =deal.opportunity > 0`" + ` | only a value that starts with ` + "`=`" + ` is a formula |
| ` + "`SUM: \"{{ total }}\"`" + ` | ` + "`SUM: =total`" + ` | a formula keeps its type, text does not |
| ` + "`once: =deal.stageId == \"WON\"`" + ` | ` + "`entered: =deal.stageId == \"WON\"`" + ` | ` + "`once`" + ` remembers a value, ` + "`entered`" + ` a condition, each time that it becomes true |
| ` + "`notify`" + ` with only ` + "`when`" + ` | with ` + "`entered`, `once` or `at`" + ` | a deal has an event for each edit |
| ` + "`key: =row.id`" + ` | ` + "`key: =row.key`" + ` | a product row gets a new id when somebody edits it |
| ` + "`rows`" + ` of a step with ` + "`when`" + ` | ` + "`rows ?? []`" + ` | a step that did not run has no result |
| ` + "`deal.companyId`" + ` in a ` + "`fetch_item`" + ` | the same with ` + "`when: =deal.companyId > 0`" + ` | many deals have no company |
| ` + "`{title: =a ? b : c}`" + ` | ` + "`{title: '=a ? b : c'}`" + ` | in ` + "`{ }` and `[ ]`" + ` YAML reads ` + "`, ? : #`" + ` itself |
| ` + "`deal.UF_CRM_PAID`" + ` | ` + "`deal.ufCrm_PAID`" + ` | items have the names of crm.item.* |
`

// cheatSheet is the language on one page.
func cheatSheet(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("# Cheat sheet\n\n<!-- made by make gen from the tables of the compiler, the actions and rules.md -->\n\nThe rule language on one page. [rules.md](rules.md) explains it, and [actions.md](actions.md) has all arguments.\n\n")
	_, rule, _ := strings.Cut(section(t, "rules.md", "## A first rule"), "```yaml\n")
	rule, _, _ = strings.Cut(rule, "```")
	fmt.Fprintf(&b, "```yaml\n%s```\n", rule)
	keys := func(title string, list []compile.Key) {
		fmt.Fprintf(&b, "\n## %s\n\n| key | meaning | such as |\n| --- | --- | --- |\n", title)
		for _, k := range list {
			example := ""
			if k.Example != "" {
				example = "`" + k.Example + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, line(k.Doc), line(example))
		}
	}
	keys("Keys of a file", compile.FileKeys)
	keys("Keys of an input", compile.InputKeys)
	keys("Keys of a rule", compile.RuleKeys)
	keys("Keys of a step", compile.StepKeys)
	b.WriteString("\n## Actions\n\n| action | what it does | arguments; those with * are required |\n| --- | --- | --- |\n")
	for _, a := range actions.All {
		title, _, _ := strings.Cut(a.Doc, "\n")
		var args []string
		for _, f := range a.Arguments.Fields {
			if f.Name == "" {
				continue
			}
			name := "`" + f.Name + "`"
			if f.Required {
				name += "*"
			}
			args = append(args, name)
		}
		fmt.Fprintf(&b, "| [`%s`](actions.md#%s) | %s | %s |\n", a.Name, a.Name, title, strings.Join(args, ", "))
	}
	fmt.Fprintf(&b, "\n## Values\n\n%s\n", tableOf(section(t, "rules.md", "## Values")))
	fmt.Fprintf(&b, "\n## Names in formulas\n\n%s\n", tableOf(section(t, "rules.md", "## Names in formulas")))
	fmt.Fprintf(&b, "\n## Functions\n\n%s\n", tableOf(section(t, "rules.md", "## Functions")))
	b.WriteString(oftenWrong)
	fmt.Fprintf(&b, "\n## Events\n\n")
	var codes []string
	for _, e := range schemas.Events() {
		if e.Entity != "" && e.Op != "" && !e.Legacy {
			codes = append(codes, "`"+e.Code+"`")
		}
	}
	fmt.Fprintf(&b, "%s; the rule file's schema has all others.\n", strings.Join(codes, ", "))
	return b.Bytes()
}

func line(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// llms is llms.txt: what the project is and where its pages are, for language models.
func llms(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# b24rules

> A durable rules engine for Bitrix24. Rules are YAML: events of CRM entities, steps with one action each, formulas that start with "=".
> "b24rules validate" finds mistakes without a portal, "b24rules test" runs tests of rules on an emulated portal.

To write a rule, read docs/cheatsheet.md and docs/actions.md, then run "b24rules validate --strict FILE" and correct what it finds until it
finds nothing. "b24rules catalogue list" has rule sets to start from. Write a test file FILE_test.yaml (docs/testing.md) for each rule file.

## Documentation

`)
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(pages)
	for _, page := range pages {
		if strings.HasSuffix(page, ".ru.md") {
			continue
		}
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		_, title, _ := strings.Cut("\n"+string(data), "\n# ")
		title, _, _ = strings.Cut(title, "\n")
		fmt.Fprintf(&b, "- [%s](docs/%s)\n", title, page)
	}
	return b.Bytes()
}
