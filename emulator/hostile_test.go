package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHostileParameters: no method breaks on values that it cannot expect, and
// none of them is an error of the portal's own.
func TestHostileParameters(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends thousands of requests, one after another")
	}
	t.Parallel()
	names := []string{
		"id", "entityTypeId", "fields", "field", "filter", "order", "select", "data", "items", "rows", "params", "moduleId", "start",
		"ownerType", "ownerId", "ownerTypeId", "productRows", "IBLOCK_TYPE_ID", "IBLOCK_ID", "IBLOCK_CODE", "ELEMENT_ID", "ELEMENT_CODE",
		"FIELD_ID", "SECTION_ID", "SECTION_CODE", "MESSAGES", "USER_ID", "MESSAGE", "ATTACH", "entityId", "CODE", "EVENT", "HANDLER",
		"process_id", "message_id", "name", "SORT", "limit",
	}
	inner := `{"ID":%[1]s,"TITLE":%[1]s,"title":%[1]s,"NAME":%[1]s,"name":%[1]s,"PHONE":%[1]s,"fm":%[1]s,"CONTACT_ID":%[1]s,"CONTACT_IDS":%[1]s,"contactIds":%[1]s,
		"COMPANY_IDS":%[1]s,"STAGE_ID":%[1]s,"stageId":%[1]s,"CATEGORY_ID":%[1]s,"categoryId":%[1]s,"OPPORTUNITY":%[1]s,"opportunity":%[1]s,"BEGINDATE":%[1]s,
		"ENTITY_TYPE":"deal","ENTITY_ID":%[1]s,"COMMENT":%[1]s,"FILES":%[1]s,"entityTypeId":%[1]s,"relations":%[1]s,"linkedUserFields":%[1]s,
		"entityId":"CRM_5","fieldName":%[1]s,"userTypeId":"enumeration","enum":%[1]s,"FIELD_NAME":%[1]s,"USER_TYPE_ID":"enumeration","LIST":%[1]s,"SETTINGS":%[1]s,
		"EDIT_FORM_LABEL":%[1]s,"TYPE":"L","sort":%[1]s,"isDefault":%[1]s,"language":%[1]s,"LANG":%[1]s,"=ownerType":"D","=ownerId":%[1]s,
		"createdTime":%[1]s,"PROPERTY_106":%[1]s,"PROPERTY_101":%[1]s,"XML_ID":%[1]s,"0":%[1]s,"logic":"OR"}`
	values := []string{
		`null`, `true`, `-1`, `0`, `1`, `1e30`, `""`, `"x"`, `"%"`, `[]`, `[[]]`, `[null,1,"a",{"ID":[]}]`, `{"n0":{"VALUE":{}}}`, `{"1":{"ID":{},"VALUE":[]}}`,
		`[{"ID":1,"VALUE":"a","XML_ID":[]},"x",[["a","b"]]]`, `{"parent":[1,{"entityTypeId":[]}],"child":{"a":{"entityTypeId":2}}}`, `99999999999999999999999`,
	}
	var bodies []string
	for _, v := range values {
		parts := make([]string, len(names))
		for i, name := range names {
			parts[i] = fmt.Sprintf("%q:%s", name, v)
		}
		bodies = append(bodies, "{"+strings.Join(parts, ",")+"}")
		// With ids that exist, so that the rest is read.
		for _, shape := range []string{v, fmt.Sprintf(inner, v), "[" + v + "]"} {
			bodies = append(bodies, fmt.Sprintf(`{"id":1,"entityTypeId":2,"moduleId":"crm","IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":1,"ELEMENT_CODE":"q",
				"FIELD_ID":"PROPERTY_106","SECTION_CODE":"s","IBLOCK_CODE":"c","USER_ID":1,"MESSAGE":"m","ownerType":"D","ownerId":1,"fields":%[1]s,"field":%[1]s,
				"filter":%[1]s,"order":%[1]s,"select":%[1]s,"data":%[1]s,"items":%[1]s,"rows":%[1]s,"params":%[1]s,"productRows":%[1]s,"MESSAGES":%[1]s,"ATTACH":%[1]s}`, shape))
		}
	}
	p := shelf(t)
	methods, _ := p.must("methods", `{"full":true}`).([]any)
	for i, m := range methods {
		p := shelf(t)
		for j := i % 3; j < len(bodies); j += 3 { // each method has a third of them, which keeps the test short
			body := bodies[j]
			if got := p.direct(text(m), body); got == http.StatusInternalServerError {
				t.Errorf("%s %.300s: status %d", text(m), body, got)
				break
			}
		}
	}
}

// direct calls a method without a network.
func (p *portal) direct(method, params string) (status int) {
	p.t.Helper()
	path := p.WebhookPath() + method
	if strings.HasPrefix(method, "event") || method == "app.info" {
		path = "/rest/" + method + "?auth=" + p.App().Token()
	}
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(params))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Code
}
