package emulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/b24rules/b24rules/emulator"
)

// A portal in a test: a handler behind a server, and REST calls to it.
func Example() {
	portal := emulator.New(emulator.Config{Plan: emulator.PlanEnterprise})
	defer portal.Close()
	server := httptest.NewServer(portal)
	defer server.Close()

	webhook := server.URL + portal.WebhookPath()
	for _, call := range []string{
		"crm.deal.add?fields[TITLE]=Roof",
		"crm.deal.productrows.set?id=1&rows[0][PRODUCT_NAME]=Tiles&rows[0][PRICE]=33.33&rows[0][QUANTITY]=3",
		"crm.deal.list?select[]=TITLE&select[]=OPPORTUNITY",
	} {
		resp, err := http.Get(webhook + call)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		answer, _, _ := strings.Cut(string(body), `,"time"`)
		fmt.Println(resp.StatusCode, answer)
	}
	fmt.Println(portal.Stats().Commands["crm.deal.list"])
	// Output:
	// 200 {"result":1
	// 200 {"result":true
	// 200 {"result":[{"ID":"1","TITLE":"Roof","OPPORTUNITY":"99.99"}],"total":1
	// 1
}
