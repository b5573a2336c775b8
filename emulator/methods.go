package emulator

import (
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/crm"
	"github.com/b24rules/b24rules/emulator/internal/lists"
	"github.com/b24rules/b24rules/emulator/internal/rest"
)

// methodTable lists the methods of a portal by their names in lower case.
func methodTable(p *Portal) map[string]*rest.Method {
	table := map[string]*rest.Method{}
	for _, group := range [][]rest.Method{
		platformMethods(p), userMethods(), p.events.Methods(),
		crm.LegacyMethods(), crm.ItemMethods(), crm.TypeMethods(p.events.ForgetType), crm.CategoryMethods(), crm.StatusMethods(), crm.EnumMethods(), crm.UserFieldConfigMethods(),
		crm.TimelineMethods(), notifyMethods(), lists.ListMethods(),
	} {
		for _, m := range group {
			table[strings.ToLower(m.Name)] = &m
		}
	}
	return table
}
