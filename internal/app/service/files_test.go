package service

import "testing"

func TestMaxConnections(t *testing.T) {
	for _, tt := range []struct {
		desired, portals int
		files            uint64
		want             int
	}{
		{1000, 1, 0, 1000},          // unknown
		{1000, 1, 1 << 63, 1000},    // unlimited
		{1000, 1, 1_000_000, 1000},  // enough
		{1000, 1, 1024, 924},        // fewer than desired
		{1000, 10, 1024, 816},       // portals need connections too
		{1000, 200, 1024, 256},      // a quarter at least
		{100, 200, 1024, 100},       // desired is less
		{100_000, 1, 65_536, 65436}, // the largest configurable number
	} {
		if got := maxConnections(tt.desired, tt.portals, tt.files); got != tt.want {
			t.Errorf("maxConnections(%d, %d, %d) = %d, want %d", tt.desired, tt.portals, tt.files, got, tt.want)
		}
	}
}
