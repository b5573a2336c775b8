package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/b24rules/b24rules/internal/reload"
)

// WriteReload writes what processes answered to a reload, as text or json.
func WriteReload(w io.Writer, format string, answers []reload.Answer) error {
	if format == "json" {
		return WriteJSON(w, struct {
			Schema    string          `json:"schema"`
			Processes []reload.Answer `json:"processes"`
		}{"b24rules/reload/1", answers})
	}
	var b strings.Builder
	for _, a := range answers {
		fmt.Fprintf(&b, "%s\n", a.Process)
		for _, c := range a.Changes {
			fmt.Fprintf(&b, "  %s\n", c)
		}
		for _, r := range a.Refused {
			fmt.Fprintf(&b, "  not taken: %s\n", r)
		}
		if len(a.Restart) > 0 {
			fmt.Fprintf(&b, "  restart serve for the changes of: %s\n", strings.Join(a.Restart, ", "))
		}
		if len(a.Missing) > 0 {
			fmt.Fprintf(&b, "  not taken: the configuration does not have %s any more: %s. If that is meant: b24rules reload --yes\n",
				Plural(len(a.Missing), "portal", "portals"), strings.Join(a.Missing, ", "))
		}
		switch {
		case a.Live() && len(a.Changes) == 0:
			b.WriteString("  nothing has changed, and what is on disk runs\n")
		case a.Live():
			b.WriteString("  what is on disk runs\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
