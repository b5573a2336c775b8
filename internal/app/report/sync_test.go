package report

import "testing"

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		done, total, width int
		text, want         string
	}{
		{0, 100, 60, "0/100", "r [----------------------------------------]   0%  0/100"},
		{50, 100, 40, "50/100  5/s", "r [=========---------]  50%  50/100  5/s"},
		{100, 100, 40, "100/100", "r [======================] 100%  100/100"},
		{7, 0, 20, "7/0 and a long text", "r   0%  7/0 and a l…"},
	} {
		if got := Bar("r", tt.done, tt.total, tt.text, tt.width); got != tt.want || len([]rune(got)) > tt.width {
			t.Errorf("%d/%d in %d:\n%q\nwant\n%q", tt.done, tt.total, tt.width, got, tt.want)
		}
	}
}
