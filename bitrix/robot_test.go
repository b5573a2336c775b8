package bitrix_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

func TestParseRobotCalls(t *testing.T) {
	for document, want := range map[string]bitrix.RobotCall{
		"DEAL_12":         {Kind: "deal", ID: "12"},
		"LEAD_7":          {Kind: "lead", ID: "7"},
		"CONTACT_3":       {Kind: "contact", ID: "3"},
		"COMPANY_4":       {Kind: "company", ID: "4"},
		"QUOTE_5":         {Kind: "quote", ID: "5"},
		"SMART_INVOICE_7": {Kind: "smart_invoice", ID: "7"},
		"DYNAMIC_147_1":   {Kind: "dynamic", TypeID: 147, ID: "1"},
	} {
		for _, keys := range [][3]string{{"[]", "[]", "[]"}, {"[0]", "[1]", "[2]"}} {
			body := "document_id" + keys[0] + "=crm&document_id" + keys[1] + "=X&document_id" + keys[2] + "=" + document + "&auth[domain]=a.bitrix24.ru"
			got, err := bitrix.ParseRobot(form, []byte(body))
			want.Auth.Domain = "a.bitrix24.ru"
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v", body, got, err)
			}
		}
	}
	for _, body := range []string{
		"", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1", "document_id=DEAL_12", "document_id[2]=12", "document_id[2]=DEAL_", "document_id[2]=DEAL_0",
		"document_id[2]=DEAL_-1", "document_id[2]=DEAL_01", "document_id[2]=DEAL_9223372036854775808", "document_id[2]=_5", "document_id[2]=DYNAMIC_x_1",
		"document_id[2]=DYNAMIC_0_1", "document_id[2][]=DEAL_1", "document_id[2]=" + strings.Repeat("A", 1<<20),
	} {
		if got, err := bitrix.ParseRobot(form, []byte(body)); err == nil {
			t.Errorf("%.60s was taken: %+v", body, got)
		}
	}
	if _, err := bitrix.ParseRobot("application/json", []byte(`{"document_id":["crm","CCrmDocumentDeal","DEAL_12"]}`)); err == nil {
		t.Error("JSON was taken")
	}
}

func FuzzParseRobot(f *testing.F) {
	f.Add("document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=DEAL_12")
	f.Add("document_id[2]=DYNAMIC_147_1")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := bitrix.ParseRobot(form, []byte(body))
		if err == nil && (got.Kind == "" || got.ID == "" || got.TypeID < 0 || strings.Trim(got.ID, "0123456789") != "") {
			t.Fatalf("%+v", got)
		}
	})
}
