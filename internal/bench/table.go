package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	what, client      string
	wall              time.Duration
	requests, refused int64
	commands          int64
	events            int
	cpu               time.Duration // of the engine; 0 means unknown
	floor             time.Duration // the shortest time that the portal's limit allows; 0 means none is printed
	ratio             float64       // time of the sequential client divided by ours
	note              string
}

// number is the number of the case, at the start of what.
func (r row) number() int {
	digits, _, _ := strings.Cut(r.what, " ")
	n, _ := strconv.Atoi(digits) // 0 goes first
	return n
}

func (r row) cells() []string {
	none := func(set bool, text string) string {
		if !set {
			return ""
		}
		return text
	}
	return []string{
		r.what, r.client, seconds(r.wall), none(r.requests > 0, fmt.Sprint(r.requests)), none(r.requests > 0, fmt.Sprint(r.commands)),
		none(r.requests > 0, fmt.Sprint(r.refused)),
		none(r.events > 0, fmt.Sprintf("%.1f", float64(r.events)/r.wall.Seconds())), none(r.cpu > 0, seconds(r.cpu)),
		none(r.ratio > 0, fmt.Sprintf("%.0f×", r.ratio)), none(r.floor > 0, seconds(r.floor)), r.note,
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func (r row) String() string { return "| " + strings.Join(r.cells(), " | ") + " |" }

// table holds the measured rows.
type table struct {
	rows       []row
	sequential []time.Duration // wall times of the cases 1 and 2
}

func (t *table) header() string {
	return "| case | client | wall time | requests | commands | refused | events/s | engine CPU | faster | floor | note |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
}

// The report is written between these marks. The text around them is written by
// hand.
const (
	begin = "<!-- make bench writes from here -->"
	end   = "<!-- to here -->"
)

func (t *table) write(file string) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s, %s, %d cores shared by the engine, the portals and this program.\n\n%s\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), t.header())
	slices.SortStableFunc(t.rows, func(a, b row) int { return cmp.Compare(a.number(), b.number()) })
	for _, r := range t.rows {
		fmt.Fprintln(&out, r)
	}
	return replaceBetween(file, begin, end, out.String())
}

// replaceBetween writes a text between two marks of a file.
func replaceBetween(file, begin, end, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: the marks %q and %q are missing", file, begin, end)
	}
	return os.WriteFile(file, []byte(head+begin+"\n\n"+text+"\n"+end+tail), 0o644)
}

// debounce is how long the included rules wait after an event of a deal.
const debounce = time.Second

// floor is the shortest time for a number of requests when the portal allows a
// burst and then a rate (requests per second). It includes the debounce before the
// first request and the portal's time for the last one.
func floor(requests int64, burst, rate float64) time.Duration {
	wait := max(0, float64(requests)-burst) / rate
	return debounce + time.Duration(wait*float64(time.Second)) + latency.Request + 50*latency.Command
}
