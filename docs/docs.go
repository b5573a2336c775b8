// Package docs holds the manual pages that the program itself can show.
package docs

import (
	_ "embed"
	"strings"
)

//go:embed findings.md
var findings string

//go:embed ci.md
var ci string

// Job returns the job of the manual that checks rules: for GitHub or GitLab.
func Job(system string) string {
	_, section, _ := strings.Cut(ci, "\n## "+system+"\n")
	_, block, _ := strings.Cut(section, "\n```yaml\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	return block + "\n"
}

// heading starts the section of a code: "### unknown-key".
const heading = "\n### "

// Finding returns the section of the manual about a code of a finding, as
// Markdown, without its heading. ok is false when there is no such code.
func Finding(code string) (markdown string, ok bool) {
	for section := range strings.SplitSeq(findings, heading) {
		name, text, _ := strings.Cut(section, "\n")
		if name == code && code != "" {
			text, _, _ = strings.Cut(text, "\n## ")
			return strings.TrimSpace(text) + "\n", true
		}
	}
	return "", false
}

// FindingCodes returns the codes of all findings in the order of the manual.
func FindingCodes() []string {
	sections := strings.Split(findings, heading)[1:]
	codes := make([]string, len(sections))
	for i, s := range sections {
		codes[i], _, _ = strings.Cut(s, "\n")
	}
	return codes
}
