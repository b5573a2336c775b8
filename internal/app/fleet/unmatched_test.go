package fleet

import (
	"strings"
	"testing"
)

// TestUnmatchedFits: what is stored of an event has at most a kilobyte, and says how many rules
// are not named.
func TestUnmatchedFits(t *testing.T) {
	t.Parallel()
	long := ReadUnmatched(unmatchedJSON([]Unmatched{{Rule: "a", Why: strings.Repeat("é", maxWhyNot)}}))
	if len(long) != 1 || !strings.HasSuffix(long[0].Why, "…") {
		t.Errorf("a long reason: %+v", long)
	}
	for _, n := range []int{1, 20, 49, 1000} {
		text := unmatchedJSON(make([]Unmatched, n))
		all := ReadUnmatched(text)
		if len(text) > maxWhyNot || len(all) == 0 || n > 40 && !strings.HasPrefix(all[len(all)-1].Why, "and ") {
			t.Errorf("%d rules: %s", n, text)
		}
	}
}
