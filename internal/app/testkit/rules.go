package testkit

// Rule is a rule file with one rule for updates of deals, which does not wait for
// further events.
func Rule(id, steps string) string {
	return "version: 1\nrules:\n  " + id + ":\n    on: ONCRMDEALUPDATE\n    debounce: 0s\n    steps:\n" + steps
}

// ReadDeal is a step that reads the deal of an event.
const ReadDeal = "      - fetch_item: {owner: deal, id: =event.id}\n        id: deal\n"
