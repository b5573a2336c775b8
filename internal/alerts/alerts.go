// Package alerts sends messages to people when something is wrong and when it is over.
//
// A Condition is one thing that is wrong, such as a held portal, or the parked runs of
// one cause. A Keeper compares the conditions with the alerts in the database. For each
// new one it stores a message for each receiver, and another one when it is over. So a
// thing that concerns 500 runs is one message. Stored messages are sent until the receiver
// has taken them: at least once, also after a crash, by one of several processes.
package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/store"
)

const (
	// every is the time between two looks.
	every = 2 * time.Second
	// gather is how long a condition must last before it is sent, unless it says more:
	// in this time the runs of one cause gather. With two looks it is less than ten seconds.
	gather = 5 * time.Second
	// grows is by how many times the number of runs must grow for another message.
	grows = 10
)

// Condition is one thing that is wrong.
type Condition struct {
	Key   string `json:"-"`     // the same as long as it lasts
	Title string `json:"title"` // in a short sentence
	Over  string `json:"over"`  // the title of the message that it is over
	// Text says what helps. The portal's and the rule's names are the only data in it.
	Text    string    `json:"text,omitempty"`
	Portals []string  `json:"portals,omitempty"`
	Rules   []string  `json:"rules,omitempty"`
	Cause   string    `json:"cause,omitempty"` // for runs list --cause
	Runs    int       `json:"runs,omitempty"`
	Since   time.Time `json:"since"`
	// Link is the address of the page that shows more, "" without one.
	Link string `json:"link,omitempty"`
	// Urgent says that it is also sent in quiet hours.
	Urgent bool `json:"urgent,omitempty"`
	// After is how long it must last before it is sent. 0 means five seconds.
	After time.Duration `json:"-"`
	// Repeat is after what time it is sent again while it lasts. 0 means never.
	Repeat time.Duration `json:"-"`
	// Quiet says that nothing is sent about it now, but its end if its start was sent. It
	// is not over.
	Quiet bool `json:"-"`
	// Unknown says that it cannot be seen whether it lasts. An alert that was sent is not over
	// then, and one that was not sent starts over.
	Unknown bool `json:"-"`
}

// The states of a message.
const (
	Started = "started"
	Grown   = "grown"   // it concerns ten times as many runs as the last message said
	Lasting = "lasting" // for as long as Repeat
	Ended   = "ended"
	Daily   = "daily" // the summary of a day
	Test    = "test"
	Held    = "held back" // there were too many messages: this one replaces the others
)

// Message is what a receiver gets.
type Message struct {
	// ID is the same when a message is sent again, and different for all others.
	ID    string    `json:"id"`
	State string    `json:"state"`
	Key   string    `json:"alert,omitempty"` // the same in all messages about one condition
	At    time.Time `json:"at"`
	Condition
}

// ForPeople is the message as text.
func (m Message) ForPeople() string {
	text := m.Title
	switch m.State {
	case Ended:
		return "Over: " + m.Over
	case Grown:
		text = "Still: " + text
	case Lasting:
		text = fmt.Sprintf("Still, since %s UTC: %s", m.Since.UTC().Format("2006-01-02 15:04"), text)
	}
	if m.Condition.Text != "" {
		text += "\n" + m.Condition.Text
	}
	if m.Link != "" {
		text += "\n" + m.Link
	}
	return text
}

// A Sink delivers a message to one receiver. An error says that it may not have arrived:
// the message is sent again. A RetryAfter says when.
type Sink interface {
	Send(ctx context.Context, m Message) error
}

// RetryAfter is an error of a Sink whose receiver names the time for the next message.
type RetryAfter struct {
	Wait time.Duration
	Err  error
}

func (e *RetryAfter) Error() string { return e.Err.Error() }

// Unwrap returns the error of the receiver.
func (e *RetryAfter) Unwrap() error { return e.Err }

// Receiver is a sink with its name in the configuration.
type Receiver struct {
	Name string
	Sink Sink
	// Now says that it gets each alert, Daily that it gets the daily summary.
	Now, Daily bool
}

// Hours are the hours of each day from a time to another one, which may be on the next day.
// The zero value has none.
type Hours struct {
	From, To int // in minutes after midnight
	Zone     *time.Location
}

// has reports whether a time is in the hours.
func (h Hours) has(at time.Time) bool {
	at = h.in(at)
	now := at.Hour()*60 + at.Minute()
	if h.From <= h.To {
		return h.From <= now && now < h.To
	}
	return h.From <= now || now < h.To
}

func (h Hours) in(at time.Time) time.Time {
	if h.Zone == nil {
		return at.Local()
	}
	return at.In(h.Zone)
}

// Source returns the current conditions.
type Source func(ctx context.Context, now time.Time) ([]Condition, error)

// Keeper stores and sends alerts. DB and Log are required.
type Keeper struct {
	DB        store.DB
	Receivers []Receiver
	// Shared are the conditions that all processes see in the database.
	Shared Source
	// Own are the conditions that only this process sees, such as rule files on its disk.
	// Process is its name: another process does not end these alerts.
	Own     Source
	Process string
	// Quiet are the hours in which only urgent alerts are sent. What is not urgent waits for
	// their end, and is not sent at all if it is over by then.
	Quiet Hours
	// Summary makes the daily summary of what is wrong, due at DailyAt minutes after midnight
	// in the zone of Quiet. nil makes none.
	Summary func(ctx context.Context, now time.Time, wrong []Condition) (Condition, error)
	DailyAt int
	// Home returns the address of the console, "" without one. nil means none.
	Home func() string
	// Hide hides secrets in messages. nil hides none.
	Hide *redact.Redactor
	// Sent, if not nil, is called after each attempt to send a message.
	Sent func(receiver string, err error)
	Log  *slog.Logger
}

