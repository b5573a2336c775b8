package alerts

import (
	"context"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// scopeDaily is the scope of the row that says when the last daily summary was made.
const scopeDaily = "daily summary"

// summarise stores the daily summary when it is due, once for all processes. wrong are the
// conditions that this process sees.
func (k *Keeper) summarise(ctx context.Context, wrong []Condition, now time.Time) error {
	if k.Summary == nil || !slices.ContainsFunc(k.Receivers, isDaily) {
		return nil
	}
	last, err := readAlerts(ctx, k.DB, scopeDaily)
	if err != nil {
		return err
	}
	was, ok := last[scopeDaily]
	if !ok { // the first start: the next summary is the first
		return insertAlert(ctx, k.DB, scopeDaily, Condition{Key: scopeDaily}, now)
	}
	if now.Before(k.nextSummary(latest(was.seen, was.sent))) {
		return nil
	}
	others, err := readOthers(ctx, k.DB, k.Process)
	if err != nil {
		return err
	}
	var all []Condition
	for _, c := range append(slices.Clone(wrong), others...) {
		if c.Quiet || c.Unknown || !c.Since.IsZero() && now.Sub(c.Since) < c.After {
			continue
		}
		c.Title, c.Text = k.hide(c.Title), k.hide(c.Text)
		all = append(all, c)
	}
	c, err := k.Summary(ctx, now, all)
	if err != nil {
		return err
	}
	c.Title, c.Text, c.Since, c.Link = k.hide(c.Title), k.hide(c.Text), now, k.home()
	return k.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		mine, err := markAlert(ctx, t, was, Condition{}, now)
		if err != nil || !mine {
			return err // another process has made it
		}
		return k.insertMessages(ctx, t, isDaily, Message{State: Daily, At: now, Condition: c})
	})
}

// nextSummary is when the first summary after a time is due.
func (k *Keeper) nextSummary(last time.Time) time.Time {
	local := k.Quiet.in(last)
	for day := 0; ; day++ {
		due := time.Date(local.Year(), local.Month(), local.Day()+day, k.DailyAt/60, k.DailyAt%60, 0, 0, local.Location())
		if due.After(last) {
			return due
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
