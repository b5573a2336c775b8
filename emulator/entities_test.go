package emulator_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/google/go-cmp/cmp"
)

// eventsOf are the codes of events with their endings.
func eventsOf(names ...string) []string {
	var codes []string
	for _, name := range names {
		for _, op := range []string{"ADD", "UPDATE", "DELETE"} {
			codes = append(codes, "ONCRM"+name+op)
		}
	}
	return codes
}

// TestEntityEvents: leads, contacts, companies and estimates raise their own
// events, whichever method changes them.
func TestEntityEvents(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	emulator.Demo(p.Portal)
	h := newHandler(t, 200)
	p.AddWebhook(h.url, append(eventsOf("LEAD", "DEAL", "CONTACT", "COMPANY", "QUOTE", "DYNAMICITEM", "TYPE", "TIMELINECOMMENT"), "ONCRMDYNAMICITEMADD_1040")...)
	for _, c := range []struct {
		method, params string
		want           []string
	}{
		{"crm.lead.add", `{"fields":{"TITLE":"a"}}`, []string{"ONCRMLEADADD 1"}},
		{"crm.item.add", `{"entityTypeId":1,"fields":{}}`, []string{"ONCRMLEADADD 2"}},
		{"crm.contact.add", `{"fields":{"NAME":"a"}}`, []string{"ONCRMCONTACTADD 1"}},
		{"crm.company.add", `{"fields":{"TITLE":"a"}}`, []string{"ONCRMCOMPANYADD 1"}},
		{"crm.quote.add", `{"fields":{"TITLE":"a"}}`, []string{"ONCRMQUOTEADD 1"}},
		{"crm.lead.update", `{"id":1,"fields":{"TITLE":"a"}}`, []string{"ONCRMLEADUPDATE 1"}},
		{"crm.item.update", `{"entityTypeId":1,"id":1,"fields":{"title":"a"}}`, nil},
		{"crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"companyIds":[1]}}`, []string{"ONCRMCONTACTUPDATE 1"}},
		{"crm.item.update", `{"entityTypeId":4,"id":1,"fields":{"contactIds":[1]}}`, nil}, // the same link from the other side
		{"crm.lead.contact.items.set", `{"id":1,"items":[{"CONTACT_ID":1}]}`, []string{"ONCRMLEADUPDATE 1"}},
		{"crm.quote.productrows.set", `{"id":1,"rows":[{"PRODUCT_NAME":"x","PRICE":1}]}`, []string{"ONCRMQUOTEUPDATE 1"}},
		{"crm.item.productrow.add", `{"fields":{"ownerType":"L","ownerId":1,"price":1,"productName":"x"}}`, []string{"ONCRMLEADUPDATE 1"}},
		{"crm.type.add", `{"fields":{"title":"New","entityTypeId":1040}}`, []string{"ONCRMTYPEADD 1"}},
		{"crm.item.add", `{"entityTypeId":1040,"fields":{}}`, []string{"ONCRMDYNAMICITEMADD 1 1040", "ONCRMDYNAMICITEMADD_1040 1 1040"}},
		{"crm.type.update", `{"id":1,"fields":{"title":"Newer"}}`, []string{"ONCRMTYPEUPDATE 1"}},
		{"crm.type.delete", `{"id":1}`, nil},
		{"crm.item.delete", `{"entityTypeId":1040,"id":1}`, []string{"ONCRMDYNAMICITEMDELETE 1 1040"}},
		{"crm.type.delete", `{"id":1}`, []string{"ONCRMTYPEDELETE 1"}},
		{"crm.timeline.comment.add", `{"fields":{"ENTITY_ID":1,"ENTITY_TYPE":"lead","COMMENT":"x"}}`, []string{"ONCRMTIMELINECOMMENTADD data 1"}},
		{"crm.timeline.comment.update", `{"id":1,"fields":{"COMMENT":"y"}}`, []string{"ONCRMTIMELINECOMMENTUPDATE data 1"}},
		{"crm.timeline.comment.delete", `{"id":1}`, []string{"ONCRMTIMELINECOMMENTDELETE data 1"}},
		{"crm.item.batchImport", `{"entityTypeId":1,"data":[{},{}]}`, []string{"ONCRMLEADADD 3", "ONCRMLEADADD 4"}},
		{"crm.category.add", `{"entityTypeId":2,"fields":{"name":"x"}}`, nil},
		{"im.notify.system.add", `{"USER_ID":1,"MESSAGE":"x"}`, nil},
		{"crm.quote.delete", `{"id":1}`, []string{"ONCRMQUOTEDELETE 1"}},
		{"crm.contact.delete", `{"id":1}`, []string{"ONCRMCONTACTDELETE 1"}},
	} {
		p.post(c.method, c.params)
		if diff := cmp.Diff(c.want, h.take(t, p)); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", c.method, c.params, diff)
		}
	}
}

