package emulator_test

// What the scripts of tools/jssdk have to report, as patterns for match.

const sdkCalls = `{
	"itemAdd":{"result":{"item":{"id":1,"title":"Крыша & \"1\" = 100 %","opportunity":1000.5,"isManualOpportunity":"Y","currencyId":"EUR",
		"companyId":9,"closedate":"2026-12-31T03:00:00+03:00","stageId":"NEW","entityTypeId":2,"…":1}},"total":0,"more":false},
	"itemGet":{"result":{"item":{"id":1,"title":"Крыша & \"1\" = 100 %","opportunity":1000.5,"observers":[],"…":1}},"total":0,"more":false},
	"itemUpdate":{"result":{"item":{"id":1,"companyId":0,"opportunity":7,"observers":[1],"…":1}},"total":0,"more":false},
	"itemAddSecond":{"result":{"item":{"id":2,"title":"Second","opportunity":0,"taxValue":0,"…":1}},"total":0,"more":false},
	"itemList":{"result":{"items":[{"id":1,"title":"Крыша & \"1\" = 100 %"}]},"total":1,"more":false},
	"itemListNothing":{"result":{"items":[]},"total":0,"more":false},
	"itemDelete":{"result":[],"total":0,"more":false},
	"invoiceAdd":{"result":{"item":{"id":1,"title":"Bill","stageId":"DT31_1:N","parentId2":1,"entityTypeId":31,"…":1}},"total":0,"more":false},
	"processAdd":{"result":{"item":{"id":1,"ufCrm5InvoiceId":1,"ufCrm5Total":99.99,"entityTypeId":1038,"…":1}},"total":0,"more":false},
	"rowsSet":{"result":{"productRows":[{"id":1,"ownerId":1,"ownerType":"D","productName":"Nail","price":0.1,"quantity":3,"taxRate":null,"…":1},
		{"id":2,"price":10,"priceExclusive":8.33,"taxRate":20,"taxIncluded":"Y","…":1}]},"total":0,"more":false},
	"rowsList":{"result":{"productRows":[{"id":1,"productName":"Nail","…":1},{"id":2,"productName":"Slate","…":1}]},"total":2,"more":false},
	"rowDelete":{"result":null,"total":0,"more":false},
	"dealAdd":{"result":3,"total":0,"more":false},
	"dealGet":{"result":{"ID":"3","TITLE":"Третья","OPPORTUNITY":"5.00","STAGE_ID":"NEW","COMPANY_ID":null,"…":1},"total":0,"more":false},
	"dealUpdate":{"result":true,"total":0,"more":false},
	"dealList":{"result":[{"ID":"3","TITLE":"Третья","STAGE_SEMANTIC_ID":"S"}],"total":1,"more":false},
	"dealRows":{"result":[],"total":0,"more":false},
	"dealDelete":{"result":true,"total":0,"more":false},
	"listsGet":{"result":[{"ID":"47","IBLOCK_TYPE_ID":"lists","CODE":"shipments","NAME":"Shipments","…":1}],"total":1,"more":false},
	"listFields":["NAME","PROPERTY_101","PROPERTY_102","PROPERTY_103","PROPERTY_104","PROPERTY_105","PROPERTY_106","PROPERTY_107"],
	"elementAdd":{"result":1,"total":0,"more":false},
	"elementGet":{"result":[{"ID":"1","NAME":"One","CODE":"one","PROPERTY_101":{"1":"1"},"PROPERTY_107":{"2":"a & b"},"…":1}],"total":1,"more":false},
	"elementUpdate":{"result":true,"total":0,"more":false},
	"elementGetAgain":{"result":[{"ID":"1","IBLOCK_ID":"47","NAME":"Uno","IBLOCK_SECTION_ID":null,"CREATED_BY":"1","BP_PUBLISHED":"Y","CODE":"one"}],"total":1,"more":false},
	"elementDelete":{"result":true,"total":0,"more":false},
	"elementGone":{"result":[],"total":0,"more":false},
	"user":{"result":{"ID":"1","ACTIVE":true,"NAME":"Anna","UF_DEPARTMENT":[1],"…":1},"total":0,"more":false},
	"profile":{"result":{"ID":"1","ADMIN":true,"NAME":"Anna","…":1},"total":0,"more":false},
	"serverTime":true,"anyCase":"1","time":{"numbers":true,"dates":true},"ping":true,"healthCheck":true,"retries":0}`