// Run looks every few seconds until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := k.Step(ctx, time.Now()); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot look for alerts, trying again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Step looks once: it stores new messages and sends those that are due. A receiver that
// does not take a message is no error of Step.
func (k *Keeper) Step(ctx context.Context, now time.Time) error {
	var errs []error
	var wrong []Condition
	for _, s := range []struct {
		scope  string
		source Source
	}{{"", k.Shared}, {k.Process, k.Own}} {
		if s.source == nil {
			continue
		}
		found, err := s.source(ctx, now)
		if err == nil {
			wrong = append(wrong, found...)
			err = k.compare(ctx, s.scope, found, now)
		}
		errs = append(errs, err)
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, k.summarise(ctx, wrong, now))
	}
	var wg sync.WaitGroup
	failed := make([]error, len(k.Receivers))
	for i, r := range k.Receivers {
		wg.Go(func() { failed[i] = k.deliver(ctx, r, now) })
	}
	wg.Wait()
	return errors.Join(append(append(errs, failed...), k.sweep(ctx, now))...)
}

// compare starts alerts for new conditions, and ends those of conditions that are over.
func (k *Keeper) compare(ctx context.Context, scope string, found []Condition, now time.Time) error {
	known, err := readAlerts(ctx, k.DB, scope)
	if err != nil {
		return err
	}
	for _, c := range found {
		a, ok := known[c.Key]
		if c.Unknown && (!ok || a.sent.IsZero()) {
			continue
		}
		delete(known, c.Key)
		c.Title, c.Over, c.Text = k.hide(c.Title), k.hide(c.Over), k.hide(c.Text)
		if c.Since.IsZero() {
			if c.Since = now; ok {
				c.Since = a.condition.Since
			}
		}
		if ok {
			err = k.lasts(ctx, a, c, now)
		} else {
			err = insertAlert(ctx, k.DB, scope, c, now)
		}
		if err != nil {
			return err
		}
	}
	for _, a := range known {
		if err := k.ended(ctx, a, now); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) home() string {
	if k.Home == nil {
		return ""
	}
	return k.Home()
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (k *Keeper) hide(text string) string { return k.Hide.Text(text) }

// lasts sends the first message of an alert, and further ones if it grows or lasts.
func (k *Keeper) lasts(ctx context.Context, a alert, c Condition, now time.Time) error {
	state := ""
	switch {
	case c.Quiet || c.Unknown || !c.Urgent && k.Quiet.has(now):
		return nil
	case a.sent.IsZero() && now.Sub(a.seen) >= c.After && now.Sub(earliest(a.seen, c.Since)) >= gather:
		state = Started
	case a.sent.IsZero():
		return nil
	case a.runs > 0 && c.Runs >= grows*a.runs:
		state = Grown
	case c.Repeat > 0 && now.Sub(a.sent) >= c.Repeat:
		state = Lasting
	default:
		return nil
	}
	return k.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		mine, err := markAlert(ctx, t, a, c, now)
		if err != nil || !mine {
			return err // another process has sent it
		}
		return k.insertMessages(ctx, t, isNow, Message{State: state, Key: a.key, At: now, Condition: c})
	})
}

// ended ends an alert, and says so if its start was sent. In quiet hours it waits.
func (k *Keeper) ended(ctx context.Context, a alert, now time.Time) error {
	if !a.sent.IsZero() && !a.condition.Urgent && k.Quiet.has(now) {
		return nil
	}
	return k.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		mine, err := deleteAlert(ctx, t, a)
		if err != nil || !mine || a.sent.IsZero() {
			return err
		}
		a.condition.Link = "" // it shows what is no longer there
		return k.insertMessages(ctx, t, isNow, Message{State: Ended, Key: a.key, At: now, Condition: a.condition})
	})
}

func isNow(r Receiver) bool   { return r.Now }
func isDaily(r Receiver) bool { return r.Daily }

// insertMessages stores a message for each receiver that gets it.
func (k *Keeper) insertMessages(ctx context.Context, t store.Tx, gets func(Receiver) bool, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for _, r := range k.Receivers {
		if !gets(r) {
			continue
		}
		if err := insertMessage(ctx, t, r.Name, string(body), m.At); err != nil {
			return err
		}
	}
	return nil
}

// SendTest sends a test message to each receiver at once, and returns the error of each,
// nil for those that took it. It stores nothing.
func SendTest(ctx context.Context, receivers []Receiver, now time.Time) []error {
	errs := make([]error, len(receivers))
	var wg sync.WaitGroup
	for i, r := range receivers {
		wg.Go(func() {
			errs[i] = r.Sink.Send(ctx, Message{
				ID: fmt.Sprintf("test-%d", now.UnixNano()), State: Test, At: now,
				Condition: Condition{Title: "This is a test of b24rules: alerts arrive here.", Since: now},
			})
		})
	}
	wg.Wait()
	return errs
}
