package probe

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// Version is the format of a report.
const Version = 1

// Value is an answer to a question.
type Value string

// The answers. Unknown means that the question could not be asked.
const (
	Yes     Value = "yes"
	No      Value = "no"
	Unknown Value = "unknown"
)

// Answer is the answer to one question. Seen says what the portal did.
type Answer struct {
	Value Value  `yaml:"answer"`
	Seen  string `yaml:"seen"`
}

// Report is what was found out about a portal. It has no names, addresses, ids or values
// of the portal.
type Report struct {
	Version int `yaml:"probe"`
	// Date is the day of the probe: 2026-01-31.
	Date string `yaml:"date"`
	// Offset is the offset of the portal's time: +03:00.
	Offset string `yaml:"utc_offset"`
	// Currency is the base currency, "" if it is unknown.
	Currency string `yaml:"currency"`
	// Scopes are the permissions of the credentials.
	Scopes []string `yaml:"scopes"`
	// Answers are by the names of the questions.
	Answers map[string]Answer `yaml:"answers"`
	// Events are the codes of the events that arrived after each change of a deal.
	Events map[string][]string `yaml:"events"`
}

const reportHead = `# Made by b24rules doctor --probe. It names no person, address, id or value of the portal.
# b24rules emulator --like FILE is a portal that answers in the same way.
`

// Encode writes a report. Equal reports have equal texts.
func (r *Report) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sprobe: %d\ndate: %s\nutc_offset: %q\ncurrency: %q\nscopes: [%s]\nanswers:\n", reportHead, r.Version, r.Date, r.Offset, r.Currency, strings.Join(r.Scopes, ", "))
	for _, q := range questions {
		a, ok := r.Answers[q.Name]
		if !ok {
			a = Answer{Value: Unknown, Seen: "not asked"}
		}
		fmt.Fprintf(&b, "  # %s\n  %s: {answer: %s, seen: %q}\n", q.Text, q.Name, a.Value, a.Seen)
	}
	b.WriteString("# the events that arrived after each change of a deal\nevents:")
	if len(r.Events) == 0 {
		b.WriteString(" {}")
	}
	b.WriteString("\n")
	for _, c := range changes {
		if codes, ok := r.Events[c.name]; ok {
			fmt.Fprintf(&b, "  %s: [%s]\n", c.name, strings.Join(codes, ", "))
		}
	}
	return b.Bytes()
}

// Decode reads a report.
func Decode(data []byte) (*Report, error) {
	var r Report
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("this is no report of doctor --probe: %w", err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("this report has format %d, and this b24rules reads format %d: make the report again with this version", r.Version, Version)
	}
	for name, a := range r.Answers {
		if !slices.ContainsFunc(questions, func(q question) bool { return q.Name == name }) {
			text := fmt.Sprintf("this report answers the unknown question %q", name)
			if near := diag.Closest(name, Names()); near != "" {
				text += fmt.Sprintf(" (did you mean %s?)", near)
			}
			return nil, fmt.Errorf("%s", text)
		}
		if !slices.Contains([]Value{Yes, No, Unknown}, a.Value) {
			return nil, fmt.Errorf("the answer to %s is %q: want yes, no or unknown", name, a.Value)
		}
	}
	return &r, nil
}

// Names are the names of the questions.
func Names() []string {
	var out []string
	for _, q := range questions {
		out = append(out, q.Name)
	}
	return out
}

// Changes are the names of the changes whose events the probe counts.
func Changes() []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.name)
	}
	return out
}
