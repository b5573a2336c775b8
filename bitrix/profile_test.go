package bitrix_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

func TestProfile(t *testing.T) {
	for answer, want := range map[string]string{
		`{"ID":"7","ADMIN":true,"NAME":"Anna","LAST_NAME":"Low"}`: "user 7, Anna Low true <nil>",
		`{"ID":7,"ADMIN":"Y","NAME":"","LAST_NAME":""}`:           "user 7 true <nil>",
		`{"ID":"7","ADMIN":false,"NAME":"Anna"}`:                  "user 7, Anna false <nil>",
		`{"ID":"7","ADMIN":"0","NAME":"Anna"}`:                    "user 7, Anna false <nil>",
		`{"ID":"7","NAME":"Anna"}`:                                `user 7, Anna false profile: ADMIN is "", and not true or false`,
		`{"ID":"7","ADMIN":[],"NAME":"Anna"}`:                     `user 7, Anna false profile: ADMIN is "[]", and not true or false`,
		`{"ADMIN":true}`:                                          "user 0 false profile: the answer has no id of a user",
	} {
		portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"result":%s,"time":{"operating":0}}`, answer)
		}))
		c, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(portal.URL + "/rest/1/secret/")})
		if err != nil {
			t.Fatal(err)
		}
		u, err := c.Profile(t.Context())
		if got := fmt.Sprint(u, u.Admin, err); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", answer, got, want)
		}
		c.Close()
		portal.Close()
	}
}
