package actions

import "b24rules/engine"

// All returns the actions that ship with b24rules, in the order of the manual.
// A program with actions of its own appends them.
func All() []*engine.Action {
	return []*engine.Action{
		FetchProducts,
		FetchItem,
		FetchItems,
		FetchElements,
		Compute,
		Aggregate,
		UpsertItem,
		UpdateItem,
		DeleteItems,
		UpsertElement,
		SyncElements,
		DeleteElements,
		CallMethod,
		Log,
		Stop,
		Fail,
	}
}
