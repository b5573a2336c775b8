package schemas

import (
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

// methods is never changed after it is built; its keys are in lower case.
var methods = buildMethods()

func buildMethods() map[string]Method {
	all := map[string]Method{}
	add := func(prefix, effect, names string) {
		for name := range strings.FieldsSeq(names) {
			full := strings.TrimPrefix(prefix+"."+name, ".")
			all[strings.ToLower(full)] = Method{Name: full, Effect: effect}
		}
	}
	for _, g := range methodGroups() {
		add(g.prefix, Read, g.read)
		add(g.prefix, Write, g.write)
	}
	return all
}

// methodGroup names methods by what stands after a common prefix.
type methodGroup struct{ prefix, read, write string }

// batch is not in the table: what it does depends on what is in it.
func methodGroups() []methodGroup {
	return slices.Concat(crmMethods(), crmSettingsMethods(), portalMethods(), goodsMethods(), workMethods())
}

func crmMethods() []methodGroup {
	groups := []methodGroup{
		{"crm.item", "get list fields", "add update delete import batchImport"},
		{"crm.item.productrow", "get list fields getAvailableForPayment", "add update delete set"},
		{"crm.item.payment", "get list", "add update delete pay unpay"},
		{"crm.item.payment.product", "list", "add delete setQuantity"},
		{"crm.item.delivery", "get list", ""},
		{"crm.item.details.configuration", "get", "set reset forceCommonScopeForAll"},
		{"crm.deal.contact", "fields", "add delete"},
		{"crm.deal.contact.items", "get", "set delete"},
		{"crm.deal.productrows", "get", "set"},
		{"crm.deal.recurring", "get list fields", "add update delete expose"},
		{"crm.lead.contact", "fields", "add delete"},
		{"crm.lead.contact.items", "get", "set delete"},
		{"crm.lead.productrows", "get", "set"},
		{"crm.quote.contact", "fields", "add delete"},
		{"crm.quote.contact.items", "get", "set delete"},
		{"crm.quote.productrows", "get", "set"},
		{"crm.contact.company", "fields", "add delete"},
		{"crm.contact.company.items", "get", "set delete"},
		{"crm.company.contact", "fields", "add delete"},
		{"crm.company.contact.items", "get", "set delete"},
		{"crm.activity", "get list fields", "add update delete"},
		{"crm.activity.todo", "", "add update updateDeadline updateDescription updateColor updateResponsibleUser"},
		{"crm.activity.binding", "list", "add delete move"},
		{"crm.activity.communication", "fields", ""},
		{"crm.timeline.comment", "get list fields", "add update delete"},
		{"crm.timeline.bindings", "list fields", "bind unbind"},
		{"crm.timeline.note", "get", "save delete"},
		{"crm.timeline.item", "", "pin unpin"},
		{"crm.timeline.logmessage", "get list", "add delete"},
		{"crm.stagehistory", "list", ""},
		{"crm.duplicate", "findbycomm", ""},
		{"crm.entity", "", "mergeBatch"},
	}
	for _, entity := range []string{"deal", "lead", "contact", "company", "quote"} {
		groups = append(groups,
			methodGroup{"crm." + entity, "get list fields", "add update delete"},
			methodGroup{"crm." + entity + ".userfield", "get list", "add update delete"},
		)
	}
	return groups
}

func crmSettingsMethods() []methodGroup {
	return []methodGroup{
		{"crm.type", "get getByEntityTypeId list fields", "add update delete"},
		{"crm.category", "get list fields", "add update delete"},
		{"crm.status", "get list fields", "add update delete"},
		{"crm.status.entity", "types items", ""},
		{"crm.dealcategory", "get list fields status", "add update delete"},
		{"crm.dealcategory.default", "get", "set"},
		{"crm.dealcategory.stage", "list", ""},
		{"crm.currency", "get list fields", "add update delete"},
		{"crm.currency.base", "get", "set"},
		{"crm.currency.localizations", "get fields", "set delete"},
		{"crm.enum", "fields ownertype contenttype activitytype activitypriority activitydirection activitynotifytype activitystatus addresstype settings.mode entityeditor.configuration.scope getorderownertypes", ""},
		{"crm.multifield", "fields", ""},
		{"crm.address", "list fields", "add update delete"},
		{"crm.requisite", "get list fields", "add update delete"},
		{"crm.requisite.bankdetail", "get list fields", "add update delete"},
		{"crm.requisite.link", "get list fields", "register unregister"},
		{"crm.requisite.preset", "get list fields countries", "add update delete"},
		{"crm.requisite.userfield", "get list", "add update delete"},
		{"crm.product", "get list fields", "add update delete"},
		{"crm.productrow", "get list fields", "add update delete"},
		{"crm.productsection", "get list fields", "add update delete"},
		{"crm.product.property", "get list fields types", "add update delete"},
		{"crm.measure", "get list fields", "add update delete"},
		{"crm.vat", "get list fields", "add update delete"},
		{"crm.catalog", "get list fields", ""},
		{"crm.invoice", "get list fields", "add update delete"},
		{"crm.orderentity", "list getFields", "add deleteByFilter"},
		{"crm.userfield", "fields types enumeration.fields settings.fields", ""},
		{"crm.documentgenerator.document", "get list getfields", "add update delete enablepublicurl upload"},
		{"crm.documentgenerator.template", "get list getfields", "add update delete"},
		{"crm.documentgenerator.numerator", "get list", "add update delete"},
		{"crm.automation", "", "trigger"},
		{"crm.automation.trigger", "list", "add delete execute"},
		{"crm.settings.mode", "get", ""},
		{"userfieldconfig", "get list getTypes", "add update delete"},
	}
}

// portalMethods are those of the platform, its people and its lists.
func portalMethods() []methodGroup {
	return []methodGroup{
		{"", "profile scope methods events", ""},
		{"method", "get", ""},
		{"feature", "get", ""},
		{"server", "time", ""},
		{"app", "info", ""},
		{"event", "get", "bind unbind test"},
		{"event.offline", "list", "get clear error"}, // get takes the events off the queue
		{"user", "current get search fields admin", "add update"},
		{"user.userfield", "list", "add update delete"},
		{"department", "get fields", "add update delete"},
		{"lists", "get get.iblock.type.id", "add update delete"},
		{"lists.element", "get get.file.url", "add update delete"},
		{"lists.field", "get type.get", "add update delete"},
		{"lists.section", "get", "add update delete"},
	}
}

// goodsMethods are those of the catalogue and the online store.
func goodsMethods() []methodGroup {
	return []methodGroup{
		{"catalog.catalog", "get list getFields isOffers", "add update delete"},
		{"catalog.product", "get list getFieldsByFilter download", "add update delete"},
		{"catalog.product.offer", "get list getFieldsByFilter", "add update delete"},
		{"catalog.product.sku", "get list getFieldsByFilter", "add update delete"},
		{"catalog.product.service", "get list getFieldsByFilter", "add update delete"},
		{"catalog.productImage", "get list getFields", "add delete"},
		{"catalog.price", "get list getFields", "add modify update delete"},
		{"catalog.priceType", "get list getFields", "add update delete"},
		{"catalog.section", "get list getFields", "add update delete"},
		{"catalog.measure", "get list getFields", "add update delete"},
		{"catalog.ratio", "get list getFields", "add update delete"},
		{"catalog.vat", "get list getFields", "add update delete"},
		{"catalog.store", "get list getFields", "add update delete"},
		{"catalog.storeproduct", "get list getFields", ""},
		{"catalog.document", "list getFields", "add update delete deleteList conduct conductList cancel cancelList"},
		{"catalog.document.element", "list getFields", "add update delete"},
		{"catalog.roundingRule", "get list getFields", "add update delete"},
		{"sale.order", "get list getFields", "add update delete"},
		{"sale.basketItem", "get list getFields", "add update delete addCatalogProduct updateCatalogProduct"},
		{"sale.payment", "get list getFields", "add update delete"},
		{"sale.shipment", "get list getFields", "add update delete"},
		{"sale.propertyvalue", "get list getFields", "modify delete"},
		{"sale.status", "get list getFields", "add update delete"},
	}
}

// workMethods are those of what people do on a portal: tasks, chats, files.
func workMethods() []methodGroup {
	return []methodGroup{
		{"tasks.task", "get list getFields", "add update delete delegate start pause complete defer renew approve disapprove startwatch stopwatch"},
		{"tasks.task.files", "", "attach"},
		{"task.commentitem", "get getlist", "add update delete"},
		{"task.checklistitem", "get getlist", "add update delete complete renew"},
		{"task.elapseditem", "get getlist", "add update delete"},
		{"task.stages", "get canmovetask", "add update delete movetask"},
		{"bizproc.workflow", "instances", "start terminate kill"},
		{"bizproc.workflow.template", "list", "add update delete"},
		{"bizproc.task", "list", "complete delegate"},
		{"bizproc.robot", "list", "add update delete"},
		{"bizproc.activity", "list", "add update delete log"},
		{"bizproc.event", "", "send"},
		{"im.notify", "", "personal.add system.add delete answer confirm"},
		{"im", "", "notify"},
		{"im.message", "", "add update delete like share command"},
		{"im.dialog", "get", "read unread writing"},
		{"im.dialog.messages", "get search", ""},
		{"im.chat", "get", "add leave mute setOwner updateTitle updateColor updateAvatar"},
		{"im.chat.user", "list", "add delete"},
		{"im.user", "get list.get", ""},
		{"imbot.message", "", "add update delete like"},
		{"log.blogpost", "get", "add update delete share"},
		{"log.blogcomment", "", "add delete"},
		{"sonet_group", "get", "create update delete setowner"},
		{"sonet_group.user", "get groups", "add invite delete update"},
		{"calendar.event", "get getbyid get.nearest", "add update delete"},
		{"calendar.section", "get", "add update delete"},
		{"calendar.resource", "list", "add update delete"},
		{"disk.storage", "get getlist getfields getchildren gettypes getforapp", "addfolder uploadfile rename"},
		{"disk.folder", "get getfields getchildren getExternalLink", "addsubfolder uploadfile rename copyto moveto markdeleted restore deletetree"},
		{"disk.file", "get getfields getVersions getExternalLink", "rename copyto moveto markdeleted restore delete uploadversion restoreFromVersion"},
		{"disk.attachedObject", "get", ""},
		{"entity", "get", "add update delete"},
		{"entity.item", "get", "add update delete"},
		{"telephony.externalcall", "", "register finish show hide attachRecord"},
		{"voximplant.statistic", "get", ""},
		{"timeman", "status settings", "open pause close"},
		{"placement", "list get", "bind unbind"},
		{"messageservice.sender", "list", "add update delete"},
		{"messageservice.message.status", "get", "update"},
		{"documentgenerator.document", "get list getfields", "add update delete enablepublicurl"},
		{"documentgenerator.template", "get list getfields", "add update delete"},
		{"landing.landing", "getList getpreview getpublicurl", "add update delete publication unpublic copy"},
	}
}
