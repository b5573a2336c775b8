package bitrix_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

func TestHider(t *testing.T) {
	h := bitrix.NewHider("https://portal.bitrix24.com/rest/1/c0de0fthewebhook/", "t0ken0ftheapplication", `a"b/c<d`, "123456789", "x")
	tests := []struct{ name, in, want string }{
		{"nothing to hide", `{"TITLE":"x 1 <b>","PRICE":1.50}`, `{"TITLE":"x 1 <b>","PRICE":1.50}`},
		{"the webhook's code", `{"urlMachine":"https:\/\/portal.bitrix24.com\/rest\/1\/c0de0fthewebhook\/crm.file\/?id=7"}`, `{"urlMachine":"<secret>crm.file/?id=7"}`},
		{"the code alone", `["c0de0fthewebhook","it is c0de0fthewebhook."]`, `["<secret>","it is <secret>."]`},
		{"a token", `{"a":{"b":["t0ken0ftheapplication"]}}`, `{"a":{"b":["<secret>"]}}`},
		{"in a key", `{"t0ken0ftheapplication":1}`, `{"<secret>":1}`},
		{"spelled by JSON", `["a\"b\/c\u003cd"]`, `["<secret>"]`},
		{"spelled otherwise", `["a\"b/c<d"]`, `["<secret>"]`},
		{"a number", `{"n":123456789,"m":12.5}`, `{"m":12.5,"n":"<secret>"}`},
		{"tokens by their names", `{"access_token":"abc","AUTH_ID":"abc","auth":{"client_secret":"abc"},"password":"abc","n":1.10}`, `{"AUTH_ID":"<secret>","access_token":"<secret>","auth":{"client_secret":"<secret>"},"n":1.10,"password":"<secret>"}`},
		{"a password in an address", `["see https://bob:hunter2@host.example/x?y=1 and bob@host.example"]`, `["see https://bob:<secret>@host.example/x?y=1 and bob@host.example"]`},
		{"a token in an address", `["https://host.example/f?auth=abc&id=7&access_token=abc"]`, `["https://host.example/f?auth=<secret>&id=7&access_token=<secret>"]`},
		{"a filter's key", `{"filter":{"@id":[1,2]},"url":"https://host.example"}`, `{"filter":{"@id":[1,2]},"url":"https://host.example"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(h.JSON([]byte(tt.in)))
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("what is left is no JSON")
			}
		})
	}
	var none *bitrix.Hider
	if got := string(none.JSON([]byte(`{"a_token":"abc","b":1}`))); got != `{"a_token":"<secret>","b":1}` {
		t.Errorf("without secrets of its own: %s", got)
	}
	if got := h.Text("at https://u:p@h/ with c0de0fthewebhook"); strings.Contains(got, "c0de") || strings.Contains(got, ":p@") {
		t.Errorf("text: %s", got)
	}
}
