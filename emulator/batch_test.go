package emulator_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
)

// TestBatch compares whole answers but for the times.
func TestBatch(t *testing.T) {
	t.Parallel()
	notFound := `{"error":"","error_description":"Not found"}`
	for _, c := range []struct{ name, params, want string }{
		{
			"map", `{"cmd":{"a":"crm.deal.get?id=1","b":"profile"}}`,
			`{"result":{"a":{"ID":"1","…":1},"b":{"ID":"1","…":1}},"result_error":[],"result_total":[],"result_next":[],"result_time":{"a":"*","b":"*"}}`,
		},
		{
			"list", `{"cmd":["profile","crm.item.list?entityTypeId=2&select[]=id"]}`,
			`{"result":[{"ID":"1","…":1},{"items":[{"id":1},{"id":2}]}],"result_error":[],"result_total":{"1":2},"result_next":[],"result_time":["*","*"]}`,
		},
		{"nothing", `{"cmd":{}}`, `{"result":[],"result_error":[],"result_total":[],"result_next":[],"result_time":[]}`},
		{"no cmd", `{}`, `{"result":[],"result_error":[],"result_total":[],"result_next":[],"result_time":[]}`},
		{
			"all fail", `{"cmd":["crm.deal.get?id=77","crm.deal.get?id=78"]}`,
			`{"result":[],"result_error":[` + notFound + `,` + notFound + `],"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"list keys with a gap", `{"cmd":["crm.deal.get?id=77","profile"]}`,
			`{"result":{"1":{"ID":"1","…":1}},"result_error":[` + notFound + `],"result_total":[],"result_next":[],"result_time":{"1":"*"}}`,
		},
		{
			"goes on", `{"halt":0,"cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":{"b":["calendar","crm","im","lists","user","userfieldconfig"]},"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":{"b":"*"}}`,
		},
		{
			"halts", `{"halt":1,"cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":[],"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"the text false is true", `{"halt":"false","cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":[],"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"the text 0 is false", `{"halt":"0","cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":{"b":"*"},"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":{"b":"*"}}`,
		},
		{
			"a null result is there", `{"cmd":{"a":"crm.item.productrow.delete?id=1"}}`,
			`{"result":{"a":null},"result_error":[],"result_total":[],"result_next":[],"result_time":{"a":"*"}}`,
		},
		{
			"not in a batch", `{"cmd":{"a":"batch?cmd[]=profile","b":"crm.none"}}`,
			`{"result":[],"result_error":{"a":{"error":"ERROR_BATCH_METHOD_NOT_ALLOWED","error_description":"*"},"b":{"error":"ERROR_METHOD_NOT_FOUND","error_description":"*"}},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"true halts", `{"halt":true,"cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":[],"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"an empty list does not halt", `{"halt":[],"cmd":{"x":"crm.deal.get?id=77","b":"scope"}}`,
			`{"result":{"b":"*"},"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":"*"}`,
		},
		{
			"no files", `{"cmd":{"a":"upload?x=1","b":"Download"}}`,
			`{"result":[],"result_error":{"a":{"error":"ERROR_BATCH_METHOD_NOT_ALLOWED","error_description":"*"},"b":"*"},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{"cmd is text", `{"cmd":"profile"}`, `{"result":[],"result_error":[],"result_total":[],"result_next":[],"result_time":[]}`},
		{
			"names in any case", `{"HALT":1,"Cmd":{"x":"crm.deal.get.json?ID=77","b":"scope"}}`,
			`{"result":[],"result_error":{"x":` + notFound + `},"result_total":[],"result_next":[],"result_time":[]}`,
		},
		{
			"numbered keys out of order", `{"cmd":{"1":"scope","0":"profile"}}`,
			`{"result":{"1":["calendar","crm","im","lists","user","userfieldconfig"],"0":"*"},"result_error":[],"result_total":[],"result_next":[],"result_time":{"1":"*","0":"*"}}`,
		},
		{
			"no text", `{"cmd":{"a":{"method":"profile"},"b":"profile"}}`,
			`{"result":{"b":"*"},"result_error":[],"result_total":[],"result_next":[],"result_time":{"b":"*"}}`,
		},
		{
			"in the order given", `{"cmd":{"z":"crm.deal.update?id=1&fields[TITLE]=first","a":"crm.deal.update?id=1&fields[TITLE]=second","m":"crm.deal.get?id=1"}}`,
			`{"result":{"z":true,"a":true,"m":{"TITLE":"second","…":1}},"result_error":[],"result_total":[],"result_next":[],"result_time":"*"}`,
		},
		{
			"next and total", `{"cmd":{"r":"crm.item.productrow.list?filter[%3DownerType]=D&filter[%3DownerId]=2"}}`,
			`{"result":{"r":{"productRows":"*"}},"result_error":[],"result_total":{"r":60},"result_next":{"r":50},"result_time":{"r":"*"}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := batchPortal(t)
			status, body := p.post("batch", c.params)
			if status != 200 {
				t.Errorf("status %d", status)
			}
			p.match(c.params, `{"result":`+c.want+`,"time":"*"}`, body)
		})
	}
}

// batchPortal has deal 1 with one row and deal 2 with sixty.
func batchPortal(t testing.TB) *portal {
	p := open(t, emulator.Config{})
	p.must("crm.deal.add", `{"fields":{"TITLE":"Deal one","COMPANY_ID":9}}`)
	p.must("crm.deal.add", `{"fields":{"TITLE":"Deal & two=2"}}`)
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[{"productName":"a","price":1}]}`)
	rows := make([]string, 60)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"productName":"r","price":%d}`, i)
	}
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":2,"productRows":[`+strings.Join(rows, ",")+`]}`)
	return p
}

