package actions

import "github.com/b24rules/b24rules/engine"

// All are the actions that ship with b24rules, in the order of the manual. A
// program with its own actions appends them to a clone.
var All = []*engine.Action{
	Start,
	FetchProducts,
	FetchItem,
	FetchItems,
	FetchElements,
	Compute,
	Aggregate,
	NextNumber,
	UpsertItem,
	UpdateItem,
	SetProducts,
	SyncItems,
	DeleteItems,
	UpsertElement,
	SyncElements,
	DeleteElements,
	CallMethod,
	HTTPPost,
	HTTP,
	Notify,
	Log,
	Stop,
	Fail,
}
