package bitrix

import "testing"

// TestOnlyReads checks bodies of requests, which is the last check before they leave.
func TestOnlyReads(t *testing.T) {
	for _, tt := range []struct{ method, body, want string }{
		{"crm.item.get", `{}`, ""},
		{"crm.item.add", `{}`, "crm.item.add"},
		{"batch", `{"halt":0,"cmd":["crm.item.get?id=1","crm.item.list"]}`, ""},
		{"batch", `{"halt":0,"cmd":["crm.item.get?id=1","crm.item.update?id=1&x=?crm.item.get"]}`, "crm.item.update"},
		{"BATCH", `{"cmd":["batch?cmd[0]=crm.item.add"]}`, "batch"},
		{"batch", `{"cmd":{"a":"crm.item.list","b":"crm.item.add"}}`, "crm.item.add"},
		{"batch", `{"cmd":{"a":"crm.item.list","b":"crm.item.list?filter[>id]=$result[a][49][id]"}}`, ""},
		{"batch", `{"cmd":{"a":["crm.item.add"]}}`, "a batch that cannot be read"},
		{"batch", `{"cmd":null}`, ""},
		{"batch", `{"cmd":`, "a batch that cannot be read"},
		{"event.bind", `{}`, ""},
		{"event.test", `{}`, "event.test"},
	} {
		command, ok := onlyReads(tt.method, []byte(tt.body))
		if ok != (tt.want == "") || !ok && command != tt.want {
			t.Errorf("%s %s: %q, %v", tt.method, tt.body, command, ok)
		}
	}
}
