package diag

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// gitlabIssue is an entry of a Code Quality report.
// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
type gitlabIssue struct {
	Description string      `json:"description"`
	CheckName   string      `json:"check_name"`
	Fingerprint string      `json:"fingerprint"`
	Severity    string      `json:"severity"`
	Location    gitlabPlace `json:"location"`
}

type gitlabPlace struct {
	Path  string `json:"path"`
	Lines struct {
		Begin int `json:"begin"`
	} `json:"lines"`
}

// WriteGitLab prints the findings as a Code Quality report, which GitLab shows
// next to the lines of a merge request. It omits findings without a file, because
// GitLab cannot show them there.
func WriteGitLab(w io.Writer, l List) error {
	report := []gitlabIssue{}
	seen := map[string]int{}
	for _, f := range l {
		if f.File == "" {
			continue
		}
		issue := gitlabIssue{Description: annotation(f), CheckName: f.Code, Severity: "major"}
		if f.Severity == Warning {
			issue.Severity = "minor"
		}
		issue.Location.Path = strings.TrimPrefix(filepath.ToSlash(f.File), "./")
		issue.Location.Lines.Begin = max(f.Line, 1)
		// A fingerprint without the line stays the same when lines above come and
		// go, so GitLab does not take the finding for a new one. The number tells
		// equal findings of one file apart.
		same := fmt.Sprintf("%s\x00%s\x00%s", issue.Location.Path, f.Code, f.Text())
		seen[same]++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", same, seen[same]))
		issue.Fingerprint = hex.EncodeToString(sum[:16])
		report = append(report, issue)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
