package console_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/store"
)

// TestUndeliveredAlerts: the first page and status say which receiver does not take its alerts and why. A receiver
// that the configuration has no more, one whose first attempt has not ended, and one that has taken all are not
// listed, and users of some portals see none.
func TestUndeliveredAlerts(t *testing.T) {
	t.Parallel()
	const secret = "canary-token-6601"
	w := newWorld(t, users(t)...)
	c := *w.config.Load()
	for _, name := range []string{"bot", "hook", "mail"} {
		c.Alerts = append(c.Alerts, config.AlertReceiver{Name: name, Webhook: bitrix.Secret("https://ops.example/" + secret)})
	}
	c.Redactor.Set("test", secret)
	w.config.Store(&c)
	q := w.h.Service.Queue()
	at := time.Date(2026, 11, 29, 9, 6, 0, 0, time.Local)
	err := q.Database().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for _, m := range []struct {
			receiver string
			attempts int
			err      string
			sent     int64
		}{{"bot", 3, "the Telegram API answered with status 401: " + secret, 0}, {"bot", 0, "", 0}, {"hook", 1, "", 0}, {"mail", 2, "", 1}, {"old", 3, "no such host", 0}} {
			if _, err := tx.Exec(ctx, `INSERT INTO b24_alert_message (receiver, body, created_at, due_at, attempts, error, sent_at) VALUES ($1, '{}', $2, $2, $3, $4, $5)`, m.receiver, at.UnixMicro(), m.attempts, m.err, m.sent); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	oncall, customer := w.client(), w.client()
	oncall.signIn("oncall", "correct horse")
	customer.signIn("customer", "correct horse")
	page := oncall.get("/portals")
	oncall.want(page, http.StatusOK, "Alerts do not reach bot since 2026-11-29 09:06, 2 messages wait: the Telegram API answered with status 401: &lt;secret&gt;")
	program := oncall.get("/portals", "Accept", "application/json")
	oncall.want(program, http.StatusOK, `"undelivered_alerts"`, `"receiver": "bot"`)
	for _, a := range []answer{page, program} {
		for _, not := range []string{"reach hook", "reach mail", "reach old", `"hook"`, `"old"`, secret} {
			if strings.Contains(a.body, not) {
				t.Errorf("there is %q", not)
			}
		}
	}
	if a := customer.get("/portals"); strings.Contains(a.body, "do not reach") {
		t.Error("a user of some portals sees alerts")
	}
	s, err := report.ReadStatus(t.Context(), q, []string{demo.PortalName}, true)
	if err != nil {
		t.Fatal(err)
	}
	s.OnlyAlertsTo(c.Alerts)
	var text strings.Builder
	if err := s.Write(&text, false); err != nil || !s.NeedsLook() || !strings.Contains(text.String(), "bot takes none since 2026-11-29 09:06:00") || strings.Count(text.String(), "\n") != 2 {
		t.Errorf("status: %v\n%s", err, text.String())
	}
}