const (
	sdkNotFound = `{"name":"AjaxError","code":"NOT_FOUND","status":200,"message":"Element not found"}`

	sdkBatch = `{
	"list":{"0":{"result":{"ID":"1","COMPANY_ID":"9","…":1},"total":0},"1":{"result":{"items":[{"id":2},{"id":1}]},"total":2},"2":{"result":{"ID":"1","…":1},"total":0}},
	"listReferences":{"0":{"result":[{"ID":"1","TITLE":"A & b=c+d %23 #Ж"}],"total":1},"1":{"result":{"ID":"1","…":1},"total":0},
		"2":{"result":{"productRows":[{"id":1,"ownerId":1,"productName":"a","…":1}]},"total":1}},
	"map":{"deal":{"result":{"ID":"1","…":1},"total":0},
		"bill":{"result":{"item":{"id":1,"title":"Bill of A & b=c+d %23 #Ж","parentId2":1,"companyId":9,"opportunity":0,"…":1}},"total":0},
		"rows":{"result":{"productRows":[{"productName":"a","ownerType":"SI","ownerId":1,"…":1},{"productName":"b","…":1}]},"total":0},
		"again":{"result":{"item":{"id":1,"opportunity":10,"…":1}},"total":0},
		"many":{"rows":50,"total":60},"next":{"rows":10,"total":60},"copy":{"rows":10,"total":0},
		"counted":{"result":{"items":[{"id":1},{"id":2}]},"total":2},
		"gone":{"result":null,"total":0}},
	"goesOn":{"bad":{"errors":[` + sdkNotFound + `]},
		"none":{"errors":[{"name":"AjaxError","code":"ERROR_METHOD_NOT_FOUND","status":200,"message":"Method not found!"}]},
		"good":{"result":{"ID":"1","…":1},"total":0},
		"filter":{"errors":[{"name":"AjaxError","code":"INVALID_ARG_VALUE","status":200,"message":"Invalid filter: field 'nonsense' is not allowed in filter"}]}},
	"halts":{"first":{"result":{"ID":"1","…":1},"total":0},"bad":{"errors":[` + sdkNotFound + `]}},
	"listGoesOn":{"0":{"errors":[` + sdkNotFound + `]},"1":{"result":{"ID":"1","…":1},"total":0}},
	"chunks":{"ok":true,"inOrder":true},
	"simple":{"keys":["a"],"errors":[["b",` + sdkNotFound + `]]},
	"older":{"total":60,"more":true,"next":10,"last":false,"list":["1","1"],"map":"1","chunks":51}}`
)

const (
	sdkWhole = `"count":1000,"distinct":1000,"ascending":true,"complete":true`

	sdkTraversal = `{
	"dealsByOffset":{` + sdkWhole + `,"progress":21},"itemsByOffset":{` + sdkWhole + `,"progress":21},
	"dealsByKey":{` + sdkWhole + `,"pages":20},"itemsByKey":{` + sdkWhole + `,"pages":20},
	"halfByKey":{"count":500,"distinct":500,"ascending":true,"complete":false,"pages":10},
	"itemsAtOnce":{` + sdkWhole + `},
	"someAtOnce":["Deal 99","Deal 990","Deal 991","Deal 992","Deal 993","Deal 994","Deal 995","Deal 996","Deal 997","Deal 998","Deal 999"],
	"elements":{"count":120,"distinct":120}}`
)

