package report

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/alerts"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/queue"
)

// Undelivered are alerts that a receiver does not take.
type Undelivered struct {
	Receiver string    `json:"receiver"` // its name in alerts of the configuration
	Messages int       `json:"messages"` // that wait
	Since    time.Time `json:"since"`    // the oldest
	Error    string    `json:"error"`    // of the last attempt
}

// readUndelivered reads the receivers that do not take their messages.
func readUndelivered(ctx context.Context, q *queue.Queue) ([]Undelivered, error) {
	waiting, err := alerts.WaitingMessages(ctx, q.Database())
	if err != nil {
		return nil, err
	}
	var out []Undelivered
	for _, w := range waiting {
		if w.Error != "" { // the first attempt of others has not ended
			out = append(out, Undelivered{w.Receiver, w.Messages, w.Since, w.Error})
		}
	}
	return out, nil
}

// OnlyAlertsTo omits the receivers that the configuration does not have any more.
func (s *Status) OnlyAlertsTo(configured []config.AlertReceiver) {
	s.Alerts = slices.DeleteFunc(s.Alerts, func(u Undelivered) bool {
		return !slices.ContainsFunc(configured, func(r config.AlertReceiver) bool { return r.Name == u.Receiver })
	})
}

func (u Undelivered) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "alerts\t%s takes none since %s\t%s; %s; b24rules alerts test tries it\n", u.Receiver, u.Since.Local().Format(time.DateTime), Plural(u.Messages, "message waits", "messages wait"), OneLine(u.Error))
}
