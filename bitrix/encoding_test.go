package bitrix_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

// TestCallsThatTheEncodingCannotHold: the other calls of a Do are sent, and the answers
// keep the order.
func TestCallsThatTheEncodingCannotHold(t *testing.T) {
	t.Parallel()
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{\"result\":{\"result\":[\"\xd1\xea\",2],\"result_error\":[]}}")
	}))
	defer server.Close()
	c, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + "/rest/1/code/"), Plan: bitrix.PlanUnlimited, Encoding: bitrix.Windows1251})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	call := func(title string) bitrix.Call {
		return bitrix.Call{Method: "crm.item.list", Params: map[string]any{"filter": map[string]any{"title": title}}}
	}
	a := c.Do(t.Context(), call("Ск"), call("Қ"), call("її"))
	if string(a[0].Result) != `"Ск"` || string(a[2].Result) != "2" {
		t.Errorf("answers %+v", a)
	}
	if a[1].Err == nil || !strings.Contains(a[1].Err.Error(), `filter.title has the character 'Қ' (U+049A), which windows-1251 does not have`) {
		t.Errorf("the error is %v", a[1].Err)
	}
	if !strings.Contains(string(got), "%D1%EA") || !strings.Contains(string(got), "%BF%BF") {
		t.Errorf("the request is %q", got)
	}
}
