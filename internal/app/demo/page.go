package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
)

// page prints a demo for people. It stores its first write error.
type page struct {
	out    io.Writer
	bold   func(string) string
	failed error
}

func newPage(out io.Writer, bold bool) *page {
	p := &page{out: out, bold: func(s string) string { return s }}
	if bold {
		p.bold = func(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
	}
	return p
}

func (p *page) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.out, format, args...); err != nil && p.failed == nil {
		p.failed = err
	}
}

func (p *page) title(format string, args ...any) { p.printf("%s\n", fmt.Sprintf(format, args...)) }

// scene prints the title of a scene.
func (p *page) scene(title string) { p.printf("\n%s\n", p.bold(title)) }

// did prints an action of a user.
func (p *page) did(format string, args ...any) { p.printf("  %s\n", fmt.Sprintf(format, args...)) }

// table prints lines of cells in columns; the first line is the head. Columns whose
// head starts with a space contain numbers and are aligned to the right.
func (p *page) table(lines [][]string) {
	var right []bool
	for _, head := range lines[0] {
		right = append(right, strings.HasPrefix(head, " "))
	}
	widths := make([]int, len(right))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(strings.TrimSpace(cell))))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			cell = strings.TrimSpace(cell)
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if right[i] {
				b.WriteString("  " + pad + cell)
			} else {
				b.WriteString("  " + cell + pad)
			}
		}
		p.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// report prints the result.
func (p *page) report(r *report) {
	p.scene(fmt.Sprintf("Events: %s", amount(r.Events, "event")))
	for _, code := range r.sortedCodes() {
		p.did("%3d %s", r.codes[code], code)
	}
	p.did("%3d that no rule subscribes to", r.other)

	p.scene(fmt.Sprintf("Runs: %s, %d failed", amount(r.Runs, "run"), r.Failed))
	p.runs(r.ran)
	p.did("total: %d commands, %d of them writes, in %s", r.Commands, r.Writes, amount(int(r.Requests), "request"))

	p.scene("Data of the portal")
	lines := [][]string{{"INVOICE", "TITLE", " ROWS", " TOTAL", " HELPERS", " HELPER'S TOTAL", ""}}
	for _, s := range r.Invoices {
		held := "-"
		if s.HelperTotal != nil {
			held = s.HelperTotal.String()
		}
		lines = append(lines, []string{fmt.Sprint(s.ID), s.Title, fmt.Sprint(s.Rows), s.Total.String(), fmt.Sprint(s.Helpers), held, mark(s.agrees())})
	}
	p.table(lines)
	p.printf("\n")
	lines = [][]string{{"DEAL", "TITLE", " ROWS", " ELEMENTS", " SHIPPED", ""}}
	for _, s := range r.Deals {
		title := s.Title
		if s.Deleted {
			title += " (deleted)"
		}
		lines = append(lines, []string{fmt.Sprint(s.ID), title, fmt.Sprint(s.Rows), fmt.Sprint(s.Elements), fmt.Sprint(s.Shipped), mark(s.agrees())})
	}
	p.table(lines)
}

func mark(agrees bool) string {
	if agrees {
		return "ok"
	}
	return "DIFFERS"
}

// runs prints a table of runs.
func (p *page) runs(ran []ranRun) {
	lines := [][]string{{"RULE", "ENTITY", " EVENTS", "OUTCOME", " CALLS", " WRITES", " TIME"}}
	for _, r := range ran {
		lines = append(lines, []string{
			r.Rule, r.Entity, fmt.Sprint(r.Count), outcome(r),
			fmt.Sprint(r.trace.Calls), fmt.Sprint(r.trace.Writes), r.took.Round(100 * time.Microsecond).String(),
		})
	}
	p.table(lines)
}

func outcome(r ranRun) string {
	if r.State == journal.Succeeded && r.trace.Outcome != "" {
		return string(r.trace.Outcome)
	}
	if r.Error != "" {
		return string(r.State) + ": " + r.Error
	}
	return string(r.State)
}
