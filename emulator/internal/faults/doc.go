// Package faults has the faults of a portal: refusals, lost answers and answers of the wrong shape.
package faults
