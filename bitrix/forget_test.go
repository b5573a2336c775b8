package bitrix

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestForgetFields: only descriptions that were read before a time are read again.
func TestForgetFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetadata(time.Hour)
		reads := 0
		get := func() {
			if _, err := m.get(context.Background(), "item 2", func() (any, error) { reads++; return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
		get()
		time.Sleep(time.Second)
		now := time.Now()
		if !m.forget(now) || m.forget(now) {
			t.Error("the description is not forgotten once")
		}
		get()
		if m.forget(now) {
			t.Error("a newer description is forgotten")
		}
		if get(); reads != 2 {
			t.Errorf("%d reads, want 2", reads)
		}
	})
}
