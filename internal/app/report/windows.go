package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/b24rules/b24rules/internal/catchup"
)

// Window is a time that is not caught up.
type Window struct {
	Portal string    `json:"portal"`
	Rule   string    `json:"rule,omitempty"` // "" for all rules
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Why    string    `json:"why"`
	// Note is why it was not caught up so far.
	Note string `json:"note,omitempty"`
	// Held says that a person has to decide; otherwise Next is when serve tries again.
	Held bool       `json:"held,omitempty"`
	Next *time.Time `json:"next,omitempty"`
}

func newWindow(w catchup.Window) Window {
	return Window{Portal: w.Portal, Rule: w.Rule, From: w.From, To: w.To, Why: w.Why, Note: w.Note, Held: w.Held, Next: stamp(w.Next)}
}

// about names the rule of a window.
func (w Window) about() string {
	if w.Rule == "" {
		return "all"
	}
	return w.Rule
}

// state says what happens to the window.
func (w Window) state() string {
	switch {
	case w.Held:
		return "b24rules catchup run|drop decides: " + OneLine(w.Note)
	case w.Note != "" && w.Next != nil:
		return fmt.Sprintf("again %s: %s", w.Next.Local().Format(time.DateTime), OneLine(w.Note))
	}
	return "serve catches up"
}

// WriteWindows prints windows; format is text or json.
func WriteWindows(w io.Writer, format string, all []catchup.Window) error {
	out := make([]Window, len(all))
	for i, one := range all {
		out[i] = newWindow(one)
	}
	if format == "json" {
		return WriteJSON(w, out)
	}
	if len(out) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "PORTAL\tRULE\tFROM\tTO\tWHY\tSTATE")
	for _, one := range out {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Portal, one.about(),
			one.From.Local().Format(time.DateTime), one.To.Local().Format(time.DateTime), one.Why, one.state())
	}
	return t.Flush()
}
