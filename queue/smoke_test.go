package queue_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"b24rules/queue"
)

func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	q, err := queue.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "q.db"), queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- q.Work(ctx, func(ctx context.Context, r *queue.Run) error { fmt.Println("start", time.Since(r.First)); return nil }) }()
	for i := range 10 {
		if err := q.Push(ctx, queue.Event{Portal: "acme", Code: "ONCRMDEALADD"}, []queue.Route{{Rule: "a", Entity: fmt.Sprint("deal:", i)}}); err != nil {
			t.Fatal(err)
		}
		q.WaitIdle(ctx)
	}
	fmt.Println(q.Stats(ctx))
	cancel()
	fmt.Println(<-done)
	fmt.Println(q.Close())
}
