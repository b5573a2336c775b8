package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

const (
	// sendTimeout bounds one attempt to send a message.
	sendTimeout = 10 * time.Second
	// firstWait and mostWait bound the wait after a failure, which doubles.
	firstWait = 10 * time.Second
	mostWait  = 5 * time.Minute
	// claimFor is how long a process may take to send a message before another one does.
	claimFor = time.Minute

	// mostPerHour is how many messages a receiver gets in an hour. What is more waits, and
	// becomes one message.
	mostPerHour = 10

	// keepFor is how long messages stay in the database, also those that no receiver took.
	keepFor = 7 * 24 * time.Hour
)

// deliver sends the due messages of a receiver, oldest first. It stops at the first that
// the receiver does not take.
func (k *Keeper) deliver(ctx context.Context, r Receiver, now time.Time) error {
	for {
		waiting, err := readMessages(ctx, k.DB, r.Name)
		if err != nil || len(waiting) == 0 || waiting[0].due.After(now) {
			return err
		}
		sent, err := sentSince(ctx, k.DB, r.Name, now.Add(-time.Hour))
		if err != nil || sent >= mostPerHour {
			return err
		}
		if len(waiting) > mostPerHour {
			if err := k.holdBack(ctx, r.Name, waiting, now); err != nil {
				return err
			}
			continue
		}
		taken, err := k.send(ctx, r, waiting[0], now)
		if err != nil || !taken {
			return err
		}
	}
}

// holdBack replaces waiting messages by one.
func (k *Keeper) holdBack(ctx context.Context, receiver string, waiting []stored, now time.Time) error {
	m := Message{State: Held, At: now, Condition: Condition{
		Title: fmt.Sprintf("%d alerts were held back, because there were too many.", len(waiting)),
		Text:  "b24rules status shows what is wrong now.", Since: waiting[0].created, Link: k.home(),
	}}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return k.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		n, err := dropMessages(ctx, t, receiver, waiting[len(waiting)-1].id)
		if err != nil || n == 0 {
			return err
		}
		return insertMessage(ctx, t, receiver, string(body), now)
	})
}

// send claims a message and sends it.
func (k *Keeper) send(ctx context.Context, r Receiver, s stored, now time.Time) (taken bool, err error) {
	mine, err := claimMessage(ctx, k.DB, s, now)
	if err != nil || !mine {
		return false, err
	}
	var m Message
	if err := json.Unmarshal([]byte(s.body), &m); err != nil {
		return false, fmt.Errorf("stored alert %d: %w", s.id, err)
	}
	m.ID = strconv.FormatInt(s.created.UnixMicro(), 36) + "-" + strconv.FormatInt(s.id, 10)
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	failed := r.Sink.Send(sending, m)
	if k.Sent != nil {
		k.Sent(r.Name, failed)
	}
	// The end of ctx must not leave a message that has arrived as one that waits.
	ctx = context.WithoutCancel(ctx)
	if failed == nil {
		return true, messageSent(ctx, k.DB, s.id, now)
	}
	text := k.Hide.Text(failed.Error())
	wait := min(firstWait<<min(s.attempts, 20), mostWait)
	var later *RetryAfter
	if errors.As(failed, &later) {
		wait = max(wait, later.Wait)
	}
	k.Log.Warn("cannot send an alert, trying again", "receiver", r.Name, "error", text, "attempt", s.attempts+1, "next", now.Add(wait))
	return false, messageFailed(ctx, k.DB, s.id, text, now.Add(wait))
}

// sweep deletes old messages. It reports those that were never sent.
func (k *Keeper) sweep(ctx context.Context, now time.Time) error {
	lost, err := deleteOld(ctx, k.DB, now.Add(-keepFor))
	if lost > 0 {
		k.Log.Error("alerts were given up after a week, because a receiver did not take them", "alerts", lost)
	}
	return err
}