func TestBatchReferences(t *testing.T) {
	t.Parallel()
	p := batchPortal(t)
	for _, c := range []struct{ name, second, want string }{
		{"whole value", "crm.deal.get?id=$result[a][ID]", `{"ID":"2","…":1}`},
		{"in a list", "crm.deal.get?id=$result[l][0][ID]", `{"ID":"1","…":1}`},
		{"in brackets", "crm.item.productrow.list?filter[%3DownerType]=D&filter[%3DownerId]=$result[l][0][ID]", `{"productRows":[{"ownerId":1,"…":1}]}`},
		{"an array", "crm.deal.list?filter[ID]=$result[w][a][x]&select[]=ID", `"*"`},
		{"in text", "crm.deal.list?filter[TITLE]=Deal $result[n]&select[]=ID", `[]`},
		{"spliced", "crm.deal.list?filter[TITLE]=Deal%20$result[a][ID]&select[]=ID", `[]`},
		{"what is put in brings no parameters", "crm.deal.list?filter[TITLE]=$result[a][TITLE]&select[]=ID", `[{"ID":"2"}]`},
		{"any case of the word", "crm.deal.get?id=$Result[a][ID]", `{"ID":"2","…":1}`},
		{"the total", "crm.deal.get?id=$total[l]", `{"ID":"2","…":1}`},
		{"the next page", "crm.item.productrow.list?filter[%3DownerType]=D&filter[%3DownerId]=2&start=$next[rows]&order[id]=ASC", `{"productRows":[{"price":50,"…":1},"*","*","*","*","*","*","*","*","*"]}`},
		{"an error's text", "crm.deal.list?filter[TITLE]=$error[gone][error_description]", `[]`},
		{"a time", "crm.deal.list?filter[ID]=$time[a][operating]", `[]`},
		{"the case of the path", "crm.deal.list?filter[TITLE]=$result[a][title]&select[]=ID", `"*"`},
		{"a reference in a key", "crm.deal.list?filter[$result[key]]=2&select[]=ID", `"*"`},
		{"two without a space are one path", "crm.deal.list?filter[TITLE]=$result[a][ID],$result[a][ID]&select[]=ID", `[]`},
		{"two with a space", "crm.deal.list?filter[TITLE]=x $result[a][ID] $result[a][ID]&select[]=ID", `[]`},
		{"a path too long gives what was reached", "crm.deal.list?filter[TITLE]=$result[a][TITLE][deeper]&select[]=ID", `[{"ID":"2"}]`},
	} {
		cmd := fmt.Sprintf(`{"cmd":{"a":"crm.deal.get?id=2","l":"crm.deal.list?order[ID]=ASC",
			"rows":"crm.item.productrow.list?filter[%%3DownerType]=D&filter[%%3DownerId]=2","gone":"crm.deal.get?id=77","second":%q}}`, c.second)
		_, body := p.post("batch", cmd)
		p.match(c.name, `{"result":{"result":{"second":`+c.want+`,"…":1},"…":1},"…":1}`, body)
	}
	// A missing step yields the container that was reached, so a broken
	// reference to an id names no deal.
	_, body := p.post("batch", `{"cmd":{"a":"crm.deal.get?id=77","b":"crm.deal.update?id=$result[a][ID]&fields[TITLE]=oops"}}`)
	p.match("broken", `{"result":{"result":"*","result_error":{"a":"*","…":1},"…":1},"…":1}`, body)
}

func TestBatchTooLong(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	cmd := make([]string, 53)
	for i := range cmd {
		cmd[i] = `"profile"`
	}
	_, body := p.post("batch", `{"cmd":[`+strings.Join(cmd, ",")+`]}`)
	answer := at(parse(t, body), "result")
	done, _ := at(answer, "result").([]any)
	failed, _ := at(answer, "result_error").(map[string]any)
	if len(done) != 50 || len(failed) != 3 || text(at(failed, "50", "error")) != "ERROR_BATCH_LENGTH_EXCEEDED" {
		t.Errorf("%d done, errors %v", len(done), failed)
	}
	if got := p.Stats().Commands["profile"]; got != 53 {
		t.Errorf("%d commands counted, want 53", got)
	}
}

// TestBatchForm sends the commands as a form does, encoded twice.
func TestBatchForm(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	inner := "crm.deal.add?fields%5BTITLE%5D=" + url.QueryEscape("a&b=c+d % e")
	form := "halt=0&cmd%5Badd%5D=" + url.QueryEscape(inner) + "&cmd%5Bget%5D=" + url.QueryEscape("crm.deal.get?id=$result[add]")
	_, body := p.send("POST", p.WebhookPath()+"batch.json", "application/x-www-form-urlencoded", form)
	p.match("form", `{"result":{"result":{"add":1,"get":{"TITLE":"a&b=c+d % e","…":1}},"…":1},"…":1}`, body)
}