// TestCommentFields: the other shape of a comment's event.
func TestCommentFields(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1, CommentFields: true})
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMTIMELINECOMMENTADD")
	p.must("crm.timeline.comment.add", `{"fields":{"ENTITY_ID":`+p.add(2, `{}`)+`,"ENTITY_TYPE":"deal","COMMENT":"x"}}`)
	if diff := cmp.Diff([]string{"ONCRMTIMELINECOMMENTADD 1"}, h.take(t, p)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTwoViews: what one method writes, the other shows.
func TestTwoViews(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for _, c := range []struct{ what, write, params, read, ask, want string }{
		{
			"a status", "crm.lead.add", `{"fields":{"STATUS_ID":"JUNK"}}`, "crm.item.get", `{"entityTypeId":1,"id":1}`,
			`{"item":{"stageId":"JUNK","stageSemanticId":"F","dateClosed":"<datetime>","…":1}}`,
		},
		{
			"back from a final status", "crm.item.update", `{"entityTypeId":1,"id":1,"fields":{"stageId":"NEW"}}`, "crm.lead.get", `{"id":1}`,
			`{"STATUS_ID":"NEW","STATUS_SEMANTIC_ID":"P","DATE_CLOSED":"","…":1}`,
		},
		{
			"phones", "crm.contact.add", `{"fields":{"NAME":"A","PHONE":[{"VALUE":"1","VALUE_TYPE":"WORK"},{"VALUE":"2","VALUE_TYPE":"HOME"}],"EMAIL":[{"VALUE":"a@example.com"}]}}`,
			"crm.item.get", `{"entityTypeId":3,"id":1}`,
			`{"item":{"phone":"1","phoneWork":"1","phoneMobile":"","email":"a@example.com","hasPhone":"Y","fm":[{"id":1,"typeId":"PHONE","valueType":"WORK","value":"1"},{"id":2,"typeId":"PHONE","valueType":"HOME","value":"2"},{"id":3,"typeId":"EMAIL","valueType":"WORK","value":"a@example.com"}],"…":1}}`,
		},
		{
			"an entry without an id is new, so phones double", "crm.contact.update", `{"id":1,"fields":{"PHONE":[{"VALUE":"1","VALUE_TYPE":"WORK"}]}}`, "crm.contact.list", `{"select":["PHONE"],"filter":{"PHONE":"2"}}`,
			`[{"ID":"1","PHONE":[{"ID":"1","VALUE":"1","VALUE_TYPE":"WORK","TYPE_ID":"PHONE"},{"ID":"2","VALUE":"2","VALUE_TYPE":"HOME","TYPE_ID":"PHONE"},{"ID":"4","VALUE":"1","VALUE_TYPE":"WORK","TYPE_ID":"PHONE"}]}]`,
		},
		{
			"three ways to remove one", "crm.contact.update", `{"id":1,"fields":{"PHONE":[{"ID":1,"DELETE":"Y"},{"ID":2,"VALUE":""},{"ID":4}]}}`, "crm.item.get", `{"entityTypeId":3,"id":1}`,
			`{"item":{"hasPhone":"N","phone":"","fm":[{"id":3,"typeId":"EMAIL","valueType":"WORK","value":"a@example.com"}],"…":1}}`,
		},
		{
			"companies of a contact", "crm.company.add", `{"fields":{"TITLE":"B","COMPANY_TYPE":"PARTNER","CONTACT_ID":[1],"REVENUE":1000}}`, "crm.item.get", `{"entityTypeId":3,"id":1}`,
			`{"item":{"companyId":1,"companyIds":[1],"…":1}}`,
		},
		{
			"a revenue without cents", "crm.item.update", `{"entityTypeId":4,"id":1,"fields":{"typeId":"CUSTOMER"}}`, "crm.company.get", `{"id":1}`,
			`{"COMPANY_TYPE":"CUSTOMER","REVENUE":"1000","…":1}`,
		},
		{
			"from the other side", "crm.contact.company.items.delete", `{"id":1}`, "crm.item.get", `{"entityTypeId":4,"id":1}`,
			`{"item":{"contactIds":[],"…":1}}`,
		},
		{
			"the main contact of a deal", "crm.deal.add", `{"fields":{"CONTACT_IDS":[5,6]}}`, "crm.deal.contact.items.get", `{"id":1}`,
			`[{"CONTACT_ID":5,"SORT":10,"ROLE_ID":0,"IS_PRIMARY":"Y"},{"CONTACT_ID":6,"SORT":20,"ROLE_ID":0,"IS_PRIMARY":"N"}]`,
		},
		{
			"can be another than the first", "crm.deal.contact.add", `{"id":1,"fields":{"CONTACT_ID":7,"IS_PRIMARY":"Y","SORT":15}}`, "crm.item.get", `{"entityTypeId":2,"id":1}`,
			`{"item":{"contactId":7,"contactIds":[5,7,6],"…":1}}`,
		},
		{
			"an estimate has its amount from its rows", "crm.quote.add", `{"fields":{"TITLE":"Q","OPPORTUNITY":5}}`, "crm.quote.get", `{"id":1}`, `{"OPPORTUNITY":"5.00","TAX_VALUE":"0.00","STATUS_ID":"DRAFT","CLOSED":"N","…":1}`,
		},
		{
			"as leads have", "crm.lead.productrows.set", `{"id":1,"rows":[{"PRODUCT_NAME":"x","PRICE":10.5,"QUANTITY":2}]}`, "crm.lead.get", `{"id":1}`, `{"OPPORTUNITY":"21.00","…":1}`,
		},
		{
			"a legacy import sets who and when", "crm.company.add", `{"fields":{"TITLE":"Old","DATE_CREATE":"2020-01-02T03:04:05+03:00","CREATED_BY_ID":9},"params":{"IMPORT":"Y"}}`,
			"crm.company.get", `{"id":2}`, `{"DATE_CREATE":"2020-01-02T03:04:05+03:00","CREATED_BY_ID":"9","…":1}`,
		},
		{
			"which no other add does", "crm.company.add", `{"fields":{"TITLE":"New","CREATED_BY_ID":9}}`, "crm.company.get", `{"id":3}`, `{"CREATED_BY_ID":"1","…":1}`,
		},
		{
			"import sets who and when", "crm.item.import", `{"entityTypeId":31,"fields":{"title":"old","createdTime":"2020-01-02T03:04:05+03:00","createdBy":1}}`, "crm.item.get", `{"entityTypeId":31,"id":1}`,
			`{"item":{"title":"old","createdTime":"2020-01-02T03:04:05+03:00","…":1}}`,
		},
	} {
		p.must(c.write, c.params)
		_, body := p.post(c.read, c.ask)
		p.match(c.what, `{"result":`+c.want+`,"…":1}`, body)
	}
}

// TestRelations: a smart process with parents and children has their fields on
// both sides, and loses them.
func TestRelations(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.must("crm.type.add", `{"fields":{"title":"A","entityTypeId":1040,"isStagesEnabled":"Y","relations":{"parent":[{"entityTypeId":2}],"child":[{"entityTypeId":3}]}}}`)
	p.must("crm.type.add", `{"fields":{"title":"B","entityTypeId":1042,"relations":{"parent":[{"entityTypeId":1040}]}}}`)
	p.add(2, `{}`)
	p.add(1040, `{"parentId2":1,"stageId":"DT1040_2:CLIENT"}`)
	p.must("crm.contact.add", `{"fields":{"NAME":"A","PARENT_ID_1040":1}}`)
	_, body := p.post("crm.item.list", `{"entityTypeId":1040,"select":["id","parentId2","stageId"],"filter":{"=parentId2":1}}`)
	p.match("parent", `{"result":{"items":[{"id":1,"parentId2":1,"stageId":"DT1040_2:CLIENT"}]},"total":1,"time":"*"}`, body)
	_, body = p.post("crm.contact.get", `{"id":1}`)
	p.match("child", `{"result":{"PARENT_ID_1040":"1","…":1},"time":"*"}`, body)
	p.must("crm.type.update", `{"id":1,"fields":{"relations":{"parent":[],"child":[]}}}`)
	_, body = p.post("crm.contact.get", `{"id":1}`)
	if strings.Contains(body, "PARENT_ID_1040") {
		t.Errorf("the relation is gone and its field is there: %s", body)
	}
	_, body = p.post("crm.type.get", `{"id":2}`)
	p.match("the other type", `{"result":{"type":{"relations":{"parent":[],"child":[]},"…":1}},"time":"*"}`, body)
	p.refused("crm.item.list", `{"entityTypeId":1040,"filter":{"=parentId2":1}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"*"}`)
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.must("im.notify.system.add", `{"USER_ID":1,"MESSAGE":" first ","TAG":"a"}`)
	p.must("im.notify.personal.add", `{"user_id":"1","message":"second","TAG":"a","ATTACH":[{"MESSAGE":"x"}]}`)
	p.must("im.notify", `{"USER_ID":1,"TYPE":"SYSTEM","MESSAGE":"third","ATTACH":"[]"}`)
	p.refused("im.notify", `{"USER_ID":1,"MESSAGE":"x","ATTACH":["`+strings.Repeat("x", 60_001)+`"]}`, 400, `{"error":"ATTACH_OVERSIZE","error_description":"*"}`)
	var got []string
	for _, n := range p.Notifications() {
		got = append(got, n.Text)
	}
	if diff := cmp.Diff([]string{"second", "third"}, got); diff != "" {
		t.Errorf("one tag is for one notification (-want +got)\n%s", diff)
	}
}

// TestUserFieldEvents: choices of an enumeration have their own event, and
// smart processes and invoices share one name.
func TestUserFieldEvents(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	emulator.Demo(p.Portal)
	h := newHandler(t, 200)
	var codes []string
	for _, name := range []string{"TYPE", "DEAL", "LEAD"} {
		for _, op := range []string{"ADD", "UPDATE", "DELETE", "SETENUMVALUES"} {
			codes = append(codes, "ONCRM"+name+"USERFIELD"+op)
		}
	}
	p.AddWebhook(h.url, codes...)
	of := func(code, id, entity, name string) string {
		return "ONCRM" + code + " " + id + " " + entity + " " + name
	}
	for _, c := range []struct {
		method, params string
		want           []string
	}{
		{
			"userfieldconfig.add", `{"moduleId":"crm","field":{"entityId":"CRM_5","fieldName":"UF_CRM_5_KIND","userTypeId":"enumeration","enum":[{"value":"a"}]}}`,
			[]string{of("TYPEUSERFIELDADD", "4", "CRM_5", "UF_CRM_5_KIND"), of("TYPEUSERFIELDSETENUMVALUES", "4", "CRM_5", "UF_CRM_5_KIND")},
		},
		{
			"userfieldconfig.add", `{"moduleId":"crm","field":{"entityId":"CRM_SMART_INVOICE","fieldName":"UF_CRM_NOTE","userTypeId":"string"}}`,
			[]string{of("TYPEUSERFIELDADD", "5", "CRM_SMART_INVOICE", "UF_CRM_NOTE")},
		},
		{"userfieldconfig.update", `{"moduleId":"crm","id":4,"field":{"userTypeId":"enumeration","enum":[{"value":"b"}]}}`, []string{of("TYPEUSERFIELDSETENUMVALUES", "4", "CRM_5", "UF_CRM_5_KIND")}},
		{"userfieldconfig.update", `{"moduleId":"crm","id":4,"field":{"sort":5}}`, []string{of("TYPEUSERFIELDUPDATE", "4", "CRM_5", "UF_CRM_5_KIND")}},
		{"crm.deal.userfield.add", `{"fields":{"FIELD_NAME":"A","USER_TYPE_ID":"double"}}`, []string{of("DEALUSERFIELDADD", "6", "CRM_DEAL", "UF_CRM_A")}},
		{"crm.deal.userfield.update", `{"id":6,"fields":{"SORT":5}}`, []string{of("DEALUSERFIELDUPDATE", "6", "CRM_DEAL", "UF_CRM_A")}},
		{"crm.lead.userfield.update", `{"id":6,"fields":{"SORT":5}}`, nil},
		{"crm.deal.userfield.delete", `{"id":6}`, []string{of("DEALUSERFIELDDELETE", "6", "CRM_DEAL", "UF_CRM_A")}},
		{"crm.type.delete", `{"id":5}`, nil},
	} {
		p.post(c.method, c.params)
		if diff := cmp.Diff(c.want, h.take(t, p)); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", c.method, c.params, diff)
		}
	}
	narrow := open(t, emulator.Config{Scopes: []string{"userfieldconfig"}})
	narrow.refused("userfieldconfig.list", `{"moduleId":"crm"}`, 400, `{"error":"","error_description":"The current method required more scopes. (crm)"}`)
}

