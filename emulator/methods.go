package emulator

import "strings"

// methodTable lists the methods of a portal by their names in lower case.
func methodTable(p *Portal) map[string]*method {
	table := map[string]*method{}
	for _, group := range [][]method{
		platformMethods(p), userMethods(), p.events.methods(),
		legacyMethods(), itemMethods(), typeMethods(p.events.forgetType), categoryMethods(), statusMethods(), enumMethods(), userFieldConfigMethods(),
		timelineMethods(), notifyMethods(), listMethods(),
	} {
		for _, m := range group {
			table[strings.ToLower(m.name)] = &m
		}
	}
	return table
}
