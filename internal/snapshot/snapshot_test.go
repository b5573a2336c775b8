package snapshot_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/snapshot"
)

// clientOf returns a client of an emulated portal. through may answer requests itself.
func clientOf(t *testing.T, portal *emulator.Portal, through func(w http.ResponseWriter, method string) bool) *bitrix.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if through == nil || !through(w, strings.TrimSuffix(method, ".json")) {
			portal.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func demoPortal(t *testing.T) *emulator.Portal {
	t.Helper()
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(portal.Close)
	emulator.Demo(portal)
	if err := portal.AddUserField(2, emulator.UserField{Name: "UF_CRM_ZONE", Type: "enumeration", Title: "Zone <1> & more", Options: []string{"North", "South"}}); err != nil {
		t.Fatal(err)
	}
	portal.AddDealCategory()
	return portal
}

func pull(t *testing.T, portal *emulator.Portal) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Pull(t.Context(), "main", clientOf(t, portal, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFile: the file reads back as it was, has each field in a line, and is the same for
// the same portal.
func TestFile(t *testing.T) {
	t.Parallel()
	portal := demoPortal(t)
	s := pull(t, portal)
	path := filepath.Join(t.TempDir(), snapshot.FileName("main"))
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := snapshot.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := pull(t, portal).Encode(); err != nil || string(first) != string(second) {
		t.Errorf("a second pull differs: %v", err)
	}
	for _, line := range []string{
		`    {"name":"ufCrm_ZONE","stored":"UF_CRM_ZONE","title":"Zone <1> & more","type":"enumeration","custom":true,"choices":[{"id":"1","title":"North"},{"id":"2","title":"South"}]}`,
		`   {"id":"C1:WON","title":"Deal successful","semantics":"S"},`,
		`    {"id":1,"title":"Pipeline 1","stages":"DEAL_STAGE_1"}`,
		`  {"id":47,"type":"lists","code":"shipments","title":"Shipments",`,
		` "currencies": ["EUR","RUB","USD"],`,
	} {
		if !strings.Contains(string(first), line) {
			t.Errorf("the file has no line %s", line)
		}
	}
	for _, secret := range []string{"http", portal.WebhookPath(), "emulator@"} {
		if strings.Contains(string(first), secret) {
			t.Errorf("the file has %q", secret)
		}
	}
}

// TestWrongFiles: each error names the file, the reason and what to do.
func TestWrongFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "main.portal.json is no snapshot of a portal: line 1: unexpected end of JSON input: run `b24rules schema pull`",
		`{}`:                              "it has no format",
		`{"format": 0}`:                   "has the format 0 of an older b24rules, this one reads 1: run `b24rules schema pull`",
		`{"format": 2}`:                   "has the format 2 of a newer b24rules, this one reads 1: update b24rules, or run",
		"{\"format\": 1,\n\"types\": 7}":  "line 2: ",
		`{"format": 1, "typs": []}`:       `unknown field "typs"`,
		`{"format": 1, "portal": "main"}`: "is no whole snapshot",
		"{\"format\": 1, \"portal\": \"a\", \"types\": [], \"lists\": []} x": "line 1: ",
	} {
		_, err := snapshot.Parse("main.portal.json", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestUnread: a refusal of a part is no empty part, and a portal that does not answer is an
// error.
func TestUnread(t *testing.T) {
	t.Parallel()
	portal := demoPortal(t)
	refuse := func(methods ...string) func(w http.ResponseWriter, method string) bool {
		return func(w http.ResponseWriter, method string) bool {
			for _, m := range methods {
				if method == m {
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(`{"error":"insufficient_scope","error_description":"The request requires higher privileges"}`))
					return true
				}
			}
			return false
		}
	}
	s, err := snapshot.Pull(t.Context(), "main", clientOf(t, portal, refuse("lists.get", "crm.currency.list")))
	if err != nil {
		t.Fatal(err)
	}
	if s.Knows(snapshot.PartLists) || s.Knows(snapshot.PartCurrencies) || !s.Knows(snapshot.PartTypes) || !strings.Contains(s.Unread[snapshot.PartLists], "higher privileges") {
		t.Errorf("unread: %v", s.Unread)
	}
	if changes := snapshot.Diff(pull(t, portal), s); len(changes) != 2 || !strings.Contains(changes[0].Text, "currencies cannot be read any more") {
		t.Errorf("%v", changes)
	}
	if changes := snapshot.Diff(s, pull(t, portal)); len(changes) != 2 || changes[1].Text != "lists can be read now" {
		t.Errorf("%v", changes)
	}
	gone := clientOf(t, portal, func(w http.ResponseWriter, _ string) bool {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"NO_AUTH_FOUND","error_description":"Wrong authorization data"}`))
		return true
	})
	if _, err := snapshot.Pull(t.Context(), "main", gone); err == nil || !strings.Contains(err.Error(), "NO_AUTH_FOUND") {
		t.Errorf("%v", err)
	}
}

// TestPlainUser: without the rights of an administrator the smart processes come from
// another method.
func TestPlainUser(t *testing.T) {
	t.Parallel()
	s, err := snapshot.Pull(t.Context(), "main", clientOf(t, demoPortal(t), func(w http.ResponseWriter, method string) bool {
		if method != "crm.type.list" {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"ACCESS_DENIED","error_description":"You have no rights"}`))
		return true
	}))
	if err != nil {
		t.Fatal(err)
	}
	if typ := s.TypeOf(1038); typ == nil || typ.Title != "Invoice totals" || typ.Field("UF_CRM_5_TOTAL") == nil {
		t.Errorf("%+v", typ)
	}
}

