package schemas

import (
	_ "embed"
	"slices"
	"strings"
)

// Effects of methods.
const (
	Read  = "read"
	Write = "write"
)

// Method is a documented REST method and whether it changes anything.
type Method struct {
	Name   string
	Effect string // Read or Write
}

// LookupMethod finds a documented method by its name in any case. A method that
// is not found must be taken for a write.
func LookupMethod(name string) (Method, bool) {
	m, ok := methods[strings.ToLower(strings.TrimSpace(name))]
	return m, ok
}

// Methods returns all methods of the table, ordered by name.
func Methods() []Method {
	list := make([]Method, 0, len(methods))
	for _, m := range methods {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Method) int { return strings.Compare(a.Name, b.Name) })
	return list
}

//go:embed methods.txt
var methodTable string

// methods is never changed after it is built; its keys are in lower case. batch
// is not in it: what it does depends on what is in it.
var methods = readMethods(methodTable)

// readMethods reads a table with a method's effect and name in each line.
func readMethods(table string) map[string]Method {
	all := map[string]Method{}
	for line := range strings.Lines(table) {
		effect, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if name = strings.TrimSpace(name); ok && effect != "#" {
			all[strings.ToLower(name)] = Method{Name: name, Effect: effect}
		}
	}
	return all
}

// otherEvents are the events of methods whose names differ from those of their events.
var otherEvents = map[string]string{
	"tasks.task.add": "ONTASKADD", "tasks.task.update": "ONTASKUPDATE", "tasks.task.delete": "ONTASKDELETE",
	"task.item.add": "ONTASKADD", "task.item.update": "ONTASKUPDATE", "task.item.delete": "ONTASKDELETE",
	"task.commentitem.add": "ONTASKCOMMENTADD", "task.commentitem.update": "ONTASKCOMMENTUPDATE", "task.commentitem.delete": "ONTASKCOMMENTDELETE",
	"calendar.event.add": "ONCALENDARENTRYADD", "calendar.event.update": "ONCALENDARENTRYUPDATE", "calendar.event.delete": "ONCALENDARENTRYDELETE",
}

// EventOf returns the code of the event that a portal sends when a method has written,
// "" when none is known: ONCRMTIMELINECOMMENTADD for crm.timeline.comment.add.
func EventOf(method string) string {
	method = strings.ToLower(strings.TrimSpace(method))
	code := otherEvents[method]
	if code == "" {
		code = "ON" + strings.ToUpper(strings.ReplaceAll(method, ".", ""))
	}
	if _, known := events[code]; !known {
		return ""
	}
	return code
}

// itemParams are the parameters of crm.item.*, which knows them in this spelling only.
var itemParams = map[string][]string{
	"crm.item.add":            {"entityTypeId", "fields", "useOriginalUfNames"},
	"crm.item.update":         {"entityTypeId", "id", "fields", "useOriginalUfNames"},
	"crm.item.get":            {"entityTypeId", "id", "useOriginalUfNames"},
	"crm.item.delete":         {"entityTypeId", "id"},
	"crm.item.fields":         {"entityTypeId", "useOriginalUfNames"},
	"crm.item.list":           {"entityTypeId", "select", "order", "filter", "start", "useOriginalUfNames"},
	"crm.item.productrow.set": {"ownerType", "ownerId", "productRows"},
}

// otherParams are the parameters of some methods that have none in common with others.
var otherParams = map[string][]string{
	"crm.timeline.comment.add": {"fields"}, "crm.timeline.comment.update": {"id", "fields", "ownerTypeId", "ownerId"},
	"crm.activity.add": {"fields"}, "crm.activity.update": {"id", "fields"}, "crm.activity.todo.add": {"ownerTypeId", "ownerId", "deadline", "title", "description", "responsibleId", "parentActivityId", "pingOffsets", "colorId"},
	"tasks.task.add": {"fields", "params"}, "tasks.task.update": {"taskId", "fields", "params"}, "tasks.task.get": {"taskId", "select", "params"},
	"im.notify.personal.add": {"USER_ID", "MESSAGE", "MESSAGE_OUT", "TAG", "SUB_TAG", "ATTACH"}, "im.notify.system.add": {"USER_ID", "MESSAGE", "MESSAGE_OUT", "TAG", "SUB_TAG", "ATTACH"},
	"lists.element.add":    {"IBLOCK_TYPE_ID", "IBLOCK_ID", "IBLOCK_CODE", "ELEMENT_CODE", "FIELDS", "LIST_ELEMENT_URL", "SOCNET_GROUP_ID", "IBLOCK_SECTION_ID"},
	"lists.element.update": {"IBLOCK_TYPE_ID", "IBLOCK_ID", "IBLOCK_CODE", "ELEMENT_ID", "ELEMENT_CODE", "FIELDS", "SOCNET_GROUP_ID"},
}

// entityParams are the parameters of the methods of one entity, by the end of the name.
var entityParams = map[string][]string{
	"add": {"fields", "params"}, "update": {"id", "fields", "params"}, "get": {"id"}, "delete": {"id"}, "list": {"order", "filter", "select", "start"},
	"productrows.set": {"id", "rows"}, "productrows.get": {"id"},
}

// Params returns the documented parameters of a method, nil when the table does not have
// them.
func (m Method) Params() []string {
	name := strings.ToLower(m.Name)
	if names := itemParams[name]; names != nil {
		return names
	}
	if names := otherParams[name]; names != nil {
		return names
	}
	rest, ok := strings.CutPrefix(name, "crm.")
	kind, end, found := strings.Cut(rest, ".")
	if _, entity := LookupOwner(kind); !ok || !found || !entity {
		return nil
	}
	return entityParams[end]
}

// wrappers are the members of the result that hold what a reading method is asked for.
var wrappers = map[string]string{
	"crm.item.get": "item", "crm.item.list": "items", "crm.item.fields": "fields",
	"crm.item.productrow.get": "productRow", "crm.item.productrow.list": "productRows",
	"crm.type.get": "type", "crm.type.list": "types", "crm.category.get": "category", "crm.category.list": "categories",
	"tasks.task.get": "task", "tasks.task.list": "tasks",
}

// Wrapper returns the only member of the result of a reading method, "" when the result
// is another one or the table does not have it.
func (m Method) Wrapper() string { return wrappers[strings.ToLower(m.Name)] }

// ExactNames reports whether the method knows its parameters in one spelling only.
func (m Method) ExactNames() bool { return itemParams[strings.ToLower(m.Name)] != nil }
