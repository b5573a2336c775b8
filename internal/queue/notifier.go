package queue

import (
	"context"
	"fmt"
	"sync"

	"github.com/b24rules/b24rules/internal/wakeup"

	"github.com/riverqueue/river/riverdriver"
)

// A notifier reports to River's producers in this process that their queue has jobs.
type notifier struct {
	mu      sync.Mutex
	pending []string // queues in the order of notify, each once
	wakeUp  wakeup.Signal
}

func newNotifier() *notifier { return &notifier{wakeUp: wakeup.New()} }

// notify announces jobs in a queue.
func (n *notifier) notify(queue string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, q := range n.pending {
		if q == queue {
			return
		}
	}
	n.pending = append(n.pending, queue)
	n.wakeUp.Send()
}

// insertTopic is the topic on which River's producers receive new jobs.
const insertTopic = "river_insert"

// WaitForNotification implements riverdriver.Listener.
func (n *notifier) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if queue, ok := n.take(); ok {
			return &riverdriver.Notification{Topic: insertTopic, Payload: fmt.Sprintf(`{"queue": %q}`, queue)}, nil
		}
		select {
		case <-n.wakeUp:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *notifier) take() (queue string, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == 0 {
		return "", false
	}
	queue, n.pending = n.pending[0], n.pending[1:]
	if len(n.pending) > 0 {
		n.wakeUp.Send() // for a waiter that takes this one's place
	}
	return queue, true
}

// The rest of riverdriver.Listener has nothing to do without a connection.

// Close implements riverdriver.Listener.
func (n *notifier) Close(context.Context) error { return nil }

// Connect implements riverdriver.Listener.
func (n *notifier) Connect(context.Context) error { return nil }

// Listen implements riverdriver.Listener.
func (n *notifier) Listen(context.Context, string) error { return nil }

// Ping implements riverdriver.Listener.
func (n *notifier) Ping(context.Context) error { return nil }

// Schema implements riverdriver.Listener.
func (n *notifier) Schema() string { return "" }

// SetAfterConnectExec implements riverdriver.Listener.
func (n *notifier) SetAfterConnectExec(string) {}

// Unlisten implements riverdriver.Listener.
func (n *notifier) Unlisten(context.Context, string) error { return nil }
