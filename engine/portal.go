package engine

import (
	"context"
	"encoding/json"

	"github.com/b24rules/b24rules/bitrix"
)

// Portal is the portal that a run reads and writes. *bitrix.Client implements it.
type Portal interface {
	// Do sends calls that are ready at the same time and returns their answers
	// in order.
	Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer
	// List reads all pages of a listing call.
	List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error)
	// ListFields describes the fields and properties of a universal list.
	ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error)
	// ListChanged returns when a universal list was last changed, in the portal's
	// format for dates.
	ListChanged(ctx context.Context, iblockType string, iblockID int) (string, error)
	// ItemFields describes the fields of a CRM type.
	ItemFields(ctx context.Context, entityTypeID int) (*bitrix.ItemFields, error)
}

// DefaultCalls is how many REST commands a run may send when its rule has no limit.
const DefaultCalls = 10_000
