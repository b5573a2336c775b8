package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// lookEvery is how often the job is read, and the bar on a terminal drawn. lineEvery is
	// the interval between two lines elsewhere.
	lookEvery = 250 * time.Millisecond
	lineEvery = 10 * time.Second
	// rateOver is the time before now over which the rate is measured.
	rateOver = 20 * time.Second
)

// jobWatch shows the progress of a job.
type jobWatch struct {
	queue   *queue.Queue
	env     environment
	job     catchup.Job
	format  string
	command string

	counts map[journal.State]int
	marks  []progressMark
	lineAt time.Time
	drawn  bool
}

// progressMark is the number of finished entities at a time.
type progressMark struct {
	at   time.Time
	done int
}

// look reads and shows the progress. It reports whether the job has ended.
func (w *jobWatch) look(ctx context.Context) (over bool, err error) {
	job, ok, err := catchup.Load(ctx, w.queue, w.job.Portal, w.job.Rule)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, fmt.Errorf("the sync was deleted from the database")
	}
	w.job = job
	if w.counts, err = journal.Tally(ctx, w.queue.Database(), job.Portal, job.Code(), job.Rule, job.Event); err != nil {
		return false, err
	}
	if job.Failed != "" && job.Finished.IsZero() {
		w.clear()
		return false, fmt.Errorf("the sync failed: %s", job.Failed)
	}
	now := time.Now()
	w.marks = append(w.marks, progressMark{now, w.done()})
	for len(w.marks) > 2 && now.Sub(w.marks[0].at) > rateOver {
		w.marks = w.marks[1:]
	}
	switch {
	case report.IsTerminal(w.env.Err):
		w.draw()
	case now.After(w.lineAt):
		if !w.lineAt.IsZero() {
			w.env.say("%s", w.text())
		}
		w.lineAt = now.Add(lineEvery)
	}
	return job.Over() && catchup.Open(w.counts) == 0, nil
}

// done returns how many runs have ended.
func (w *jobWatch) done() int {
	return max(0, w.job.Runs+w.job.Joined-catchup.Open(w.counts))
}

// total returns the number of runs, which is an estimate until all are found.
func (w *jobWatch) total() int {
	found := w.job.Runs + w.job.Joined
	if w.job.Over() {
		return found
	}
	return max(w.job.Total, found)
}

// rate returns how many runs end in a second.
func (w *jobWatch) rate() float64 {
	if len(w.marks) < 2 {
		return 0
	}
	first, last := w.marks[0], w.marks[len(w.marks)-1]
	took := last.at.Sub(first.at).Seconds()
	if took < 0.5 {
		return 0
	}
	return max(0, float64(last.done-first.done)/took)
}

// text describes the progress.
func (w *jobWatch) text() string {
	parts := []string{fmt.Sprintf("%d/%d", w.done(), w.total())}
	if rate := w.rate(); rate > 0 {
		parts = append(parts, report.Rate(rate))
		if left := w.total() - w.done(); left > 0 {
			parts = append(parts, report.Span(time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))+" left")
		}
	}
	if n := w.counts[journal.Parked]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	if w.job.Waits != "" && !w.job.Over() {
		parts = append(parts, "waits: "+report.OneLine(w.job.Waits))
	}
	if !w.job.Over() && w.job.Stage >= len(w.job.Types) {
		parts = append(parts, "searching for leftovers of deleted entities")
	}
	return strings.Join(parts, "  ")
}

// draw replaces the bar on the terminal.
func (w *jobWatch) draw() {
	width := 80
	if f, ok := w.env.Err.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			width = n
		}
	}
	text := w.text()
	_, _ = io.WriteString(w.env.Err, "\r\x1b[K"+report.Bar(w.job.Rule, w.done(), w.total(), text, width-1))
	w.drawn = true
}

// clear removes the bar.
func (w *jobWatch) clear() {
	if w.drawn {
		_, _ = io.WriteString(w.env.Err, "\r\x1b[K")
		w.drawn = false
	}
}

// finish prints the result.
func (w *jobWatch) finish() error {
	w.clear()
	j, failed := w.job, w.counts[journal.Parked]
	took := time.Since(j.Started)
	r := report.Sync{
		Portal: j.Portal, Rule: j.Rule, Entities: j.Seen, Gone: j.Orphans, Runs: j.Runs, Pending: j.Joined, Failed: failed,
		Seconds: took.Round(time.Millisecond).Seconds(),
	}
	if !j.Since.IsZero() {
		r.Since = &j.Since
	}
	err := report.WriteSync(w.env.Out, w.format, r)
	if err != nil {
		return err
	}
	if j.Failed != "" {
		return fmt.Errorf("the sync is incomplete: %s", j.Failed)
	}
	if failed > 0 {
		w.env.say("to see the failed runs: b24rules runs list --portal %s --rule %s --state parked", j.Portal, j.Rule)
		return errFindings
	}
	return nil
}
