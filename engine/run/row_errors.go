package run

import (
	"encoding/json"
	"fmt"
)

// rowErrors collects the failures of a for_each. A failed row does not stop the others.
type rowErrors struct {
	count int
	first int
	cause error
}

func (r *rowErrors) add(row int, err error) {
	// A failure with the verdict Retry decides what follows. In the next attempt the
	// rows that succeeded find nothing to write.
	if v, _ := verdictOf(err); r.cause == nil || v == Retry {
		r.cause, r.first = err, row
	}
	r.count++
}

func (r *rowErrors) err(rows int) error {
	if r.count == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d rows failed, row %d: %w", r.count, rows, r.first+1, r.cause)
}

// canonicalJSON encodes a value with sorted keys. For values of formulas it never fails.
func canonicalJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
