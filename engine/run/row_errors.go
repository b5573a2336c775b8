package run

import (
	"encoding/json"
	"fmt"
)

// rowErrors collects the failures of a for_each: one failed row does not hide
// the others.
type rowErrors struct {
	count int
	first int
	cause error
}

func (r *rowErrors) add(row int, err error) {
	// The failure that asks for another attempt decides what becomes of the
	// run: the rows that are done find nothing to do then.
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

// canonicalJSON writes a value with sorted keys. Values of formulas can always
// be written.
func canonicalJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
