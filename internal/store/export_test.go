package store

import "testing"

// SetRoom makes disks have so many free bytes during a test.
func SetRoom(t *testing.T, free uint64) {
	room = func(string) (uint64, bool) { return free, true }
	t.Cleanup(func() { room = freeBytes })
}
