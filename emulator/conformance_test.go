package emulator_test

import (
	"strings"
	"testing"

	"b24rules/emulator"
)

// shelf is a portal with something of everything: deal 1 with two rows, invoice
// 1, an item of smart process 1038, list 47 with element 1.
func shelf(t *testing.T) *portal {
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	p.must("crm.deal.add", `{"fields":{"TITLE":"Roof","COMPANY_ID":9,"COMMENTS":"[B]new[/B]"}}`)
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[
		{"productId":9621,"productName":"iphone 14","price":90000,"quantity":3,"discountTypeId":2,"discountRate":10,"taxRate":10,"taxIncluded":"Y","sort":20},
		{"productName":"Case","price":899.1,"quantity":1,"sort":30}]}`)
	p.add(31, `{"title":"Bill"}`)
	p.add(1038, `{"title":"Invoice 1","ufCrm5InvoiceId":1,"ufCrm5Total":"99.99"}`)
	p.must("lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"one","FIELDS":{"NAME":"One","PROPERTY_101":"1","PROPERTY_107":"hello"}}`)
	return p
}

const time_ = `"time":{"start":"*","finish":"*","duration":"*","processing":"*","date_start":"*","date_finish":"*","operating_reset_at":"*","operating":0}`

const dealJSON = `{"ID":"1","TITLE":"Roof","TYPE_ID":"SALE","STAGE_ID":"NEW","PROBABILITY":null,"CURRENCY_ID":"USD",
	"OPPORTUNITY":"270899.10","IS_MANUAL_OPPORTUNITY":"N","TAX_VALUE":"24545.46","LEAD_ID":null,"COMPANY_ID":"9","CONTACT_ID":null,
	"QUOTE_ID":null,"BEGINDATE":"*","CLOSEDATE":"*","ASSIGNED_BY_ID":"1","CREATED_BY_ID":"1","MODIFY_BY_ID":"1","DATE_CREATE":"*",
	"DATE_MODIFY":"*","OPENED":"Y","CLOSED":"N","COMMENTS":"[B]new[/B]","ADDITIONAL_INFO":null,"LOCATION_ID":null,"CATEGORY_ID":"0",
	"STAGE_SEMANTIC_ID":"P","IS_NEW":"Y","IS_RECURRING":"N","IS_RETURN_CUSTOMER":"N","IS_REPEATED_APPROACH":"N","SOURCE_ID":"CALL",
	"SOURCE_DESCRIPTION":null,"ORIGINATOR_ID":null,"ORIGIN_ID":null,"MOVED_BY_ID":"1","MOVED_TIME":"*","LAST_ACTIVITY_TIME":"*",
	"LAST_ACTIVITY_BY":"1","UTM_SOURCE":null,"UTM_MEDIUM":null,"UTM_CAMPAIGN":null,"UTM_CONTENT":null,"UTM_TERM":null}`

const rowJSON = `{"id":1,"ownerId":1,"ownerType":"D","productId":9621,"productName":"iphone 14","price":90000,"priceAccount":90000,
	"priceExclusive":81818.18,"priceNetto":90909.09,"priceBrutto":100000,"quantity":3,"discountTypeId":2,"discountRate":10,
	"discountSum":9090.91,"taxRate":10,"taxIncluded":"Y","customized":"Y","measureCode":796,"measureName":"pcs","sort":20,"xmlId":"","type":4}`

const helperJSON = `{"id":1,"xmlId":"","title":"Invoice 1","createdBy":1,"updatedBy":1,"movedBy":1,"createdTime":"*","updatedTime":"*",
	"movedTime":"*","categoryId":"*","opened":"Y","stageId":"DT1038_2:NEW","previousStageId":null,"assignedById":1,"lastActivityBy":1,
	"lastActivityTime":"*","webformId":0,"utmSource":null,"utmMedium":null,"utmCampaign":null,"utmContent":null,"utmTerm":null,
	"ufCrm5InvoiceId":1,"ufCrm5Total":99.99,"ufCrm5Note":null,"entityTypeId":1038}`

