package ruletest

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
)

// TextOptions are the options of WriteText.
type TextOptions struct {
	// Verbose also prints passed tests and all built-in checks.
	Verbose bool
	// Color prints in colours for a terminal.
	Color bool
	// Cover prints the coverage.
	Cover bool
}

// Colours of a terminal.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	bold  = "\x1b[1m"
	reset = "\x1b[0m"
)

// WriteText prints findings, failed tests with their diffs, and with Cover the coverage.
func WriteText(w io.Writer, r *Report, o TextOptions) error {
	out := bufio.NewWriter(w)
	p := &printer{out: out, o: o}
	if err := diag.WriteText(out, r.Findings, r.Source, o.Color); err != nil {
		return err
	}
	for _, x := range r.Results {
		p.result(x)
	}
	if o.Cover {
		p.coverage(r.Coverage)
	}
	return out.Flush()
}

type printer struct {
	out *bufio.Writer
	o   TextOptions
}

func (p *printer) paint(color, s string) string {
	if !p.o.Color {
		return s
	}
	return color + s + reset
}

func (p *printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format+"\n", args...) } // Flush returns the error

func (p *printer) result(x *Result) {
	if x.Passed() {
		if p.o.Verbose {
			p.line("%s %s: %s", p.paint(green, "ok  "), x.File, x.Name)
			p.checks(x)
		}
		return
	}
	p.line("%s %s:%d: %s", p.paint(red, "FAIL"), x.File, x.Line, x.Name)
	for _, f := range x.Failures {
		at := ""
		if f.Pos != x.Pos {
			at = fmt.Sprintf("line %d: ", f.Line)
		}
		if f.Check != "" {
			at += "check " + p.paint(bold, f.Check) + ": "
		}
		p.line("    %s%s", at, f.Message)
		for l := range strings.Lines(f.Diff) {
			p.diffLine(strings.TrimSuffix(l, "\n"))
		}
	}
	if p.o.Verbose {
		p.checks(x)
	}
}

func (p *printer) diffLine(l string) {
	color := ""
	switch l[0] {
	case '-':
		color = red
	case '+':
		color = green
	}
	if color != "" {
		l = p.paint(color, l)
	}
	p.line("        %s", l)
}

func (p *printer) checks(x *Result) {
	for _, pr := range x.Checks {
		text := fmt.Sprintf("         %-7s %s", pr.Status, pr.Name)
		if pr.Reason != "" {
			text += ": " + pr.Reason
		}
		p.line("%s", text)
	}
}

func (p *printer) coverage(c *Coverage) {
	for _, r := range c.Rules() {
		p.line("%s: rule %s: %.1f%% of %s", r.File, r.Rule, r.Percent(), amount(len(r.Points), "place"))
		for _, m := range r.Missed() {
			p.line("    %s", r.place(m))
		}
	}
	if len(c.rules) == 0 {
		p.line("coverage: no rule was measured")
		return
	}
	p.line("coverage: %.1f%%", c.Percent())
}

// Summary returns the report in one line.
func Summary(r *Report) string {
	failed := 0
	for _, x := range r.Results {
		if !x.Passed() {
			failed++
		}
	}
	n := r.Checks()
	parts := []string{amount(r.Files, "file"), amount(len(r.Results), "test"), amount(n[Passed]+n[Failed], "built-in check")}
	if n[Skipped] > 0 {
		parts = append(parts, amount(n[Skipped], "check")+" skipped")
	}
	if errs := len(r.Findings); errs > 0 {
		parts = append(parts, amount(errs, "finding"))
	}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	} else if !r.Findings.HasErrors() {
		parts = append(parts, "all passed")
	}
	return strings.Join(parts, ", ")
}

func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type jsonReport struct {
	Version  int           `json:"version"`
	Passed   bool          `json:"passed"`
	Findings []jsonFinding `json:"findings"`
	Tests    []jsonTest    `json:"tests"`
	Coverage *jsonCoverage `json:"coverage,omitempty"`
}

type jsonFinding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

type jsonTest struct {
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Name     string        `json:"name"`
	Passed   bool          `json:"passed"`
	Failures []jsonFailure `json:"failures,omitempty"`
	Checks   []jsonCheck   `json:"proofs,omitempty"`
}

