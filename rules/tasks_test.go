package rules_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/rules"
)

// tasks are the tasks that people asked for, with the rule set of the catalogue that does each.
// PHP handlers that do the same are in testdata/php.
var tasks = []struct{ code, task, set string }{
	{"t01", "A task when a deal is won", "won-task"},
	{"t02", "A smart invoice with the same rows for a won deal", "won-invoice"},
	{"t03", "The rows of a deal in a smart process", "deal-order"},
	{"t04", "The sum of a company's won deals", "company-won-total"},
	{"t05", "The payments of a deal: paid and debt", "deal-payments"},
	{"t06", "A new lead for the manager with the fewest", "lead-least-load"},
	{"t07", "A contact whose phone is known", "contact-duplicate"},
	{"t08", "A deal moves on when all its child items are done", "children-done"},
	{"t09", "A reminder 30 days before a date", "contract-end"},
	{"t11", "The amount in the base currency", "amount-in-currency"},
	{"t12", "The margin from the prices of the catalogue", "deal-margin"},
	{"t13", "A warning when the stock is too small", "stock-warning"},
	{"t14", "A deal takes the source of its lead", "lead-source"},
	{"t15", "A won deal in Telegram", "won-telegram"},
	{"t16", "A won deal for 1C, and its number back", "won-to-accounting"},
	{"t17", "An order of a shop becomes a contact and a deal", "shop-order"},
	{"t18", "Observers of large deals", "large-deal-observers"},
	{"t19", "A comment when the amount changes", "amount-comment"},
	{"t20", "A list element becomes an item", "list-to-items"},
	{"t21", "A commission by a table of steps", "deal-commission"},
	{"t22", "UTM marks from an address", "lead-utm"},
	{"t23", "Phones as +7XXXXXXXXXX", "contact-phones"},
	{"t24", "The amount is rows and delivery", "amount-with-delivery"},
	{"t25", "The stage before", "stage-before"},
	{"t26", "A rate by days", "rate-times-days"},
	{"t27", "The number of a contract", "contract-number"},
	{"t28", "The fifth working day", "workday-deadline"},
	{"t29", "A company's new responsible person takes its deals", "company-owner"},
	{"t31", "The last call", "last-call"},
	{"t32", "A finished task moves its deal", "task-moves-deal"},
	{"t33", "A table of product groups", "product-groups"},
}

// codeLines counts the lines of a file that are neither empty nor a comment.
func codeLines(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		line := strings.TrimSpace(string(line))
		if line != "" && line != "<?php" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

// rulesOnly cuts a rule file before its rules: inputs are what a script has as constants.
func rulesOnly(data []byte) []byte {
	if at := bytes.Index(data, []byte("\nrules:")); at >= 0 {
		return data[at+len("\nrules:"):]
	}
	return data
}

// TestTasks checks that each task has a rule set with tests, and that docs/tasks.md compares
// the lines of each with a PHP handler.
func TestTasks(t *testing.T) {
	page, err := os.ReadFile("../docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	rows, sumRules, sumPHP := "", 0, 0
	for _, task := range tasks {
		set, ok := rules.Find(task.set)
		if !ok || len(set.Tests) == 0 || seen[task.set] {
			t.Errorf("%s has no rule set %s with tests", task.code, task.set)
			continue
		}
		seen[task.set] = true
		php, err := os.ReadFile(filepath.Join("testdata/php", task.set+".php"))
		if err != nil {
			t.Error(err)
			continue
		}
		ours, theirs := codeLines(rulesOnly(set.Rules)), codeLines(php)
		sumRules, sumPHP = sumRules+ours, sumPHP+theirs
		rows += fmt.Sprintf("| %s | `%s` | %d | %d |\n", task.task, task.set, ours, theirs)
	}
	rows += fmt.Sprintf("| all %d | | %d | %d |\n", len(tasks), sumRules, sumPHP)
	if !strings.Contains(string(page), rows) {
		t.Errorf("docs/tasks.md needs these rows:\n%s", rows)
	}
}
