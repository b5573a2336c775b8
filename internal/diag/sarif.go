package diag

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Tool describes the program to readers of SARIF.
type Tool struct {
	Name    string
	Version string
	// Help returns what is known of a code, as Markdown. Nil knows nothing.
	Help func(code string) (markdown string, ok bool)
}

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifVersion = "2.1.0"
)

// The parts of a SARIF log that are written. Names are those of the standard:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string       `json:"id"`
		ShortDescription *sarifText   `json:"shortDescription,omitempty"`
		Help             *sarifText   `json:"help,omitempty"`
		Default          sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndLine     int `json:"endLine,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

// WriteSARIF prints the findings as a SARIF 2.1.0 log for code scanning. Each
// code is a rule, with what tool.Help knows of it.
func WriteSARIF(w io.Writer, l List, tool Tool) error {
	codes := make([]string, 0, len(l))
	level := map[string]string{}
	for _, f := range l {
		codes = append(codes, f.Code)
		if level[f.Code] != Error.String() {
			level[f.Code] = f.Severity.String()
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	run := sarifRun{
		// Columns of findings count characters, not UTF-16 units.
		ColumnKind: "unicodeCodePoints",
		Tool:       sarifTool{sarifDriver{Name: tool.Name, Version: tool.Version, Rules: make([]sarifRule, 0, len(codes))}},
		Results:    make([]sarifResult, 0, len(l)),
	}
	for _, c := range codes {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(c, level[c], tool))
	}
	for _, f := range l {
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Code, RuleIndex: slices.Index(codes, f.Code), Level: f.Severity.String(),
			Message: sarifText{Text: annotation(f)}, Locations: sarifPlace(f),
		})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: sarifSchema, Version: sarifVersion, Runs: []sarifRun{run}})
}

func sarifRuleOf(code, level string, tool Tool) sarifRule {
	r := sarifRule{ID: code, Default: sarifDefault{level}}
	if tool.Help == nil {
		return r
	}
	if text, ok := tool.Help(code); ok {
		r.Help = &sarifText{Text: text, Markdown: text}
		r.ShortDescription = &sarifText{Text: firstSentence(text)}
	}
	return r
}

// firstSentence is the first paragraph of a Markdown text that is no heading,
// up to its first full stop.
func firstSentence(markdown string) string {
	for part := range strings.SplitSeq(markdown, "\n\n") {
		part = strings.TrimSpace(part)
		if part == "" || strings.HasPrefix(part, "#") {
			continue
		}
		part = strings.ReplaceAll(part, "\n", " ")
		if first, _, more := strings.Cut(part, ". "); more {
			return first + "."
		}
		return part
	}
	return ""
}

func sarifPlace(f Finding) []sarifLocation {
	if f.File == "" {
		return nil
	}
	at := sarifPhysical{Artifact: sarifArtifact{URI: sarifURI(f.File)}}
	if f.Line > 0 {
		at.Region = &sarifRegion{StartLine: f.Line, StartColumn: max(f.Column, 0)}
		if f.EndLine > 0 && f.Column > 0 {
			at.Region.EndLine, at.Region.EndColumn = f.EndLine, f.EndColumn
		}
	}
	return []sarifLocation{{at}}
}

// sarifURI is a path as a URI reference, relative where the path is.
func sarifURI(path string) string {
	path = filepath.ToSlash(path)
	u := url.URL{Path: path}
	if strings.HasPrefix(path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