type jsonFailure struct {
	Line    int    `json:"line"`
	Check   string `json:"proof,omitempty"`
	Message string `json:"message"`
	Diff    string `json:"diff,omitempty"`
}

type jsonCheck struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
}

type jsonCoverage struct {
	Percent float64    `json:"percent"`
	Rules   []jsonRule `json:"rules"`
}

type jsonRule struct {
	File    string      `json:"file"`
	Rule    string      `json:"rule"`
	Percent float64     `json:"percent"`
	Points  []jsonPoint `json:"points"`
}

type jsonPoint struct {
	Line int    `json:"line"`
	What string `json:"what"`
	Hit  bool   `json:"hit"`
}

// WriteJSON prints the report for programs.
func WriteJSON(w io.Writer, r *Report, cover bool) error {
	doc := jsonReport{Version: 1, Passed: !r.Failed(), Findings: []jsonFinding{}, Tests: []jsonTest{}}
	for _, f := range r.Findings {
		doc.Findings = append(doc.Findings, jsonFinding{f.File, f.Line, f.Column, f.Code, f.Text(), f.HintText()})
	}
	for _, x := range r.Results {
		t := jsonTest{File: x.File, Line: x.Line, Name: x.Name, Passed: x.Passed()}
		for _, f := range x.Failures {
			t.Failures = append(t.Failures, jsonFailure{f.Line, f.Check, f.Message, f.Diff})
		}
		for _, p := range x.Checks {
			t.Checks = append(t.Checks, jsonCheck(p))
		}
		doc.Tests = append(doc.Tests, t)
	}
	if cover {
		c := &jsonCoverage{Percent: tenth(r.Coverage.Percent()), Rules: []jsonRule{}}
		for _, rule := range r.Coverage.Rules() {
			j := jsonRule{File: rule.File, Rule: rule.Rule, Percent: tenth(rule.Percent())}
			for _, p := range rule.Points {
				j.Points = append(j.Points, jsonPoint(p))
			}
			c.Rules = append(c.Rules, j)
		}
		doc.Coverage = c
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

func tenth(p float64) float64 { return float64(int(p*10+0.5)) / 10 }

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Error   *junitFailure `xml:"error,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit prints the report as JUnit XML with one suite per file. Each finding is a case
// with an error.
func WriteJUnit(w io.Writer, r *Report) error {
	var doc junitSuites
	byFile := map[string]int{}
	suite := func(file string) *junitSuite {
		i, ok := byFile[file]
		if !ok {
			i = len(doc.Suites)
			byFile[file] = i
			doc.Suites = append(doc.Suites, junitSuite{Name: file})
		}
		return &doc.Suites[i]
	}
	for _, f := range r.Findings {
		s := suite(f.File)
		s.Tests++
		s.Errors++
		s.Cases = append(s.Cases, junitCase{
			Name: f.Code, Class: f.File, File: f.File, Line: f.Line, Time: "0",
			Error: &junitFailure{Message: clean(f.Text()), Text: clean(f.String())},
		})
	}
	seconds := map[string]float64{}
	for _, x := range r.Results {
		s := suite(x.File)
		s.Tests++
		seconds[x.File] += x.Took.Seconds()
		c := junitCase{Name: clean(x.Name), Class: x.File, File: x.File, Line: x.Line, Time: fmt.Sprintf("%.3f", x.Took.Seconds())}
		if !x.Passed() {
			s.Failures++
			c.Failure = &junitFailure{Message: clean(x.Failures[0].Message), Text: clean(failureText(x))}
		}
		s.Cases = append(s.Cases, c)
	}
	for i := range doc.Suites {
		doc.Suites[i].Time = fmt.Sprintf("%.3f", seconds[doc.Suites[i].Name])
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func failureText(x *Result) string {
	var b strings.Builder
	for _, f := range x.Failures {
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
		if f.Check != "" {
			b.WriteString("check " + f.Check + ": ")
		}
		b.WriteString(f.Message + "\n" + f.Diff)
	}
	return b.String()
}

// clean replaces characters that XML does not allow.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
