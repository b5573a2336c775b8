package bitrix_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/b24rules/b24rules/bitrix"
)

// Two calls that are ready at the same time are one request to the portal, and
// each has its own answer or error.
func ExampleClient_Do() {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"result":{
			"result":{"0":{"item":{"id":5,"title":"Roof"}}},
			"result_error":{"1":{"error":"NOT_FOUND","error_description":"Not found"}}}}`)
	}))
	defer portal.Close()

	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(portal.URL + "/rest/1/code/"), Plan: bitrix.PlanStandard})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	deal := func(id int) bitrix.Call {
		return bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": 2, "id": id}}
	}
	for _, a := range client.Do(context.Background(), deal(5), deal(6)) {
		if bitrix.IsNotFound(a.Err) {
			fmt.Println("no such deal:", a.Err)
			continue
		}
		fmt.Println(string(a.Result))
	}
	fmt.Println("requests:", client.Stats().Requests)
	// Output:
	// {"item":{"id":5,"title":"Roof"}}
	// no such deal: crm.item.get: NOT_FOUND: Not found
	// requests: 1
}

// An event says that something has changed, and where.
func ExampleParseEvent() {
	event, err := bitrix.ParseEvent("application/x-www-form-urlencoded",
		[]byte("event=onCrmDealUpdate&data[FIELDS][ID]=759&ts=1729797011&auth[application_token]=hidden"))
	fmt.Println(event.Code, event.Field("ID"), event.Auth.ApplicationToken, err)
	// Output:
	// ONCRMDEALUPDATE 759 <secret> <nil>
}
