package actions_test

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// customerPortal is a portal with fields, its own lists and its own smart process.
func customerPortal(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(portal.Close)
	for _, f := range []emulator.UserField{
		{Name: "UF_CRM_1700000001", Type: "date", Title: "Delivery date"},
		{Name: "UF_CRM_FEE", Type: "money", Title: "Fee"},
		{Name: "UF_CRM_WEIGHT", Type: "double", Title: "Weight, kg", Precision: 2},
		{Name: "UF_CRM_ZONE", Type: "enumeration", Title: "Zone", Options: []string{"North", "South", "Abroad"}},
		{Name: "UF_CRM_TAGS", Type: "enumeration", Title: "Tags", Multiple: true, Options: []string{"Urgent", "Fragile"}},
		{Name: "UF_CRM_PAID", Type: "boolean", Title: "Paid"},
		{Name: "UF_CRM_FLOORS", Type: "integer", Title: "Floors"},
		{Name: "UF_CRM_DRIVER", Type: "employee", Title: "Driver"},
		{Name: "UF_CRM_REGION", Type: "string", Title: "Район"},
		{Name: "UF_CRM_FLOOR_1", Type: "string", Title: "Этаж"},
		{Name: "UF_CRM_FLOOR_2", Type: "string", Title: "Этаж"},
	} {
		if err := portal.AddUserField(2, f); err != nil {
			t.Fatal(err)
		}
	}
	portal.AddDealCategory()
	portal.AddType(emulator.Type{EntityTypeID: 1044, ID: 9, Title: "Deliveries", NoStages: true, Fields: []emulator.UserField{
		{Name: "UF_CRM_9_DEAL", Type: "integer", Title: "Deal"},
		{Name: "UF_CRM_9_STATE", Type: "enumeration", Title: "State", Options: []string{"Planned", "On the way", "Done"}},
	}})
	portal.AddType(emulator.Type{EntityTypeID: 1046, ID: 10, Title: "Claims"})
	portal.AddList(emulator.List{ID: 63, Name: "Loading", Fields: []emulator.ListField{
		{ID: 301, Code: "DEAL", Name: "Deal", Type: "N"},
		{ID: 302, Code: "AMOUNT", Name: "Amount", Type: "N"},
		{ID: 303, Code: "READY", Name: "Ready", Type: "L", Options: []string{"Yes", "No"}},
		{ID: 304, Name: "Remark", Type: "S"},
	}})
	portal.AddList(emulator.List{ID: 64, Name: "Drivers"})
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s, err := snapshot.Pull(t.Context(), "main", client)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPortalFindings checks the files of testdata/portal for a known portal and compares
// the findings with the comments in the files.
func TestPortalFindings(t *testing.T) {
	paths, err := filepath.Glob("testdata/portal/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	known := &engine.Known{Snapshot: customerPortal(t), Inputs: map[string]map[string]string{
		"inputs": {"list": "65", "type": "1048", "field": "ufCrm9Stat", "right_list": "63", "right_field": "ufCrm9State"},
	}}
	wants := 0
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			files, err := wanttest.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			comments, err := wanttest.Comments(path, files[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			wants += len(comments)
			_, list := load.FileFor(files[0].Name, files[0].Data, actions.All, known)
			for _, problem := range wanttest.Problems(files, list) {
				t.Error(problem)
			}
			// A few mistakes, such as a title as a name, are found without the portal, too.
			if _, list = load.File(files[0].Name, files[0].Data, actions.All); len(list) > 3 || list.HasErrors() {
				t.Errorf("without the portal: %v", list)
			}
		})
	}
	if wants < 40 {
		t.Errorf("%d mistakes, want at least 40", wants)
	}
}
