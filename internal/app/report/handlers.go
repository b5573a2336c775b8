package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
)

// handler is the printed form of a subscription.
type handler struct {
	Event     string `json:"event"`
	Handler   string `json:"handler,omitempty"`
	Offline   bool   `json:"offline,omitempty"`
	Connector string `json:"connector,omitempty"`
}

// Unbind are the event handlers of an application in a portal: those to remove and
// those to keep.
type Unbind struct {
	Portal       string
	Removed      bool
	Unbind, Keep []bitrix.Subscription
}

// WriteUnbind prints event handlers; format is text or json.
func WriteUnbind(w io.Writer, format string, u Unbind) error {
	if format == "json" {
		return WriteJSON(w, struct {
			Portal  string    `json:"portal"`
			Removed bool      `json:"removed"`
			Unbind  []handler `json:"unbind"`
			Keep    []handler `json:"keep"`
		}{u.Portal, u.Removed, handlers(u.Unbind), handlers(u.Keep)})
	}
	var s strings.Builder
	verb := "to unbind"
	if u.Removed {
		verb = "unbound"
	}
	fmt.Fprintf(&s, "portal %s: %s %s\n", u.Portal, Plural(len(u.Unbind), "handler", "handlers"), verb)
	writeHandlers(&s, u.Unbind)
	if len(u.Keep) > 0 {
		fmt.Fprintf(&s, "%s:\n", Plural(len(u.Keep), "handler stays", "handlers stay"))
		writeHandlers(&s, u.Keep)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func handlers(all []bitrix.Subscription) []handler {
	out := make([]handler, len(all))
	for i, s := range all {
		out[i] = handler(s)
	}
	return out
}

// writeHandlers writes a line for each handler.
func writeHandlers(s *strings.Builder, all []bitrix.Subscription) {
	width := 0
	for _, h := range all {
		width = max(width, len(h.Event))
	}
	for _, h := range all {
		to := h.Handler
		if h.Offline {
			to = "kept by the portal"
		}
		fmt.Fprintf(s, "  %-*s  %s\n", width, OneLine(h.Event), OneLine(to))
	}
}