// TestDiff makes changes in a portal, one after another, and compares each with the
// snapshot before.
func TestDiff(t *testing.T) {
	t.Parallel()
	portal := demoPortal(t)
	client := clientOf(t, portal, nil)
	call := func(method string, params map[string]any) func() {
		return func() {
			if a := client.Do(t.Context(), bitrix.Call{Method: method, Params: params, Write: true})[0]; a.Err != nil {
				t.Fatal(a.Err)
			}
		}
	}
	before := pull(t, portal)
	if changes := snapshot.Diff(before, pull(t, portal)); len(changes) > 0 {
		t.Fatalf("nothing was changed: %v", changes)
	}
	for _, step := range []struct {
		do   func()
		want []string
	}{
		{func() {
			_ = portal.AddUserField(2, emulator.UserField{Name: "UF_CRM_NEW", Type: "string", Title: "New one"})
		}, []string{"added    deals: field ufCrm_NEW (New one)"}},
		{func() { portal.AddDealCategory() }, []string{"added    deals: pipeline 2 (Pipeline 2)"}},
		{func() { portal.AddType(emulator.Type{EntityTypeID: 1050, Title: "Visits", NoStages: true}) }, []string{"added    portal: items of type 1050 (Visits)"}},
		{func() { portal.AddList(emulator.List{ID: 90, Name: "Cars"}) }, []string{"added    portal: list 90 (Cars)"}},
		{func() { _, _ = portal.AddListField(90, emulator.ListField{ID: 900, Code: "PLATE", Name: "Plate"}) }, []string{"added    list 90 (Cars): property PLATE (Plate)"}},
		{call("lists.field.delete", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 90, "FIELD_ID": "PROPERTY_900"}), []string{"removed  list 90 (Cars): property PLATE (Plate)"}},
		{call("lists.update", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 90, "FIELDS": map[string]any{"NAME": "Vans"}}), []string{`changed  list 90 (Cars): the list: title "Cars" is now "Vans"`}},
		{call("lists.delete", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 90}), []string{"removed  portal: list 90 (Vans)"}},
		{call("crm.category.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"name": "Retail"}}), []string{`changed  deals: pipeline 1: title "Pipeline 1" is now "Retail"`}},
		{call("crm.category.delete", map[string]any{"entityTypeId": 2, "id": 1}), []string{"removed  deals: pipeline 1 (Retail)"}},
		{call("crm.type.delete", map[string]any{"id": typeNumber(before, 1038)}), []string{"removed  portal: items of type 1038 (Invoice totals)"}},
		{call("crm.deal.userfield.delete", map[string]any{"id": fieldID(t, client, "UF_CRM_ZONE")}), []string{"removed  deals: field ufCrm_ZONE (Zone <1> & more)"}},
	} {
		step.do()
		after := pull(t, portal)
		var got []string
		for _, c := range snapshot.Diff(before, after) {
			got = append(got, c.String())
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		before = after
	}
}

func typeNumber(s *snapshot.Snapshot, entityTypeID int) int { return s.TypeOf(entityTypeID).Number }

func fieldID(t *testing.T, client *bitrix.Client, name string) any {
	t.Helper()
	rows, err := client.List(t.Context(), bitrix.Call{Method: "crm.deal.userfield.list", Params: map[string]any{"filter": map[string]any{"FIELD_NAME": name}}}, "")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	_, id, _ := strings.Cut(string(rows[0]), `"ID":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// TestDiffAttributes compares attributes that the emulator does not change.
func TestDiffAttributes(t *testing.T) {
	two, four := 2, 4
	base := func() *snapshot.Snapshot {
		return &snapshot.Snapshot{
			Portal: "main", Scopes: []string{"crm"}, Currencies: []string{"RUB"},
			Directories: map[string][]snapshot.Choice{"DEAL_STAGE": {{ID: "WON", Title: "Won", Semantics: "S"}}, "SOURCE": {{ID: "CALL", Title: "Call"}}},
			Types: []snapshot.Type{{ID: 2, Title: "deal", Fields: []snapshot.Field{
				{Name: "ufCrm_A", Stored: "UF_CRM_A", Title: "A", Type: "double", Digits: &two, Choices: []snapshot.Choice{{ID: "1", Title: "x"}}},
			}}},
			Lists: []snapshot.List{{ID: 5, Type: "lists", Title: "L", Properties: []snapshot.Property{{ID: "PROPERTY_1", Code: "A", Title: "A", Type: "L", Choices: []snapshot.Choice{{ID: "1", Title: "x"}, {ID: "2", Title: "y"}}}}}},
		}
	}
	after := base()
	after.Scopes, after.Currencies = []string{"lists"}, []string{"RUB", "USD"}
	after.Directories["DEAL_STAGE"] = []snapshot.Choice{{ID: "WON", Title: "Done"}, {ID: "NEW", Title: "New"}}
	after.Directories["SOURCE"] = nil
	f := &after.Types[0].Fields[0]
	f.Type, f.Multiple, f.Required, f.ReadOnly, f.Digits, f.Choices[0].Title = "string", true, true, true, &four, "z"
	p := &after.Lists[0].Properties[0]
	p.Code, p.Multiple, p.Choices = "B", true, p.Choices[:1]
	var got []string
	for _, c := range snapshot.Diff(base(), after) {
		got = append(got, c.String())
	}
	want := []string{
		"removed  portal: permission crm", "added    portal: permission lists", "added    portal: currency USD",
		`changed  directory DEAL_STAGE: stage WON: title "Won" is now "Done"`, `changed  directory DEAL_STAGE: stage WON: meaning "S" is now ""`,
		"added    directory DEAL_STAGE: stage NEW (New)", "removed  directory SOURCE: entry CALL (Call)",
		`changed  deals: field ufCrm_A: type "double" is now "string"`, "changed  deals: field ufCrm_A: now multiple", "changed  deals: field ufCrm_A: now required",
		"changed  deals: field ufCrm_A: now read-only", `changed  deals: field ufCrm_A: digits "2" is now "4"`,
		`changed  deals: field ufCrm_A: choice 1: title "x" is now "z"`,
		`changed  list 5 (L): property A: code "A" is now "B"`, "changed  list 5 (L): property A: now multiple", "removed  list 5 (L): property A: choice 2 (y)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestFind: a snapshot is found next to a rule file and up to two folders above.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "rules", "a", "b", "c")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b.portal.json", "a.portal.json", ".hidden.portal.json"} {
		if err := os.WriteFile(filepath.Join(dir, "rules", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for folder, want := range map[string]int{"rules": 2, "rules/a": 2, "rules/a/b": 2, "rules/a/b/c": 0, "rules/none": 2} {
		found, err := snapshot.Find(filepath.Join(dir, folder))
		if err != nil || len(found) != want || want > 0 && filepath.Base(found[0]) != "a.portal.json" {
			t.Errorf("%s: %v %v", folder, found, err)
		}
	}
	t.Chdir(deep)
	if found, err := snapshot.Find(".."); err != nil || len(found) != 2 {
		t.Errorf("%v %v", found, err)
	}
}

// TestUnreadIsNotRemoved: what the portal refuses is reported as that alone.
func TestUnreadIsNotRemoved(t *testing.T) {
	t.Parallel()
	portal := demoPortal(t)
	before := pull(t, portal)
	for _, tt := range []struct {
		fault emulator.Fault
		want  string
	}{
		{emulator.Fault{Method: "lists.field.get"}, "list 47 cannot be read any more"},
		{emulator.Fault{Method: "lists.get"}, "lists cannot be read any more"},
		{emulator.Fault{Method: "lists.get", Skip: 1}, "lists of business processes cannot be read any more"},
		{emulator.Fault{Method: "crm.item.fields"}, "type 1038 cannot be read any more"},
		{emulator.Fault{Method: "crm.category.list"}, "pipelines of type "},
	} {
		tt.fault.Kind, tt.fault.Code = emulator.FaultRefuse, "ACCESS_DENIED"
		if err := portal.SetFaults(tt.fault); err != nil {
			t.Fatal(err)
		}
		changes := snapshot.Diff(before, pull(t, portal))
		for _, c := range changes {
			if c.Kind != snapshot.Changed {
				t.Errorf("%s: %s", tt.want, c)
			}
		}
		if !strings.Contains(fmt.Sprint(changes), tt.want) {
			t.Errorf("%v, want %s", changes, tt.want)
		}
	}
}

// TestPullTakesFewRequests: a portal with many lists and types is read in batches, and the built-in types are
// known also if the smart processes are not.
func TestPullTakesFewRequests(t *testing.T) {
	t.Parallel()
	portal := demoPortal(t)
	for i := range 100 {
		portal.AddList(emulator.List{ID: 100 + i, Name: "List"})
	}
	for i := range 40 {
		portal.AddType(emulator.Type{EntityTypeID: 1100 + 2*i, Title: "Type", NoStages: true})
	}
	var requests atomic.Int32
	count := func(http.ResponseWriter, string) bool { requests.Add(1); return false }
	s, err := snapshot.Pull(t.Context(), "main", clientOf(t, portal, count))
	if err != nil || len(s.Lists) != 101 || len(s.Types) != 47 {
		t.Fatalf("%d lists, %d types: %v", len(s.Lists), len(s.Types), err)
	}
	if n := requests.Load(); n > 60 {
		t.Errorf("%d requests for 101 lists and 47 types", n)
	}
	if err := portal.SetFaults(emulator.Fault{Method: "crm.type.list", Kind: emulator.FaultRefuse, Code: "insufficient_scope"}); err != nil {
		t.Fatal(err)
	}
	if s := pull(t, portal); s.Knows(snapshot.PartTypes) || s.TypeOf(2) == nil {
		t.Errorf("%d types, unread %v", len(s.Types), s.Unread)
	}
}
