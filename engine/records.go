package engine

import "context"

// Records says what rules have made in the portal of a run. It is for steps that are about to make
// records next to others that no rule of the portal seems to have.
type Records interface {
	// Owners returns the marks of the rules that run and make elements of a list, also of those
	// whose list only a run knows. See PlaceOfList.
	Owners(place string) []Mark
	// Recorded returns which records of a place the ledger has, under any mark.
	Recorded(ctx context.Context, place string, ids []int) (map[int]bool, error)
	// HasMade reports whether the ledger has a record of a place that a step of a rule has made.
	HasMade(ctx context.Context, rule, step, place string) (bool, error)
	// MadeFor returns the ids of at most n records of a place that a step of a rule has made or
	// written last in runs about an entity. It may not know those of the last minute.
	MadeFor(ctx context.Context, rule, step, place string, e Entity, n int) ([]int, error)
}
