package plan

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
)

// DeleteLimit is the largest number of records that a sync may delete at once.
type DeleteLimit struct {
	count   int
	percent bool
}

// Defaults of a sync. A step that would delete more than half of its records has
// more likely read wrong data.
const (
	defaultDeletePercent = 50
	leastDeletes         = 5
)

// ParseDeleteLimit reads 200 or "50%". nil means the default.
func ParseDeleteLimit(v any) (*DeleteLimit, error) {
	wrong := fmt.Errorf("delete_limit takes a number such as 200 or a share such as 50%%")
	switch x := v.(type) {
	case nil:
		return nil, nil
	case num.Num:
		n, ok := x.Int64()
		if !ok || n < 0 {
			return nil, wrong
		}
		return &DeleteLimit{count: int(n)}, nil
	case string:
		digits, percent := strings.CutSuffix(x, "%")
		n, err := num.Parse(digits)
		whole, ok := n.Int64()
		if err != nil || !ok || whole < 0 || (percent && whole > 100) {
			return nil, wrong
		}
		return &DeleteLimit{count: int(whole), percent: percent}, nil
	}
	return nil, wrong
}

// of is the limit for a step that owns mine records.
func (l *DeleteLimit) of(mine int) int {
	switch {
	case l == nil:
		return max(mine*defaultDeletePercent/100, leastDeletes)
	case l.percent:
		return mine * l.count / 100
	}
	return l.count
}

// Check returns an error if deletes exceeds the limit for a step that owns mine
// records. noun is elements or items.
func (l *DeleteLimit) Check(deletes, mine int, noun string) error {
	if limit := l.of(mine); deletes > limit {
		return engine.ParkErrorOf("delete_limit", "the step would delete %d of %d %s, but its limit is %d: nothing was written; raise delete_limit if this is right", deletes, mine, noun, limit)
	}
	return nil
}