// An error whose code is empty or the number 0 the SDK takes for one without a
// body, and names it after the transport's error.
const sdkErrors = `{
	"unknownMethod":{"thrown":{"name":"AjaxError","code":"ERROR_METHOD_NOT_FOUND","status":404,"message":"Method not found!"}},
	"missing":{"thrown":{"name":"AjaxError","code":"100","status":400,"message":"Could not find value for parameter {id}"}},
	"notFound":{"thrown":{"name":"AjaxError","code":"NOT_FOUND","status":400,"message":"Element not found"}},
	"notFoundType":{"thrown":{"name":"AjaxError","code":"NOT_FOUND","status":400,"message":"Smart process not found"}},
	"noCode":{"thrown":{"name":"AjaxError","code":"ERR_BAD_REQUEST","status":400,"message":"Request failed with status code 400"}},
	"codeZero":{"thrown":{"name":"AjaxError","code":"ERR_BAD_REQUEST","status":400,"message":"Request failed with status code 400"}},
	"filter":{"thrown":{"name":"AjaxError","code":"INVALID_ARG_VALUE","status":400,"message":"Invalid filter: field 'nonsense' is not allowed in filter"}},
	"noList":{"thrown":{"name":"AjaxError","code":"ERROR_IBLOCK_NOT_FOUND","status":400,"message":"Iblock not found"}},
	"noApplication":{"thrown":{"name":"AjaxError","code":"WRONG_AUTH_TYPE","status":403,"message":"*"}},
	"noScope":{"thrown":{"name":"AjaxError","code":"insufficient_scope","status":401,"message":"*"}},
	"crossing":"ok",
	"overTime":{"thrown":{"name":"AjaxError","code":"OPERATION_TIME_LIMIT","status":429,"message":"Method is blocked due to operation time limit."}},
	"othersGoOn":"ok",
	"inBatch":{"over":{"errors":[{"name":"AjaxError","code":"OPERATION_TIME_LIMIT","status":200,"message":"Method is blocked due to operation time limit."}]},
		"noScope":{"errors":[{"name":"AjaxError","code":"insufficient_scope","status":200,"message":"insufficient_scope (on user.current)"}]},"ok":"ok"},
	"thirdVersion":{"errors":[{"name":"AjaxError","code":"BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION","status":404,"message":"Method not found"}]},
	"wrongSecret":{"thrown":{"name":"AjaxError","code":"INVALID_CREDENTIALS","status":401,"message":"Invalid request credentials"}},
	"secretKept":true}`

const sdkApplication = `{"admin":true,"profile":{"result":{"ID":"1","…":1},"total":0,"more":false},
	"bind":{"result":true,"total":0,"more":false},
	"bound":{"result":[{"event":"ONCRMDEALUPDATE","handler":"https://example.com/handler","…":1}],"total":0,"more":false},
	"unbind":{"result":{"count":1},"total":0,"more":false},"gone":{"result":[],"total":0,"more":false},
	"offlineBind":{"result":true,"total":0,"more":false},"feature":{"result":{"value":"Y"},"total":0,"more":false},
	"offline":{"reserved":32,"events":[["ONCRMDEALADD",{"FIELDS":{"ID":"2"}}]]},
	"offlineClear":{"result":true,"total":0,"more":false},"offlineLeft":{"result":[],"total":0,"more":false},
	"batch":{"id":3,"title":"From an application"}}`

// Of a renewal that fails the SDK keeps the text only.
const sdkRenewal = `{"answer":"1","answers":["1","1","1"],"renewed":[{"another":true,"status":"L","scope":"calendar,crm,im,lists,user,userfieldconfig","expires":true}],"late":"1",
	"used":{"thrown":{"name":"AjaxError","code":"JSSDK_UNKNOWN_ERROR","status":0,"message":"Invalid authorization data was provided"}},
	"wrongSecret":{"thrown":{"name":"AjaxError","code":"JSSDK_UNKNOWN_ERROR","status":0,"message":"Invalid client data was provided"}}}`
