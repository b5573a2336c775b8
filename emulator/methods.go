package emulator

import "strings"

// methodTable lists the methods of a portal by their names in lower case.
func methodTable(p *Portal) map[string]*Method {
	table := map[string]*Method{}
	for _, group := range [][]Method{
		platformMethods(p), userMethods(), p.events.methods(),
		legacyMethods(), itemMethods(), typeMethods(p.events.forgetType), categoryMethods(), statusMethods(), enumMethods(), userFieldConfigMethods(),
		timelineMethods(), notifyMethods(), listMethods(),
	} {
		for _, m := range group {
			table[strings.ToLower(m.Name)] = &m
		}
	}
	return table
}