// TestUserFieldsByREST: a field that a call has made is one of the items' fields,
// in both views, until it is deleted.
func TestUserFieldsByREST(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.must("crm.deal.userfield.add", `{"fields":{"FIELD_NAME":"KIND","USER_TYPE_ID":"enumeration","LABEL":"Kind","LIST":[{"VALUE":"a"},{"VALUE":"b"}]}}`)
	p.must("crm.deal.userfield.add", `{"fields":{"FIELD_NAME":"1721244707107","USER_TYPE_ID":"double","SETTINGS":{"PRECISION":1}}}`)
	p.add(2, `{"ufCrm_KIND":2,"ufCrm_1721244707107":1111.16}`)
	_, body := p.post("crm.deal.get", `{"id":1}`)
	p.match("legacy", `{"result":{"UF_CRM_KIND":"2","UF_CRM_1721244707107":"1111.2","…":1},"time":"*"}`, body)
	_, body = p.post("crm.item.fields", `{"entityTypeId":2}`)
	p.match("fields", `{"result":{"fields":{"ufCrm_KIND":{"type":"enumeration","isDynamic":true,"items":[{"ID":"1","VALUE":"a"},{"ID":"2","VALUE":"b"}],"upperName":"UF_CRM_KIND","title":"Kind","…":1},"…":1}},"time":"*"}`, body)
	p.must("crm.deal.userfield.update", `{"id":1,"fields":{"LIST":[{"ID":2,"DEL":"Y"},{"VALUE":"c"}]}}`)
	p.refused("crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"ufCrm_KIND":2}}`, 400, `{"error":"CRM_FIELD_ERROR_VALUE_NOT_VALID","error_description":"*"}`)
	p.must("crm.deal.userfield.delete", `{"id":1}`)
	_, body = p.post("crm.deal.get", `{"id":1}`)
	if strings.Contains(body, "UF_CRM_KIND") {
		t.Errorf("a deleted field is there: %s", body)
	}
}