// TestConformance asks each method what the documentation shows and compares
// the shape of the answer.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, params, want string }{
		{"crm.deal.get", `{"id":1}`, `{"result":` + dealJSON + `,` + time_ + `}`},
		{"crm.deal.list", `{"filter":{"ID":1}}`, `{"result":[` + dealJSON + `],"total":1,` + time_ + `}`},
		{"crm.deal.list", `{"FILTER":{"ID":"1"},"SELECT":["TITLE"],"ORDER":{"ID":"ASC"}}`, `{"result":[{"ID":"1","TITLE":"Roof"}],"total":1,` + time_ + `}`},
		{"crm.deal.list", `{"filter":{"ID":77}}`, `{"result":[],"total":0,` + time_ + `}`},
		{"crm.deal.add", `{"fields":{"TITLE":"Next"},"params":{"REGISTER_SONET_EVENT":"Y"}}`, `{"result":2,` + time_ + `}`},
		{"crm.deal.update", `{"id":"1","fields":{"TITLE":"Other"}}`, `{"result":true,` + time_ + `}`},
		{"crm.deal.delete", `{"id":1}`, `{"result":true,` + time_ + `}`},
		{"crm.deal.fields", `{}`, `{"result":{"ID":{"type":"integer","isRequired":false,"isReadOnly":true,"isImmutable":false,"isMultiple":false,"isDynamic":false,"title":"ID"},
			"CATEGORY_ID":{"type":"crm_category","isImmutable":true,"…":1},"STAGE_ID":{"type":"crm_status","statusType":"DEAL_STAGE","…":1},
			"IS_NEW":{"type":"char","…":1},"CONTACT_IDS":{"isMultiple":true,"…":1},"…":1},` + time_ + `}`},
		{"crm.deal.productrows.get", `{"id":1}`, `{"result":[{"ID":"1","OWNER_ID":"1","OWNER_TYPE":"D","PRODUCT_ID":9621,"PRICE":90000,"PRICE_ACCOUNT":"90000.00","TAX_RATE":10,"QUANTITY":3,"…":1},
			{"ID":"2","OWNER_ID":"1","OWNER_TYPE":"D","PRODUCT_ID":0,"PRODUCT_NAME":"Case","ORIGINAL_PRODUCT_NAME":null,"PRODUCT_DESCRIPTION":null,"PRICE":899.1,
			"PRICE_EXCLUSIVE":899.1,"PRICE_NETTO":899.1,"PRICE_BRUTTO":899.1,"PRICE_ACCOUNT":"899.10","QUANTITY":1,"DISCOUNT_TYPE_ID":2,"DISCOUNT_RATE":0,"DISCOUNT_SUM":0,
			"TAX_RATE":null,"TAX_INCLUDED":"N","CUSTOMIZED":"Y","MEASURE_CODE":796,"MEASURE_NAME":"pcs","SORT":30,"XML_ID":null,"TYPE":1,"STORE_ID":null,
			"RESERVE_ID":null,"DATE_RESERVE_END":null,"RESERVE_QUANTITY":null}],` + time_ + `}`},
		{"crm.deal.productrows.set", `{"id":1,"rows":[{"PRODUCT_NAME":"X","PRICE":1}]}`, `{"result":true,` + time_ + `}`},
		{"crm.item.get", `{"entityTypeId":1038,"id":1}`, `{"result":{"item":` + helperJSON + `},` + time_ + `}`},
		{"crm.item.get", `{"entityTypeId":2,"id":1}`, `{"result":{"item":{"id":1,"opportunity":270899.1,"companyId":9,"contactId":0,"webformId":0,"leadId":null,
			"stageId":"NEW","stageSemanticId":"P","isManualOpportunity":"N","observers":[],"contactIds":[],"hasProducts":null,"entityTypeId":2,"…":1}},` + time_ + `}`},
		{"crm.item.get", `{"entityTypeId":31,"id":1}`, `{"result":{"item":{"id":1,"title":"Bill","stageId":"DT31_1:N","opportunity":0,"taxValue":0,"isManualOpportunity":"N","accountNumber":"1","parentId2":null,"parentId7":null,"entityTypeId":31,"…":1}},` + time_ + `}`},
		{"crm.item.list", `{"entityTypeId":1038,"select":["id","ufCrm5Total","nonsense"],"filter":{"=ufCrm5InvoiceId":1},"order":{"id":"ASC"},"start":0}`, `{"result":{"items":[{"id":1,"ufCrm5Total":99.99}]},"total":1,` + time_ + `}`},
		{"crm.item.list", `{"entityTypeId":1038}`, `{"result":{"items":[` + helperJSON + `]},"total":1,` + time_ + `}`},
		{"crm.item.add", `{"entityTypeId":1038,"fields":{"nonsense":1}}`, `{"result":{"item":{"id":2,"title":"Invoice totals #2","…":1}},` + time_ + `}`},
		{"crm.item.update", `{"entityTypeId":1038,"id":1,"fields":{"ufCrm5Total":5}}`, `{"result":{"item":{"id":1,"ufCrm5Total":5,"…":1}},` + time_ + `}`},
		{"crm.item.delete", `{"entityTypeId":1038,"id":1}`, `{"result":[],` + time_ + `}`},
		{"crm.item.fields", `{"entityTypeId":1038}`, `{"result":{"fields":{"id":{"type":"integer","isRequired":false,"isReadOnly":true,"isImmutable":false,"isMultiple":false,"isDynamic":false,"title":"ID","upperName":"ID"},
			"stageId":{"statusType":"DYNAMIC_1038_STAGE_2","…":1},"assignedById":{"upperName":"ASSIGNED_BY_ID","…":1},
			"ufCrm5Total":{"type":"double","isDynamic":true,"upperName":"UF_CRM_5_TOTAL","settings":{"PRECISION":2},"listLabel":"Total","…":1},"…":1}},` + time_ + `}`},
		{"crm.item.productrow.list", `{"filter":{"=ownerType":"D","=ownerId":1,">price":5000},"order":{"price":"desc"}}`, `{"result":{"productRows":[` + rowJSON + `]},"total":1,` + time_ + `}`},
		{"crm.item.productrow.list", `{"filter":{"=ownerType":"SI","=ownerId":1}}`, `{"result":{"productRows":[]},"total":0,` + time_ + `}`},
		{"crm.item.productrow.get", `{"id":1}`, `{"result":{"productRow":` + rowJSON + `},` + time_ + `}`},
		{
			"crm.item.productrow.add", `{"fields":{"ownerId":1,"ownerType":"D","productId":9621,"price":80000,"quantity":2,"discountTypeId":2,"discountRate":20,"taxRate":20,"taxIncluded":"Y","measureCode":796,"sort":10}}`,
			`{"result":{"productRow":{"id":3,"priceExclusive":66666.67,"priceNetto":83333.34,"priceBrutto":100000.01,"discountSum":16666.67,"xmlId":"","…":1}},` + time_ + `}`,
		},
		{"crm.item.productrow.update", `{"id":2,"fields":{"price":10}}`, `{"result":{"productRow":{"id":2,"price":10,"…":1}},` + time_ + `}`},
		{"crm.item.productrow.delete", `{"id":2}`, `{"result":null,` + time_ + `}`},
		{"crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[]}`, `{"result":{"productRows":[]},` + time_ + `}`},
		{"crm.item.productrow.fields", `{}`, `{"result":{"fields":{"id":{"type":"integer","isReadOnly":true,"…":1},"productId":{"isRequired":true,"…":1},"priceNetto":{"isReadOnly":true,"…":1},"…":1}},` + time_ + `}`},
		{"crm.type.list", `{"filter":{"=entityTypeId":1038}}`, `{"result":{"types":[{"id":5,"title":"Invoice totals","code":"","entityTypeId":1038,"isStagesEnabled":"Y","isLinkWithProductsEnabled":"N","…":1}]},"total":1,` + time_ + `}`},
		{"crm.type.getByEntityTypeId", `{"entityTypeId":1038}`, `{"result":{"type":{"id":5,"relations":{"parent":[],"child":[]},"linkedUserFields":[],"customSections":[],"…":1}},` + time_ + `}`},
		{"lists.get", `{"IBLOCK_TYPE_ID":"lists"}`, `{"result":[{"ID":"47","IBLOCK_TYPE_ID":"lists","CODE":"shipments","NAME":"Shipments","SORT":"500","SOCNET_GROUP_ID":null,"…":1}],"total":1,` + time_ + `}`},
		{"lists.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`, `{"result":[],` + time_ + `}`},
		{"lists.get.iblock.type.id", `{"IBLOCK_ID":47}`, `{"result":"lists",` + time_ + `}`},
		{"lists.get.iblock.type.id", `{"IBLOCK_ID":1}`, `{"result":null,` + time_ + `}`},
		{"lists.field.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47}`, `{"result":{"NAME":{"FIELD_ID":"NAME","IS_REQUIRED":"Y","TYPE":"NAME","…":1},
			"PROPERTY_101":{"FIELD_ID":"PROPERTY_101","SORT":20,"NAME":"Deal","IS_REQUIRED":"N","MULTIPLE":"N","DEFAULT_VALUE":"","TYPE":"N","PROPERTY_TYPE":"N","PROPERTY_USER_TYPE":false,"CODE":"DEAL","ID":"101",
			"LINK_IBLOCK_ID":null,"ROW_COUNT":"1","COL_COUNT":"30","USER_TYPE_SETTINGS":null,"SETTINGS":{"SHOW_ADD_FORM":"Y","…":1}},"…":1},` + time_ + `}`},
		{"lists.field.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FIELD_ID":"PROPERTY_106"}`, `{"result":{"L":{"FIELD_ID":"PROPERTY_106","CODE":"SHIPPED","DISPLAY_VALUES_FORM":{"1":"Yes"},"…":1}},` + time_ + `}`},
		{"lists.field.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FIELD_ID":"PROPERTY_1"}`, `{"result":[],` + time_ + `}`},
		{"lists.field.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FIELDS":{"NAME":"Weight","TYPE":"N","CODE":"WEIGHT"}}`, `{"result":"PROPERTY_108",` + time_ + `}`},
		{"lists.field.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FIELDS":{"NAME":"Created","TYPE":"DATE_CREATE"}}`, `{"result":"DATE_CREATE",` + time_ + `}`},
		{"lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47}`, `{"result":[{"ID":"1","IBLOCK_ID":"47","NAME":"One","IBLOCK_SECTION_ID":null,"CREATED_BY":"1","BP_PUBLISHED":"Y","CODE":"one",
			"PROPERTY_101":{"1":"1"},"PROPERTY_107":{"2":"hello"}}],"total":1,` + time_ + `}`},
		{"lists.element.get", `{"iblock_type_id":"lists","iblock_id":"47","select":["ID","PROPERTY_107"],"filter":{"=PROPERTY_DEAL":"1"}}`, `{"result":[{"ID":"1","PROPERTY_107":{"2":"hello"}}],"total":1,` + time_ + `}`},
		{"lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":77}`, `{"result":[],` + time_ + `}`},
		{"lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"two","FIELDS":{"NAME":"Two"}}`, `{"result":2,` + time_ + `}`},
		{"lists.element.update", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":1,"FIELDS":{"NAME":"Uno"}}`, `{"result":true,` + time_ + `}`},
		{"lists.element.delete", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_CODE":"shipments","ELEMENT_CODE":"one"}`, `{"result":true,` + time_ + `}`},
		{"user.current", ``, `{"result":{"ID":"1","ACTIVE":true,"NAME":"Anna","LAST_NAME":"Admin","EMAIL":"*","IS_ONLINE":"Y","UF_DEPARTMENT":[1],"…":1},` + time_ + `}`},
		{"profile", ``, `{"result":{"ID":"1","ADMIN":true,"NAME":"Anna","LAST_NAME":"Admin","PERSONAL_GENDER":"","TIME_ZONE":""},` + time_ + `}`},
		{"scope", ``, `{"result":["crm","lists","user"],` + time_ + `}`},
		{"methods", `{"scope":"user"}`, `{"result":["user.current"],` + time_ + `}`},
		{"method.get", `{"name":"crm.deal.get"}`, `{"result":{"isExisting":true,"isAvailable":true},` + time_ + `}`},
		{"method.get", `{"name":""}`, `{"result":{"isExisting":false,"isAvailable":false},` + time_ + `}`},
		{"server.time", ``, `{"result":"*",` + time_ + `}`},
	} {
		t.Run(c.method, func(t *testing.T) {
			t.Parallel()
			p := shelf(t)
			status, body := p.post(c.method, c.params)
			if status != 200 {
				t.Errorf("status %d", status)
			}
			p.match(c.method+" "+c.params, c.want, body)
		})
	}
}

