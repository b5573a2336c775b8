package queue

import (
	"context"
	"fmt"
	"sync"

	"github.com/riverqueue/river/riverdriver"
)

// A bell tells River's producers in this process that their queue has jobs.
type bell struct {
	mu    sync.Mutex
	rung  []string // queues in the order of ringing, each once
	sound chan struct{}
}

func newBell() *bell { return &bell{sound: make(chan struct{}, 1)} }

// ring announces jobs in a queue.
func (b *bell) ring(queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.rung {
		if q == queue {
			return
		}
	}
	b.rung = append(b.rung, queue)
	b.again()
}

func (b *bell) again() {
	select {
	case b.sound <- struct{}{}:
	default:
	}
}

// insertTopic is the topic on which River's producers hear of new jobs.
const insertTopic = "river_insert"

// WaitForNotification implements riverdriver.Listener.
func (b *bell) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if queue, ok := b.take(); ok {
			return &riverdriver.Notification{Topic: insertTopic, Payload: fmt.Sprintf(`{"queue": %q}`, queue)}, nil
		}
		select {
		case <-b.sound:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *bell) take() (queue string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rung) == 0 {
		return "", false
	}
	queue, b.rung = b.rung[0], b.rung[1:]
	if len(b.rung) > 0 {
		b.again() // for a waiter that takes this one's place
	}
	return queue, true
}

// The rest of riverdriver.Listener has nothing to do without a connection.

// Close implements riverdriver.Listener.
func (b *bell) Close(context.Context) error { return nil }

// Connect implements riverdriver.Listener.
func (b *bell) Connect(context.Context) error { return nil }

// Listen implements riverdriver.Listener.
func (b *bell) Listen(context.Context, string) error { return nil }

// Ping implements riverdriver.Listener.
func (b *bell) Ping(context.Context) error { return nil }

// Schema implements riverdriver.Listener.
func (b *bell) Schema() string { return "" }

// SetAfterConnectExec implements riverdriver.Listener.
func (b *bell) SetAfterConnectExec(string) {}

// Unlisten implements riverdriver.Listener.
func (b *bell) Unlisten(context.Context, string) error { return nil }
