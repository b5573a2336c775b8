package journal

// Did is what a run did. A run of an older version of the program has none, because that did not
// store it.
type Did string

// What runs do.
const (
	Wrote    Did = "wrote"    // it succeeded and wrote something
	Nothing  Did = "nothing"  // its steps ran, and there was nothing to write
	Retrying Did = "retrying" // it failed and is tried again
)

// condition is a condition on a run r. Other words than the ones above are outcomes of a success, as
// Run.Describe has stored them.
func (d Did) condition(place func(any) string) string {
	switch d {
	case Wrote:
		return "r.writes > 0"
	case Nothing:
		return "(r.outcome = 'done' AND r.writes = 0)"
	case Retrying: // as a text, because an index of states would sort all runs in them
		return "(r.state || '' IN ('waiting', 'running') AND r.error <> '')"
	}
	return "r.outcome = " + place(string(d))
}
