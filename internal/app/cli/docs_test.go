package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// TestManualExamples holds that every YAML block of the manual is right: a rule
// file, a rule, steps or a configuration without a finding, or a seed or faults of the
// emulator. TestPages runs the tests of docs/testing.md, TestCIPage the jobs of docs/ci.md,
// TestTutorial the files of the tutorial, and docs/findings.md has bad examples.
func TestManualExamples(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range append(pages, "../../../README.md", "../../../README.ru.md") {
		page := filepath.Base(path)
		if slices.Contains([]string{"testing.md", "ci.md", "findings.md", "tutorial.md", "tutorial.ru.md"}, page) {
			continue
		}
		dir := "."
		if strings.HasPrefix(page, "README.") {
			dir = ".."
		}
		for i, text := range manualBlocks(t, filepath.Join(dir, page), "yaml") {
			seen++
			t.Run(fmt.Sprintf("%s-%d", page, i+1), func(t *testing.T) {
				for _, finding := range blockFindings(t, text) {
					t.Errorf("%v in\n%s", finding, text)
				}
			})
		}
	}
	if seen < 8 {
		t.Errorf("only %d examples", seen)
	}
}

// blockFindings checks a block as what it is.
func blockFindings(t *testing.T, text string) (out []string) {
	t.Helper()
	text = regexp.MustCompile(`(?m)^# yaml-language-server:.*\n`).ReplaceAllString(text, "")
	first := strings.TrimLeft(text, " \n")
	var list diag.List
	switch {
	case strings.HasPrefix(first, "# seed.yaml"):
		_, list = testportal.ReadSeed("seed.yaml", []byte(text))
	case strings.HasPrefix(first, "- {kind: "):
		_, list = emulator.ParseFaults("faults.yaml", []byte(text))
	default:
		return ruleFindings(t, text, first)
	}
	for _, f := range list {
		out = append(out, f.Error())
	}
	return out
}

// ruleFindings checks a block with a rule or a configuration.
func ruleFindings(t *testing.T, text, first string) (out []string) {
	t.Helper()
	isRule := strings.HasPrefix(first, "- ") || strings.HasPrefix(first, "on:") || strings.Contains(text, "version: ")
	if name, isPortal := strings.CutPrefix(first, "# portals/"); isPortal {
		dir := t.TempDir()
		name, _, _ = strings.Cut(name, "\n")
		testkit.WriteFile(t, filepath.Join(dir, "portals", name), text)
		testkit.WriteFile(t, filepath.Join(dir, "webhook"), "https://example.bitrix24.com/rest/1/code/\n")
		path := filepath.Join(dir, "b24rules.yaml")
		testkit.WriteFile(t, path, "listen: 127.0.0.1:8400\nrules: [rules]\nportals: portals\ndefaults: {webhook_file: webhook, application_token: t0k3n}\n")
		_, list, err := config.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			out = append(out, f.Error())
		}
		return out
	}
	if !isRule {
		dir := t.TempDir()
		testkit.WriteFile(t, filepath.Join(dir, "main-webhook"), "https://example.bitrix24.com/rest/1/code/\n")
		if !strings.Contains("\n"+text, "\nportals:") {
			text = "portals:\n  main: {webhook_file: main-webhook, application_token: t0k3n, tags: [canary]}\n" + text
		}
		if !strings.Contains("\n"+text, "\nrules:") {
			text = "rules: [rules]\n" + text
		}
		env := func(name string) (string, bool) {
			if strings.Contains(name, "WEBHOOK") {
				return "https://example.bitrix24.com/rest/1/code/", true
			}
			return "t0k3n", true
		}
		_, list := config.Parse(filepath.Join(dir, "b24rules.yaml"), []byte(text), env)
		for _, f := range list {
			if f.Code != "unreadable-file" { // secrets of the reader's own
				out = append(out, f.Error())
			}
		}
		return out
	}
	for _, f := range (example{text: text}).findings(t) {
		out = append(out, f.Error())
	}
	return out
}