// TestErrors wants the documented codes and statuses.
func TestErrors(t *testing.T) {
	t.Parallel()
	p := shelf(t)
	list := `"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47`
	for _, c := range []struct {
		method, params string
		status         int
		want           string
	}{
		{"crm.lead.get", `{"id":1}`, 404, `{"error":"ERROR_METHOD_NOT_FOUND","error_description":"Method not found!"}`},
		{"crm.deal.get", `{}`, 400, `{"error":"","error_description":"ID is not defined or invalid."}`},
		{"crm.deal.get", `{"id":77}`, 400, `{"error":"","error_description":"Not found"}`},
		{"crm.deal.update", `{"id":1,"fields":"x"}`, 400, `{"error":"","error_description":"Parameter 'fields' must be array."}`},
		{"crm.deal.list", `{"filter":"x"}`, 400, `{"error":"","error_description":"Parameter 'filter' must be array."}`},
		{"crm.deal.productrows.get", `{}`, 400, `{"error":"","error_description":"The parameter id is invalid or not defined."}`},
		{"crm.deal.productrows.set", `{"id":1}`, 400, `{"error":"","error_description":"The parameter rows must be array."}`},
		{"crm.deal.productrows.set", `{"id":1,"rows":[{"PRICE":1,"DISCOUNT_TYPE_ID":1}]}`, 400, `{"error":"ERROR_CORE","error_description":"*"}`},
		{"crm.item.get", `{"id":1}`, 400, `{"error":"100","error_description":"Could not find value for parameter {entityTypeId}"}`},
		{"crm.item.get", `{"entityTypeId":5,"id":1}`, 400, `{"error":"ENTITY_TYPE_NOT_SUPPORTED","error_description":"*"}`},
		{"crm.item.get", `{"entityTypeId":1036,"id":1}`, 400, `{"error":"NOT_FOUND","error_description":"Smart process not found"}`},
		{"crm.item.get", `{"entityTypeId":2,"id":77}`, 400, `{"error":"NOT_FOUND","error_description":"*"}`},
		{"crm.item.delete", `{"entityTypeId":2,"id":77}`, 400, `{"error":"NOT_FOUND","error_description":"*"}`},
		{"crm.item.add", `{"entityTypeId":2,"fields":"x"}`, 400, `{"error":"100","error_description":"Invalid value {x} to match with parameter {fields}. Should be value of type array."}`},
		{"crm.item.add", `{"entityTypeId":2,"fields":{"observers":5}}`, 400, `{"error":"100","error_description":"Expected iterable value for multiple field, but got integer instead"}`},
		{"crm.item.add", `{"entityTypeId":2,"fields":{"stageId":"NONE"}}`, 400, `{"error":"CRM_FIELD_ERROR_VALUE_NOT_VALID","error_description":"Invalid value for field \"Stage\""}`},
		{"crm.item.list", `{"entityTypeId":2,"filter":{"=nonsense":1}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"Invalid filter: field 'nonsense' is not allowed in filter"}`},
		{"crm.item.list", `{"entityTypeId":2,"filter":{">opportunity":[1]}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"Invalid filter: field 'opportunity' has invalid value"}`},
		{"crm.item.list", `{"entityTypeId":2,"order":{"nonsense":"ASC"}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"Invalid order: field 'nonsense' is not allowed in order"}`},
		{"crm.item.list", `{"entityTypeId":2,"order":{"id":"UP"}}`, 400, "{\"error\":\"INVALID_ARG_VALUE\",\"error_description\":\"Invalid order: allowed sort directions are `ASC, DESC`. But got 'UP' for field 'id'\"}"},
		{"crm.item.productrow.list", `{"filter":{"=ownerId":1}}`, 400, `{"error":"100","error_description":"*"}`},
		{"crm.item.productrow.list", `{"filter":{"=ownerType":"D","=ownerId":[1,2]}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"*"}`},
		{"crm.item.productrow.get", `{"id":77}`, 400, `{"error":"NOT_FOUND","error_description":"Item not found"}`},
		{"crm.item.productrow.add", `{"fields":{"ownerType":"D","ownerId":77}}`, 400, `{"error":"OWNER_NOT_FOUND","error_description":"*"}`},
		{"crm.item.productrow.set", `{"ownerType":"T40e","ownerId":1,"productRows":[]}`, 400, `{"error":"ENTITY_TYPE_NOT_SUPPORTED","error_description":"*"}`},
		{"crm.item.productrow.update", `{"id":1,"fields":{"priceNetto":1}}`, 400, `{"error":"INVALID_ARG_VALUE","error_description":"Field 'priceNetto' not available for update"}`},
		{"crm.type.getByEntityTypeId", `{"entityTypeId":1036}`, 400, `{"error":0,"error_description":"Smart process not found"}`},
		{"lists.get", `{}`, 400, "{\"error\":\"ERROR_REQUIRED_PARAMETERS_MISSING\",\"error_description\":\"Required parameter `IBLOCK_TYPE_ID` is missing\"}"},
		{"lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":48}`, 400, `{"error":"ERROR_IBLOCK_NOT_FOUND","error_description":"Iblock not found"}`},
		{"lists.element.get", `{` + list + `,"FILTER":{"CODE":"one"}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Filter field not allowed: CODE","argument":"filter"}`},
		{"lists.element.get", `{` + list + `,"FILTER":{"@PROPERTY_101":[1,2]}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Filter operation not allowed: @","argument":"filter"}`},
		{"lists.element.get", `{` + list + `,"FILTER":{"=PROPERTY_101":[1,2]}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"filter"}`},
		{"lists.element.add", `{` + list + `,"FIELDS":{"NAME":"x"}}`, 400, `{"error":"ERROR_REQUIRED_PARAMETERS_MISSING","error_description":"*"}`},
		{"lists.element.add", `{` + list + `,"ELEMENT_CODE":"x","FIELDS":{}}`, 400, `{"error":"ERROR_REQUIRED_PARAMETERS_MISSING","error_description":"*"}`},
		{"lists.element.add", `{` + list + `,"ELEMENT_CODE":"ONE","FIELDS":{"NAME":"x"}}`, 400, `{"error":"ERROR_ELEMENT_ALREADY_EXISTS","error_description":"Element already exists"}`},
		{"lists.element.add", `{` + list + `,"ELEMENT_CODE":"x","FIELDS":{"NAME":"x","PROPERTY_103":"three"}}`, 400, `{"error":"ERROR_ELEMENT_FIELD_VALUE","error_description":"Value of the \"Quantity\" field is not correct"}`},
		{"lists.element.update", `{` + list + `,"ELEMENT_ID":77,"FIELDS":{"NAME":"x"}}`, 400, `{"error":"ERROR_ELEMENT_NOT_FOUND","error_description":"Element not found"}`},
		{"lists.element.update", `{` + list + `,"ELEMENT_ID":1,"FIELDS":{"NAME":""}}`, 400, `{"error":"ERROR_ELEMENT_FIELD_VALUE","error_description":"The field \"Name\" is required"}`},
		{"lists.element.delete", `{` + list + `}`, 400, `{"error":"ERROR_REQUIRED_PARAMETERS_MISSING","error_description":"*"}`},
		{"lists.field.add", `{` + list + `,"FIELDS":{"NAME":"x","TYPE":"S"}}`, 400, `{"error":"ERROR_SAVE_FIELD","error_description":"Please fill the code fields"}`},
		{"lists.field.add", `{` + list + `,"FIELDS":{"NAME":"x","TYPE":"S","CODE":"DEAL"}}`, 400, `{"error":"ERROR_SAVE_FIELD","error_description":"Property already exists"}`},
		{"event.bind", `{"event":"ONCRMDEALADD","handler":"https://example.com/"}`, 403, `{"error":"WRONG_AUTH_TYPE","error_description":"*"}`},
		{"events", ``, 403, `{"error":"WRONG_AUTH_TYPE","error_description":"*"}`},
	} {
		p.refused(c.method, c.params, c.status, c.want)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Scopes: []string{"crm"}})
	for _, c := range []struct {
		name, path string
		status     int
		code       string
	}{
		{"wrong secret", "/rest/1/guess/profile", 401, "INVALID_CREDENTIALS"},
		{"wrong user", "/rest/2/emulator/profile", 401, "INVALID_CREDENTIALS"},
		{"a method that does not exist comes first", "/rest/1/guess/crm.none", 404, "ERROR_METHOD_NOT_FOUND"},
		{"no token", "/rest/profile", 401, "NO_AUTH_FOUND"},
		{"wrong token", "/rest/profile?auth=guess", 401, "invalid_token"},
		{"right token", "/rest/profile?auth=" + p.AppToken(), 200, ""},
		{"missing scope", "/rest/1/emulator/lists.get", 401, "insufficient_scope"},
		{"third version", "/rest/api/1/emulator/crm.deal.get", 404, ""},
		{"no method", "/rest/1/emulator/", 404, "ERROR_METHOD_NOT_FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := p.send("GET", c.path, "", "")
			if status != c.status || c.code != "" && !strings.Contains(body, `"`+c.code+`"`) {
				t.Errorf("status %d, %s; want %d with %s", status, body, c.status, c.code)
			}
		})
	}
}
