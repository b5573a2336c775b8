package crm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// fire raises the event of a change. Leads, deals, contacts, companies and
// estimates have their own events, whichever method changed them. Smart
// processes raise the base event and the one with their type's suffix; smart
// invoices only the base event, since portals list no suffixed one for them.
func fire(c *rest.Call, t *model.EntityType, op string, id int64) {
	op = strings.ToUpper(op)
	if t.OwnEvents() {
		c.Raise("ONCRM"+t.Code+op, value.Object("ID", value.Text(value.FromInt(id))))
		return
	}
	fields := value.Object("ID", value.Text(value.FromInt(id)), "ENTITY_TYPE_ID", strconv.Itoa(t.ID))
	c.Raise("ONCRMDYNAMICITEM"+op, fields)
	if t.ID >= model.FirstDynamicType {
		c.Raise("ONCRMDYNAMICITEM"+op+"_"+strconv.Itoa(t.ID), fields)
	}
}

// fireType raises the event of a smart process itself. It names the type's own
// id, not its entityTypeId.
// https://apidocs.bitrix24.com/api-reference/crm/universal/events/type/index.html
func fireType(c *rest.Call, t *model.EntityType, op string) {
	c.Raise("ONCRMTYPE"+strings.ToUpper(op), value.Object("ID", strconv.Itoa(t.Dynamic.ID)))
}

// fireMove raises the event of a deal that went to another pipeline.
// https://apidocs.bitrix24.com/api-reference/crm/deals/events/index.html
func fireMove(c *rest.Call, it *model.Item) {
	c.Raise("ONCRMDEALMOVETOCATEGORY", value.Object("ID", value.Text(value.FromInt(it.ID)),
		"CATEGORY_ID", query.Plain(it.Values["CATEGORY_ID"]), "STAGE_ID", query.Plain(it.Values["STAGE_ID"])))
	if c.Options.MoveAlsoUpdates {
		fire(c, it.Type, rest.OpUpdate, it.ID)
	}
}

// EventCodes are the codes of all events of the CRM that the portal raises. Those with the
// suffix of a smart process are the same events again and are not among them.
func EventCodes() []string {
	changes := []string{"ADD", "UPDATE", "DELETE"}
	fields := []string{"USERFIELDADD", "USERFIELDUPDATE", "USERFIELDDELETE", "USERFIELD" + strings.ToUpper(opSetValues)}
	out := []string{"ONCRMDEALMOVETOCATEGORY"}
	for _, of := range []struct {
		name string
		ops  [][]string
	}{
		{"LEAD", [][]string{changes, fields}},
		{"DEAL", [][]string{changes, fields}},
		{"CONTACT", [][]string{changes, fields}},
		{"COMPANY", [][]string{changes, fields}},
		{"QUOTE", [][]string{changes, fields}},
		{"TYPE", [][]string{changes, fields}},
		{"DYNAMICITEM", [][]string{changes}},
		{"TIMELINECOMMENT", [][]string{changes}},
	} {
		for _, op := range slices.Concat(of.ops...) {
			out = append(out, "ONCRM"+of.name+op)
		}
	}
	return out
}
